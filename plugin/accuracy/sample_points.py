"""A layer of sample points that an analyst labels; each label is in its file at once."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from qgis.core import (
    NULL,
    QgsFeature,
    QgsMapLayer,
    QgsPointXY,
    QgsVectorDataProvider,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..classes import ClassEntry
from ..compat import POINT_GEOMETRY
from ..support_layer import missing_file
from ..translation import tr

TABLE = "points"  # name of the layer inside of the GeoPackage
_FIELDS = ("point_id", "map_class", "class_id", "class_name", "skipped")


class SamplePointsError(Exception):
    """Sample points that cannot be read or labelled; the message is one sentence with the fix."""


@dataclass(frozen=True)
class SamplePoint:
    """One point.

    Attributes:
        feature: Id of its feature.
        place: In the layer's coordinates.
        map_class: The class that the map has there.
        class_id: The class that the analyst has seen there; None until then.
        class_name: Its name, "" until then.
        skipped: Whether the analyst could not tell.
    """

    feature: int
    place: QgsPointXY
    map_class: int | None
    class_id: int | None
    class_name: str
    skipped: bool

    @property
    def is_open(self) -> bool:
        """Whether there is something to do yet."""
        return self.class_id is None and not self.skipped


@dataclass(frozen=True)
class SampleCount:
    """How far the labelling is.

    Attributes:
        labelled: Points with a class.
        skipped: Points that the analyst could not tell.
        left: Points that wait.
    """

    labelled: int
    skipped: int
    left: int


class SamplePoints(QObject):
    """The points of a layer in the order of labelling, which the drawing has shuffled."""

    changed = pyqtSignal()
    gone = pyqtSignal()  # the layer was removed

    def __init__(self, layer: QgsVectorLayer, parent: QObject | None = None) -> None:
        """Read the points.

        Raises:
            SamplePointsError: When the layer is none of sample points, or holds none.
        """
        super().__init__(parent)
        if not is_sample_layer(layer):
            raise SamplePointsError(
                tr("{0} holds no sample points; draw some with Draw Points….").format(layer.name())
            )
        self._layer: QgsVectorLayer | None = layer
        self._points: list[SamplePoint] = []
        self._undo: list[tuple[int, SamplePoint]] = []  # places in the order, and what was there
        self._read()
        if not self._points:
            raise SamplePointsError(tr("{0} holds no point; draw some.").format(layer.name()))
        layer.afterCommitChanges.connect(self._on_edited)
        layer.willBeDeleted.connect(self._on_deleted)

    def close(self) -> None:
        """Hear nothing more of the layer."""
        layer, self._layer = self._layer, None
        if layer is not None:
            layer.afterCommitChanges.disconnect(self._on_edited)
            layer.willBeDeleted.disconnect(self._on_deleted)

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The layer, None when it was removed."""
        return self._layer

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, index: int) -> SamplePoint:
        return self._points[index]

    def count(self) -> SampleCount:
        """How far the labelling is."""
        labelled = sum(point.class_id is not None for point in self._points)
        left = sum(point.is_open for point in self._points)
        return SampleCount(labelled, len(self._points) - labelled - left, left)

    def next_open(self, after: int = -1) -> int | None:
        """The first point behind another one that is not labelled yet, from the start again where there is none."""
        places = [*range(after + 1, len(self._points)), *range(min(after + 1, len(self._points)))]
        return next((place for place in places if self._points[place].is_open), None)

    def other_classes(self, known: Collection[int]) -> list[int]:
        """Classes that points were labelled with and that are not known, in order."""
        given = {point.class_id for point in self._points if point.class_id is not None}
        return sorted(given - set(known))

    def label(self, index: int, entry: ClassEntry) -> None:
        """Give a point a class.

        Raises:
            SamplePointsError: When it cannot be saved.
        """
        self._change(index, replace(self[index], class_id=entry.id, class_name=entry.name, skipped=False))

    def skip(self, index: int) -> None:
        """Tell that a point cannot be told.

        Raises:
            SamplePointsError: When it cannot be saved.
        """
        self._change(index, replace(self[index], class_id=None, class_name="", skipped=True))

    def undo(self) -> int | None:
        """Take back the last step; returns which point it was of, None when there is none.

        Raises:
            SamplePointsError: When it cannot be saved.
        """
        if not self._undo:
            return None
        index, before = self._undo[-1]
        self._write(before)
        self._undo.pop()
        self._points[index] = before
        self.changed.emit()
        return index

    def _change(self, index: int, point: SamplePoint) -> None:
        self._write(point)
        self._undo.append((index, self[index]))
        self._points[index] = point
        self.changed.emit()

    def _write(self, point: SamplePoint) -> None:
        """Write a point into the file, past the layer's edit buffer, so that a crash loses nothing."""
        layer = self._layer
        if layer is None:
            raise SamplePointsError(tr("The layer of the points was removed; open its file again."))
        if layer.isModified():
            raise SamplePointsError(tr("Save the edits of the layer {0} first.").format(layer.name()))
        gone = missing_file(layer)
        if gone is not None:
            raise SamplePointsError(tr("{0} is gone: bring the file back.").format(gone))
        fields, provider = layer.fields(), layer.dataProvider()
        values = {
            "class_id": NULL if point.class_id is None else point.class_id,
            "class_name": point.class_name or NULL,
            "skipped": int(point.skipped),
        }
        numbered = {fields.lookupField(name): value for name, value in values.items()}
        can = provider.capabilities() & QgsVectorDataProvider.Capability.ChangeAttributeValues
        if (
            not can
            or not _is_writable(layer)
            or not provider.changeAttributeValues({point.feature: numbered})
        ):
            raise SamplePointsError(
                tr(
                    "{0} cannot be written, so nothing was saved: check that the file may be written to and that the "
                    "disk is not full."
                ).format(_file(layer))
            )
        layer.triggerRepaint()

    def _read(self) -> None:
        features = list(self._layer.getFeatures()) if self._layer is not None else []
        features.sort(key=lambda feature: _integer(feature["point_id"]) or 0)
        self._points = [_read_point(f) for f in features if f.hasGeometry() and not f.geometry().isEmpty()]

    def _on_edited(self) -> None:
        """Someone has edited the layer by other means; steps before that cannot be taken back any more."""
        self._undo.clear()
        self._read()
        self.changed.emit()

    def _on_deleted(self) -> None:
        self._layer = None
        self.gone.emit()


