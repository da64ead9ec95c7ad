"""Datasets in their official folders, one per file."""
