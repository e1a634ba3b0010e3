"""Pictures and Label Studio's API: what may be connected to, how, and what is kept."""
