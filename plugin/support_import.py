"""Polygons of other layers become support polygons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from .classes import ClassError, ClassTable, ClassWish
from .compat import POLYGON_GEOMETRY
from .geometries import clean_polygon
from .support_layer import SUPPORT, VALIDATION, SupportLayerError, edit_step, is_validation, support_feature
from .translation import tr

_WHOLE = re.compile(r"[-+]?[0-9]+(\.0*)?")


@dataclass(frozen=True)
class _Polygon:
    """A polygon in the support layer's coordinates; its class is an id, or a name in lower case."""

    value: int | str
    name: str | None
    geometry: QgsGeometry
    use: str


def import_polygons(
    source: QgsVectorLayer,
    class_field: str,
    name_field: str | None,
    table: ClassTable,
    layer: QgsVectorLayer,
    notes: list[str] | None = None,
) -> int:
    """Copy the polygons of a layer into the support layer, as one step of its undo, and their classes into the table.

    Classes are found by their names, whatever the case. New ones keep their ids where those are free.

    Args:
        source: A layer of polygons; a field ``use`` that says "validation" is kept.
        class_field: Whole numbers, or texts, which are the names then.
        name_field: Names for the numbers, or None.
        table: Gets the classes.
        layer: The support layer.
        notes: What the user should know is added here.

    Returns:
        How many polygons were copied.

    Raises:
        SupportLayerError: When the layer, the field or its values cannot serve; nothing is changed then.
    """
    notes = [] if notes is None else notes
    _check(source, class_field, name_field)
    polygons = _polygons(source, class_field, name_field, layer, notes)
    if not polygons:
        raise SupportLayerError(
            tr("{layer} holds no polygon with a class; choose another layer or field.").format(
                layer=source.name()
            )
        )
    wishes = _wishes(polygons)
    before = table.undo_stack.index()
    try:
        text = tr("Import classes of {layer}").format(layer=source.name())
        entries = dict(zip(wishes, table.merge(wishes.values(), text)))  # noqa: B905 - Python 3.9
    except ClassError as error:
        raise SupportLayerError(tr("{layer}: {reason}").format(layer=source.name(), reason=error)) from error
    try:
        with edit_step(layer, tr("Import polygons of {layer}").format(layer=source.name())):
            features = [
                support_feature(layer, polygon.geometry, entries[polygon.value], polygon.use)
                for polygon in polygons
            ]
            if not layer.addFeatures(features):
                raise SupportLayerError(
                    tr("The layer {name} takes no polygons; make a new support layer.").format(
                        name=layer.name()
                    )
                )
    except SupportLayerError:
        table.undo_stack.setIndex(before)
        raise
    moved = [f"{value} → {entry.id}" for value, entry in entries.items() if _moved(value, entry.id)]
    if moved:
        notes.append(
            tr("Some class ids are taken by other classes and became new ones: {ids}.").format(
                ids=", ".join(moved)
            )
        )
    return len(polygons)


def _check(source: QgsVectorLayer, class_field: str, name_field: str | None) -> None:
    if not source.isValid() or source.geometryType() != POLYGON_GEOMETRY:
        raise SupportLayerError(
            tr("{layer} is no layer of polygons; choose one that is.").format(layer=source.name())
        )
    for field in (class_field, name_field):
        if field is not None and source.fields().lookupField(field) < 0:
            raise SupportLayerError(
                tr("{layer} has no field {field}; choose one of {known}.").format(
                    layer=source.name(), field=field, known=", ".join(source.fields().names()) or tr("none")
                )
            )


def _polygons(
    source: QgsVectorLayer, class_field: str, name_field: str | None, layer: QgsVectorLayer, notes: list[str]
) -> list[_Polygon]:
    transform = QgsCoordinateTransform(source.crs(), layer.crs(), QgsProject.instance().transformContext())
    if not source.crs().isValid() and layer.crs().isValid():
        notes.append(
            tr("{layer} has no CRS; the one of the support layer is taken.").format(layer=source.name())
        )
    has_use = source.fields().lookupField("use") >= 0
    features = list(source.getFeatures())
    texts = _are_texts(features, class_field)
    polygons, empty, unclassed, elsewhere = [], 0, 0, 0
    for feature in features:
        value = _value(feature[class_field], texts, source.name(), class_field)
        geometry = clean_polygon(feature.geometry())
        if geometry.isNull():
            empty += 1
        elif value is None:
            unclassed += 1
        elif not _reproject(geometry, transform):
            elsewhere += 1
        else:
            label = class_field if texts else name_field
            name = _text(feature[label]) if label else ""
            use = VALIDATION if has_use and is_validation(feature) else SUPPORT
            polygons.append(_Polygon(value, name or None, geometry, use))
    if empty:
        notes.append(tr("{count} features without an area were skipped.").format(count=empty))
    if unclassed:
        text = tr("{count} polygons without a value in the field {field} were skipped.")
        notes.append(text.format(count=unclassed, field=class_field))
    if elsewhere:
        text = tr("{count} polygons outside of the area of the support layer's CRS were skipped.")
        notes.append(text.format(count=elsewhere))
    return polygons


def _are_texts(features: list[QgsFeature], field: str) -> bool:
    """Whether the field holds names; numbers that are stored as text are numbers."""
    values = [text for text in (_text(feature[field]) for feature in features) if text]
    return not all(_WHOLE.fullmatch(text) for text in values) and any(
        isinstance(feature[field], str) for feature in features
    )


def _value(value: Any, texts: bool, layer: str, field: str) -> int | str | None:
    text = _text(value)
    if not text:
        return None
    if texts:
        return " ".join(text.split()).casefold()
    if not _WHOLE.fullmatch(text):
        raise SupportLayerError(
            tr(
                "The field {field} of {layer} holds {value}; choose a field with whole numbers or names."
            ).format(field=field, layer=layer, value=text)
        )
    return int(text.partition(".")[0])


def _wishes(polygons: list[_Polygon]) -> dict[int | str, ClassWish]:
    """The class that each value stands for, in the order of the numbers or names; the first spelling counts."""
    names: dict[int | str, str | None] = {}
    for polygon in polygons:
        names[polygon.value] = names.get(polygon.value) or polygon.name
    return {
        value: ClassWish(value if isinstance(value, int) else None, names[value]) for value in sorted(names)
    }


def _reproject(geometry: QgsGeometry, transform: QgsCoordinateTransform) -> bool:
    try:
        geometry.transform(transform)
    except QgsCsException:
        return False
    return geometry.boundingBox().isFinite()


def _moved(value: int | str, id: int) -> bool:
    return isinstance(value, int) and value != id


def _text(value: Any) -> str:
    """A value as text; nothing for one that is missing."""
    missing = value is None or (isinstance(value, QVariant) and value.isNull()) or value != value
    return "" if missing else str(value).strip()
