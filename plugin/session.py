"""What the analyst works on: raster, classes, support polygons and options; lives in the QGIS project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from .classes import ClassTable

_SCOPE, _KEY = "protolabel", "session"
_VERSION = 1
_T = TypeVar("_T")


@dataclass(frozen=True)
class RasterChoice:
    """How one raster is read; the same whenever it is read again.

    Attributes:
        layer_id: Of the raster layer.
        bands: Band numbers from 1: red, green, blue and extras; None lets the backend choose.
        stretch: The raster values that become 0 and 255, one each per band; None until the backend has told.
    """

    layer_id: str
    bands: tuple[int, ...] | None = None
    stretch: tuple[tuple[float, ...], tuple[float, ...]] | None = None


@dataclass(frozen=True)
class SessionOptions:
    """How to label; None stands for the backend's own choice, see ``backend.labeling.LabelOptions``.

    Attributes:
        confidence: Whether a run writes a confidence raster.
        vector: Whether a run writes polygons.
    """

    model: str | None = None
    head: str = "auto"
    spectral: bool = True
    scale: float | None = None
    crf: bool = True
    confidence: bool = True
    vector: bool = False


class LabelingSession(QObject):
    """The session of the current project; it is saved and opened with it."""

    changed = pyqtSignal()  # anything
    rasterChanged = pyqtSignal()
    supportChanged = pyqtSignal()  # another layer, not its polygons
    loaded = pyqtSignal()  # from another project

    def __init__(self, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.project = project
        self.classes = ClassTable(self)
        self.options = SessionOptions()
        self._rasters: dict[str, RasterChoice] = {}
        self._raster_id: str | None = None
        self._support_id: str | None = None
        self._loading = False
        self.classes.changed.connect(self._on_change)
        project.readProject.connect(self.load)
        project.cleared.connect(self.load)
        project.writeProject.connect(self._store)
        project.layersRemoved.connect(self._on_layers_removed)
        self.load()

    def close(self) -> None:
        """Leave what the project shall hold in it, and let go of it."""
        self._store()
        self.project.readProject.disconnect(self.load)
        self.project.cleared.disconnect(self.load)
        self.project.writeProject.disconnect(self._store)
        self.project.layersRemoved.disconnect(self._on_layers_removed)

    @property
    def raster(self) -> QgsRasterLayer | None:
        """The raster in work."""
        layer = self.project.mapLayer(self._raster_id) if self._raster_id else None
        return layer if isinstance(layer, QgsRasterLayer) and layer.isValid() else None

    @property
    def support(self) -> QgsVectorLayer | None:
        """The layer of the support polygons."""
        layer = self.project.mapLayer(self._support_id) if self._support_id else None
        return layer if isinstance(layer, QgsVectorLayer) and layer.isValid() else None

    @property
    def choice(self) -> RasterChoice | None:
        """How the raster in work is read."""
        return self._rasters.get(self._raster_id) if self._raster_id and self.raster else None

    def choice_of(self, layer_id: str) -> RasterChoice | None:
        """How a raster of this session is read."""
        return self._rasters.get(layer_id)

    def other_rasters(self) -> list[QgsRasterLayer]:
        """The rasters of this session beside the one in work that the backend can read; they may hold polygons, too."""
        layers = [self.project.mapLayer(id) for id in self._rasters if id != self._raster_id]
        return [layer for layer in layers if layer is not None and layer.isValid() and is_readable(layer)]

    def set_raster(self, layer: QgsRasterLayer | None) -> None:
        """Work on a raster; classes and support polygons stay, and it is remembered how the earlier one is read."""
        id = layer.id() if layer is not None else None
        if id == self._raster_id:
            return
        self._raster_id = id
        if id is not None and id not in self._rasters:
            self._rasters[id] = RasterChoice(id)
        self._on_change()
        self.rasterChanged.emit()

    def set_bands(self, bands: Sequence[int] | None) -> None:
        """Choose the bands of the raster in work; the stretch is then another one."""
        choice = self.choice
        if choice is not None:
            self._rasters[choice.layer_id] = replace(
                choice, bands=tuple(bands) if bands else None, stretch=None
            )
            self._on_change()
            self.rasterChanged.emit()

    def set_stretch(self, layer_id: str, stretch: Sequence[Sequence[float]]) -> None:
        """Keep the stretch that the backend has estimated, so that every later read uses the same one."""
        choice = self._rasters.get(layer_id)
        if choice is not None and choice.stretch is None:
            low, high = stretch
            self._rasters[layer_id] = replace(choice, stretch=(tuple(low), tuple(high)))
            self._on_change()

    def set_support(self, layer: QgsVectorLayer | None) -> None:
        """Work with a support layer."""
        id = layer.id() if layer is not None else None
        if id != self._support_id:
            self._support_id = id
            self._on_change()
            self.supportChanged.emit()

    def set_options(self, **values: Any) -> None:
        """Change some of the options."""
        options = replace(self.options, **values)
        if options != self.options:
            self.options = options
            self._on_change()

    def load(self) -> None:
        """Take over what the project holds; what is not understood of it is left out."""
        text, _ = self.project.readEntry(_SCOPE, _KEY, "")
        values = _read(text)
        self._loading = True
        try:
            self.classes.load_dict(_as(dict, values.get("classes")))
            self.options = _read_options(_as(dict, values.get("options")))
            choices = map(_read_choice, _as(list, values.get("rasters")))
            self._rasters = {choice.layer_id: choice for choice in choices if choice is not None}
            self._raster_id = _as(str, values.get("raster")) or None
            self._support_id = self._find_support(
                _as(str, values.get("support")), _as(str, values.get("support_path"))
            )
        finally:
            self._loading = False
        self.loaded.emit()
        self.rasterChanged.emit()
        self.supportChanged.emit()
        self.changed.emit()

    def _find_support(self, id: str, path: str) -> str | None:
        """The support layer's id; a file whose layer was taken out of the project is opened again."""
        if id and self.project.mapLayer(id) is None and path:
            file = self.project.pathResolver().readPath(path)
            if Path(file.partition("|")[0]).is_file():
                layer = QgsVectorLayer(file, Path(file.partition("|")[0]).stem, "ogr")
                if layer.isValid():
                    self.project.addMapLayer(layer)
                    return layer.id()
        return id or None

    def _on_change(self) -> None:
        if not self._loading:
            self.project.setDirty(True)
            self.changed.emit()

    def _store(self, *document: object) -> None:
        # Only when the project is written: then it is known what its paths are relative to, and layers that go one by
        # one while a project is closed are no change of it.
        support = self.support
        if not (self._rasters or self._support_id or self.classes.entries()):
            self.project.removeEntry(_SCOPE, _KEY)
            return
        values = {
            "version": _VERSION,
            "raster": self._raster_id,
            "rasters": [asdict(choice) for choice in self._rasters.values()],
            "support": self._support_id,
            # Relative when the project's paths are.
            "support_path": self.project.pathResolver().writePath(support.source()) if support else None,
            "classes": self.classes.to_dict(),
            "options": asdict(self.options),
        }
        self.project.writeEntry(_SCOPE, _KEY, json.dumps(values))

    def _on_layers_removed(self, ids: list[str]) -> None:
        if self._loading:
            return
        gone = [id for id in ids if self._rasters.pop(id, None) is not None]
        if self._raster_id in ids:
            self._raster_id = None
            self._on_change()
            self.rasterChanged.emit()
        elif gone:
            self._on_change()  # polygons on them teach no longer
        if self._support_id in ids:
            self._support_id = None
            self._on_change()
            self.supportChanged.emit()


def is_readable(layer: QgsMapLayer) -> bool:
    """Whether the backend may be able to read a raster layer by itself, which GDAL's are."""
    return isinstance(layer, QgsRasterLayer) and layer.providerType() == "gdal"


def _read(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    known = isinstance(values, dict) and values.get("version", _VERSION) == _VERSION
    return values if known else {}


def _as(kind: type[_T], value: object) -> _T:
    """The value, or an empty one of the kind that was expected."""
    return value if isinstance(value, kind) else kind()


def _read_options(values: dict[str, Any]) -> SessionOptions:
    options = SessionOptions()
    for name, value in values.items():
        # The defaults that are None stand for texts and numbers, which the backend checks.
        default = getattr(options, name, value)
        if hasattr(options, name) and (default is None or isinstance(value, type(default))):
            options = replace(options, **{name: value})
    return options


def _read_choice(values: object) -> RasterChoice | None:
    try:
        bands, stretch = values.get("bands"), values.get("stretch")  # type: ignore[attr-defined]
        low, high = stretch or ((), ())
        return RasterChoice(
            str(values["layer_id"]),  # type: ignore[index]
            tuple(map(int, bands)) if bands else None,
            (tuple(map(float, low)), tuple(map(float, high))) if stretch else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
