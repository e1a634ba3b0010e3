"""Promptable training: simulated clicks, losses, the bundled model's recipe."""
