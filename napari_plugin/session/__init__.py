"""The annotation session: a viewer, a picture, prompts and objects. Nothing here knows Qt."""
