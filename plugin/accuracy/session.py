"""What the accuracy of which map is measured against; lives in the QGIS project."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..results import RESULT_PROPERTY, classes_of
from ..run_control import beside
from ..session import LabelingSession, is_readable

NO_CONFIDENCE = "none"
_USUAL_FIELDS = ("class_id", "class", "class_name")
_SCOPE, _KEY = "protolabel", "accuracy"


class ReferenceKind(Enum):
    """What the label map is compared with."""

    POINTS = "points"
    POLYGONS = "polygons"
    RASTER = "raster"


@dataclass(frozen=True)
class AccuracyChoices:
    """What the user has chosen; empty texts stand for "not chosen yet".

    Attributes:
        map: Layer id of the label map; empty takes the latest result.
        confidence: Layer id of the confidence raster, or :data:`NO_CONFIDENCE`; empty takes the one beside the map, if
            there is one.
        kind: A value of :class:`ReferenceKind`.
        polygons: Layer id of the reference polygons.
        class_field: Their field with the classes, or that of points that this plugin has not drawn.
        raster: Layer id of the reference raster.
        points: Layer id of the sample points.
        without_support: Whether pixels under support polygons are left out.
    """

    map: str = ""
    confidence: str = ""
    kind: str = ReferenceKind.POINTS.value
    polygons: str = ""
    class_field: str = ""
    raster: str = ""
    points: str = ""
    without_support: bool = True


class AccuracySession(QObject):
    """The choices of the current project; they are saved and opened with it."""

    changed = pyqtSignal()
    loaded = pyqtSignal()  # from another project

    def __init__(self, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.project = project
        self.choices = AccuracyChoices()
        project.readProject.connect(self.load)
        project.cleared.connect(self.load)
        project.writeProject.connect(self._store)
        self.load()

    def close(self) -> None:
        """Leave what the project shall hold in it, and let go of it."""
        self._store()
        self.project.readProject.disconnect(self.load)
        self.project.cleared.disconnect(self.load)
        self.project.writeProject.disconnect(self._store)

    def choose(self, **values: Any) -> None:
        """Change some of the choices."""
        choices = replace(self.choices, **values)
        if choices != self.choices:
            self.choices = choices
            self.project.setDirty(True)
            self.changed.emit()

    @property
    def kind(self) -> ReferenceKind:
        """What the map is compared with."""
        return ReferenceKind(self.choices.kind)

    @property
    def label_map(self) -> QgsRasterLayer | None:
        """The label map: the chosen one, else the latest result of a run, else any raster whose classes are named."""
        chosen = self.project.mapLayer(self.choices.map)
        if isinstance(chosen, QgsRasterLayer) and chosen.isValid():
            return chosen
        layers = [layer for id, layer in self.project.mapLayers().items() if id != self.choices.raster]
        maps = [layer for layer in layers if is_label_map(layer)]
        return max(maps, key=lambda layer: (is_result(layer), _written(layer)), default=None)

    @property
    def confidence(self) -> str:
        """What the backend opens the confidence raster by: of the chosen layer, else the file beside the map; or ""."""
        if self.choices.confidence == NO_CONFIDENCE:
            return ""
        chosen = self.project.mapLayer(self.choices.confidence)
        if chosen is not None:
            return chosen.source()
        found = self.confidence_beside()
        return str(found) if found else ""

    def confidence_beside(self) -> Path | None:
        """The confidence raster that a run has written beside the map."""
        label_map = self.label_map
        path = beside(Path(label_map.source()), "confidence", ".tif") if label_map is not None else None
        return path if path is not None and path.is_file() else None

    @property
    def raster(self) -> QgsRasterLayer | None:
        """The reference raster."""
        layer = self.project.mapLayer(self.choices.raster)
        return layer if isinstance(layer, QgsRasterLayer) and layer.isValid() else None

    def polygons(self, labeling: LabelingSession) -> QgsVectorLayer | None:
        """The reference polygons: the chosen layer, else the one that validation polygons are drawn into."""
        layer = self.project.mapLayer(self.choices.polygons)
        chosen = layer if isinstance(layer, QgsVectorLayer) and layer.isValid() else None
        return chosen or labeling.support

    def class_field(self, layer: QgsVectorLayer) -> str:
        """The field of a layer with its classes: the chosen one, else one with a usual name, or ""."""
        wanted = (self.choices.class_field, *_USUAL_FIELDS)
        return next((name for name in wanted if name and layer.fields().lookupField(name) >= 0), "")

    @property
    def points(self) -> QgsVectorLayer | None:
        """The layer of the sample points."""
        layer = self.project.mapLayer(self.choices.points)
        return layer if isinstance(layer, QgsVectorLayer) and layer.isValid() else None

    def load(self) -> None:
        """Take over what the project holds; what is not understood of it is left out."""
        text, _ = self.project.readEntry(_SCOPE, _KEY, "")
        self.choices = _read(text)
        path = self.project.pathResolver().readPath(_path_of(text))
        if self.points is None and path and Path(path.partition("|")[0]).is_file():
            layer = QgsVectorLayer(
                path, Path(path.partition("|")[0]).stem, "ogr"
            )  # it was taken out of the project
            if layer.isValid():
                self.project.addMapLayer(layer)
                self.choices = replace(self.choices, points=layer.id())
        self.loaded.emit()
        self.changed.emit()

    def _store(self, *document: object) -> None:
        if self.choices == AccuracyChoices():
            self.project.removeEntry(_SCOPE, _KEY)
            return
        points = self.points
        # Relative when the project's paths are.
        path = self.project.pathResolver().writePath(points.source()) if points is not None else ""
        self.project.writeEntry(_SCOPE, _KEY, json.dumps({**asdict(self.choices), "points_path": path}))


def is_result(layer: object) -> bool:
    """Whether a run has made a layer."""
    return isinstance(layer, QgsRasterLayer) and bool(layer.customProperty(RESULT_PROPERTY))


def is_label_map(layer: object) -> bool:
    """Whether a layer is a raster of classes with names that the backend may be able to read."""
    if not is_readable(layer) or not layer.isValid() or layer.bandCount() != 1:
        return False
    return any(entry.name and entry.name != str(entry.id) for entry in classes_of(layer))


def _written(layer: QgsRasterLayer) -> float:
    try:
        return Path(layer.source()).stat().st_mtime
    except OSError:
        return 0.0


def _read(text: str) -> AccuracyChoices:
    try:
        values = json.loads(text)
    except ValueError:
        return AccuracyChoices()
    choices = AccuracyChoices()
    for item in fields(AccuracyChoices) if isinstance(values, dict) else ():
        value = values.get(item.name)
        if type(value) is type(item.default):
            choices = replace(choices, **{item.name: value})
    known = any(choices.kind == kind.value for kind in ReferenceKind)
    return choices if known else replace(choices, kind=AccuracyChoices.kind)


def _path_of(text: str) -> str:
    try:
        path = json.loads(text).get("points_path")
    except (ValueError, AttributeError):
        return ""
    return path if isinstance(path, str) else ""
