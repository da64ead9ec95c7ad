"""What the requests to the backend have in common, taken from the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)

from .session import LabelingSession, is_readable
from .support_layer import snapshot
from .translation import tr


class NotReadyError(Exception):
    """Something is missing before anything can be labelled; the message tells what to do."""


def labeling_fields(session: LabelingSession, polygons: Path, device: str) -> dict[str, Any]:
    """The fields of a ``LabelingMessage``; in the GUI thread, since it reads layers.

    Args:
        session: The session.
        polygons: File that the support polygons are written to, as they are now.
        device: Device to work on.

    Raises:
        NotReadyError: When the raster or the polygons are missing.
        SupportLayerError: When the polygons cannot be written.
    """
    raster, support, choice = session.raster, session.support, session.choice
    entries = session.classes.entries()
    if raster is None or choice is None:
        raise NotReadyError(tr("Choose the raster to label."))
    if not is_readable(raster):
        raise NotReadyError(tr("This layer comes from a server: export a part of it first."))
    if support is None or not entries:
        raise NotReadyError(tr("Add at least two classes and draw a polygon for each."))
    snapshot(support, polygons, [entry.id for entry in entries])
    options, others = session.options, taught_by(session)
    # One stretch serves all rasters: that of the first one that polygons were drawn on.
    first = session.choice_of(others[0].id()) if others else choice
    return {
        "id": 0,
        "raster": raster.source(),
        "support": str(polygons),
        "model": options.model,
        "head": options.head,
        "spectral": options.spectral,
        "bands": choice.bands,
        "stretch": first.stretch if first else None,
        "scale": options.scale,
        "crf": options.crf,
        "device": device,
        "support_rasters": tuple(layer.source() for layer in others) or None,
        "classes": tuple({"id": entry.id, "name": entry.name, "color": entry.color} for entry in entries),
    }


def for_people(text: str, message: object) -> str:
    """What the backend says, without the names of files that were written for one request only."""
    for field, name in (("support", tr("the support layer")), ("area", tr("the selected features"))):
        path = getattr(message, field, None)
        if path:
            text = text.replace(path, name)
    return text[:1].upper() + text[1:]


def taught_by(session: LabelingSession, with_own: bool = False) -> list[QgsRasterLayer]:
    """The other rasters of the session that support polygons lie on, and on demand the one in work, then first."""
    support, own = session.support, session.raster
    if support is None:
        return []
    layers = []
    first = [own] if with_own and own is not None and is_readable(own) else []
    for layer in (*first, *session.other_rasters()):
        extent = layer_extent(layer, support.crs(), session.project)
        request = QgsFeatureRequest().setFilterRect(extent).setLimit(1)
        if not extent.isEmpty() and any(True for _ in support.getFeatures(request)):
            layers.append(layer)
    return layers


def layer_extent(layer: QgsRasterLayer, crs: Any, project: QgsProject) -> QgsRectangle:
    """A layer's extent in another system; empty where it has none there."""
    try:
        return QgsCoordinateTransform(layer.crs(), crs, project).transformBoundingBox(layer.extent())
    except QgsCsException:
        return QgsRectangle()
