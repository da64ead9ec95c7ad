"""Accuracy assessment: what a label map is compared with, the numbers, and sample points that the analyst labels."""
