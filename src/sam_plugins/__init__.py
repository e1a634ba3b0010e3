"""Segment anything, where you already work."""
