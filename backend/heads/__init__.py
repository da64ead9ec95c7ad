"""Heads: support features -> class scores. Knows nothing of files."""

HEADS = ("auto", "prototype", "polygons", "parts", "ridge", "density")
"""Names of the heads; "auto" chooses by leaving polygons out, see :mod:`.selection`."""
