"""The Label Studio adapter: an ML backend that answers clicks and annotates whole projects."""
