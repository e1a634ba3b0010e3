"""What is seen: the only room of the plugin that knows Qt."""