def is_sample_layer(layer: QgsMapLayer | None) -> bool:
    """Tell whether a layer has the fields of sample points."""
    if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
        return False
    return layer.geometryType() == POINT_GEOMETRY and all(
        layer.fields().lookupField(name) >= 0 for name in _FIELDS
    )


def open_sample(path: Path) -> QgsVectorLayer:
    """Open a file of sample points.

    Raises:
        SamplePointsError: When it is none.
    """
    layer = QgsVectorLayer(f"{path}|layername={TABLE}", Path(path).stem, "ogr")
    if not is_sample_layer(layer):
        raise SamplePointsError(tr("{0} is no file of sample points; choose another one.").format(path))
    return layer


def _read_point(feature: QgsFeature) -> SamplePoint:
    geometry = feature.geometry()
    place = QgsPointXY(geometry.vertexAt(0))
    class_id = _integer(feature["class_id"])
    name = "" if feature["class_name"] == NULL else str(feature["class_name"])
    skipped = class_id is None and bool(_integer(feature["skipped"]))
    return SamplePoint(feature.id(), place, _integer(feature["map_class"]), class_id, name, skipped)


def _integer(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None


def _file(layer: QgsVectorLayer) -> Path:
    return Path(layer.source().partition("|")[0])


def _is_writable(layer: QgsVectorLayer) -> bool:
    """On a read-only disk QGIS notices only when it is too late."""
    return not _file(layer).is_file() or os.access(_file(layer), os.W_OK)
