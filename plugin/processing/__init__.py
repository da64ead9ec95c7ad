"""Algorithms for QGIS's Processing, which run without any window as well."""
