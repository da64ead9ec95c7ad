"""Polygons as the support layer takes them: flat, straight, valid, of several parts."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsWkbTypes

from .compat import POLYGON_GEOMETRY

_THINNEST = 1e-9  # area by the square of the perimeter; below it is a line with rounding errors


def clean_polygon(geometry: QgsGeometry) -> QgsGeometry:
    """Bring a geometry of any kind into the form of the support layer.

    Curves are cut into straight pieces, heights are dropped, what crosses itself is repaired, and of the repaired only
    the areas are kept.

    Returns:
        A valid MultiPolygon; null when no area is left.
    """
    if geometry.isNull() or geometry.type() != POLYGON_GEOMETRY:
        return QgsGeometry()
    flat = QgsGeometry(geometry)
    if QgsWkbTypes.isCurvedType(flat.wkbType()):
        flat.convertToStraightSegment()
    if flat.constGet().is3D() or flat.constGet().isMeasure():
        flat.get().dropZValue()
        flat.get().dropMValue()
    if not flat.isGeosValid():
        flat = flat.makeValid()
        if QgsWkbTypes.flatType(flat.wkbType()) == QgsWkbTypes.Type.GeometryCollection:
            areas = [part for part in flat.asGeometryCollection() if _is_area(part)]
            flat = QgsGeometry.unaryUnion(areas) if areas else QgsGeometry()
    if flat.isNull() or not _is_area(flat) or not flat.area() > _THINNEST * flat.length() ** 2:
        return QgsGeometry()
    flat.convertToMultiType()
    return flat


def _is_area(geometry: QgsGeometry) -> bool:
    return geometry.type() == POLYGON_GEOMETRY
