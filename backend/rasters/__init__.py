"""Rasters in and out: bands, stretch, validity, support polygons, tiles, label maps. Knows nothing of models."""
