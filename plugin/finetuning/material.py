"""What a model is fine-tuned on, as the worker takes it: the polygons of a session, or rasters with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorFileWriter, QgsVectorLayer

from ..request_fields import NotReadyError, taught_by
from ..session import LabelingSession, is_readable
from ..support_layer import snapshot
from ..translation import tr

_POLYGONS = "polygons.gpkg"  # of the session, in a run's folder


@dataclass(frozen=True)
class LabeledRaster:
    """A raster with its labels, each a layer of the project or the path of a file.

    Attributes:
        raster: The imagery.
        labels: A raster of class ids, or polygons.
        class_field: Of polygons: whole numbers, or texts, which are the names then.
    """

    raster: QgsMapLayer | str
    labels: QgsMapLayer | str
    class_field: str = ""


def session_rasters(session: LabelingSession) -> list[QgsRasterLayer]:
    """The rasters of a session that polygons lie on, the one in work first."""
    return taught_by(session, with_own=True)


def session_fields(
    session: LabelingSession, rasters: Sequence[QgsRasterLayer], folder: Path
) -> dict[str, Any]:
    """The fields of a ``FinetuningMessage`` for polygons of the session; in the GUI thread, since it reads layers.

    Args:
        session: The session.
        rasters: Those of it that count.
        folder: Where the polygons are written to as they are now, those for validation with them.

    Raises:
        NotReadyError: When rasters or polygons are missing.
        SupportLayerError: When the polygons cannot be written.
    """
    support, entries = session.support, session.classes.entries()
    if not rasters:
        raise NotReadyError(tr("Choose at least one raster that polygons lie on."))
    if support is None or not entries:
        raise NotReadyError(
            tr("This session has no polygons yet; draw some, or choose rasters with labels instead.")
        )
    polygons = folder / _POLYGONS
    snapshot(support, polygons, [entry.id for entry in entries], validation=True)
    # As in labelling, one stretch serves all rasters: that of the first one.
    first = session.choice_of(rasters[0].id())
    return {
        "data": tuple({"raster": layer.source(), "polygons": str(polygons)} for layer in rasters),
        "classes": tuple({"id": entry.id, "name": entry.name, "color": entry.color} for entry in entries),
        "bands": first.bands if first else None,
        "stretch": first.stretch if first else None,
    }


def chosen_fields(rows: Sequence[LabeledRaster], folder: Path) -> dict[str, Any]:
    """The fields of a ``FinetuningMessage`` for rasters that were chosen; in the GUI thread, since it reads layers.

    Args:
        rows: The rasters and their labels.
        folder: Where polygon layers are written to as they are now, with edits and filters.

    Raises:
        NotReadyError: When something is missing or cannot be read by the backend.
    """
    if not rows:
        raise NotReadyError(tr("Add a raster and its labels."))
    written: dict[str, Path] = {}  # one layer may hold the labels of several rasters
    return {"data": tuple(_item(row, folder, written) for row in rows)}


def is_polygons(labels: QgsMapLayer | str) -> bool:
    """Whether labels are polygons; a file is looked at."""
    layer = labels if isinstance(labels, QgsMapLayer) else QgsVectorLayer(labels, "", "ogr")
    return isinstance(layer, QgsVectorLayer) and layer.isValid()


def _item(row: LabeledRaster, folder: Path, written: dict[str, Path]) -> dict[str, Any]:
    raster = _raster_path(row.raster)
    if not is_polygons(row.labels):
        return {"raster": raster, "labels": _raster_path(row.labels)}
    if not row.class_field:
        raise NotReadyError(tr("Choose the field that holds the classes."))
    if isinstance(row.labels, str):
        path = Path(row.labels)
    else:
        known = row.labels.id() in written
        path = written.setdefault(row.labels.id(), folder / f"layer{len(written) + 1}.gpkg")
        if not known:
            _write(row.labels, path)
    return {"raster": raster, "polygons": str(path), "class_field": row.class_field}


def _raster_path(raster: QgsMapLayer | str) -> str:
    if isinstance(raster, str):
        return raster
    if not is_readable(raster):
        raise NotReadyError(tr("{0} comes from a server: export a part of it first.").format(raster.name()))
    return raster.source()


def _write(layer: QgsVectorLayer, path: Path) -> None:
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    context = QgsProject.instance().transformContext()
    error, reason, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    if error != QgsVectorFileWriter.WriterError.NoError:
        raise NotReadyError(
            tr(
                "The polygons of {0} cannot be copied ({1}); save them as a GeoPackage and choose that."
            ).format(layer.name(), reason.strip().rstrip("."))
        )
