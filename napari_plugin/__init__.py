"""The napari adapter. This version holds the manifest and no commands."""
