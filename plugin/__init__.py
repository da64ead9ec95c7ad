"""The part that runs inside QGIS: qgis.PyQt, qgis.core, qgis.gui and the standard library only."""
