"""Engines: other ways to compute a model's image encoder, judged by its plain forward pass."""
