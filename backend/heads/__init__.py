"""Heads: support features -> class scores. Knows nothing of files."""
