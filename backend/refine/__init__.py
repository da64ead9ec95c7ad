"""Refinement of class scores with the image."""
