"""The Label Studio adapter. This version holds the package marker and no routes."""
