"""Evaluation: counts, metrics, protocols, the published numbers and reports that set measured ones beside them."""
