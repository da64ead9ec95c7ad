"""Protolabel's backend: raster + support polygons -> label map, without QGIS and without Qt."""

__version__ = "0.1.0"
