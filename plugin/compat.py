"""What has another name in other versions of QGIS, from 3.22 with Qt 5 to 4 with Qt 6.

The newer name is tried first: versions between have it already, and not all of them have kept the older one.
"""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsMapLayer, QgsRasterFileWriter, QgsSymbolLayer, QgsWkbTypes
from qgis.PyQt.QtGui import QTextDocument

try:  # Qt 6
    from qgis.PyQt.QtGui import QUndoCommand, QUndoStack
except ImportError:  # Qt 5
    from qgis.PyQt.QtWidgets import QUndoCommand, QUndoStack

try:  # QGIS 3.30
    POINT_GEOMETRY, POLYGON_GEOMETRY = Qgis.GeometryType.Point, Qgis.GeometryType.Polygon
except AttributeError:
    POINT_GEOMETRY = QgsWkbTypes.GeometryType.PointGeometry
    POLYGON_GEOMETRY = QgsWkbTypes.GeometryType.PolygonGeometry

try:  # QGIS 3.32
    RASTER_WRITTEN = Qgis.RasterFileWriterResult.Success
except AttributeError:
    RASTER_WRITTEN = QgsRasterFileWriter.WriterError.NoError

try:
    LAYER_ENABLED, STROKE_STYLE = QgsSymbolLayer.Property.LayerEnabled, QgsSymbolLayer.Property.StrokeStyle
except AttributeError:
    LAYER_ENABLED = QgsSymbolLayer.Property.PropertyLayerEnabled
    STROKE_STYLE = QgsSymbolLayer.Property.PropertyStrokeStyle

# Markdown as on GitHub, but without HTML, of which one tag that is not closed would swallow the rest.
try:  # Qt 5.14
    _FEATURE = QTextDocument.MarkdownFeature
    # PyQt 5 combines values of an enum in a class of its own.
    _FEATURES = getattr(QTextDocument, "MarkdownFeatures", _FEATURE)
    MARKDOWN = _FEATURES(_FEATURE.MarkdownDialectGitHub) | _FEATURE.MarkdownNoHTML
except AttributeError:  # it shows plain text only
    MARKDOWN = None


def flag_number(flag: Any) -> int:
    """A flag as the number that Qt's own declaration asks for, which PyQt 6 does not make of it by itself."""
    return int(getattr(flag, "value", flag))


def set_tooltip_text(layer: QgsMapLayer, text: str) -> None:
    """Set what the layer tree says of a layer while the mouse is over it."""
    properties = layer.serverProperties()
    (properties if hasattr(properties, "setAbstract") else layer).setAbstract(text)  # QGIS 3.38


__all__ = [
    "LAYER_ENABLED",
    "MARKDOWN",
    "POINT_GEOMETRY",
    "POLYGON_GEOMETRY",
    "RASTER_WRITTEN",
    "STROKE_STYLE",
    "QUndoCommand",
    "QUndoStack",
    "flag_number",
    "set_tooltip_text",
]
