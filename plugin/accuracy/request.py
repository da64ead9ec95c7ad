"""The requests of the accuracy assessment, with layers as files that the backend can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsFileUtils, QgsProject, QgsRasterLayer, QgsVectorLayer

from ..request_fields import NotReadyError
from ..session import LabelingSession, is_readable
from ..support_layer import count_polygons, is_support_layer
from ..translation import tr
from ..vector_files import copy_layer, file_of
from .sample_points import SamplePoints, SamplePointsError, is_sample_layer
from .session import AccuracySession, ReferenceKind

# Fields of sample points and of support layers that mean something to the backend.
_KNOWN_FIELDS = (
    "point_id", "map_class", "map_name", "stratum_pixels", "class_id", "class_name", "skipped", "use",
)  # fmt: skip


def accuracy_fields(session: AccuracySession, labeling: LabelingSession, folder: Path) -> dict[str, Any]:
    """The inputs of :class:`backend.messages.Accuracy`; in the GUI thread, since it reads layers.

    Args:
        session: What is chosen.
        labeling: Whose support polygons are left out.
        folder: Where layers are written to as they are now.

    Raises:
        NotReadyError: When something is missing.
    """
    layer, field = _reference(session, labeling)
    vector = isinstance(layer, QgsVectorLayer)
    reference, reference_name = _file(layer, folder, field) if vector else (layer.source(), None)
    support, support_name = support_file(session, labeling, folder)
    return {
        "labels": map_source(session),
        "reference": reference,
        "class_field": field,
        "support": support,
        "confidence": session.confidence or None,
        "reference_name": reference_name,
        "support_name": support_name,
    }


def map_source(session: AccuracySession) -> str:
    """What the backend opens the label map by.

    Raises:
        NotReadyError: When there is none, or one that the backend cannot read.
    """
    label_map = session.label_map
    if label_map is None:
        raise NotReadyError(tr("Choose the label map to assess."))
    if not is_readable(label_map):
        raise NotReadyError(tr("The label map comes from a server: save it as a GeoTIFF first."))
    return label_map.source()


def support_file(
    session: AccuracySession, labeling: LabelingSession, folder: Path
) -> tuple[str | None, str | None]:
    """A file with the support polygons that are to be left out, and the layer's name where it is a copy.

    Returns:
        Nothing for both when no polygon is to be left out.

    Raises:
        NotReadyError: When it cannot be written.
    """
    support = labeling.support
    if support is None or not session.choices.without_support:
        return None, None
    counts = count_polygons(support, support.crs(), None)
    drawn = any(count.polygons for count in counts.values())
    return _file(support, folder, "class_id") if drawn else (None, None)


def _reference(
    session: AccuracySession, labeling: LabelingSession
) -> tuple[QgsVectorLayer | QgsRasterLayer, str]:
    """The layer to compare with, and its field of the classes ("class_id" for a raster, which has none)."""
    if session.kind is ReferenceKind.POINTS:
        return _points(session)
    if session.kind is ReferenceKind.POLYGONS:
        return _polygons(session, labeling)
    raster = session.raster
    if raster is None:
        raise NotReadyError(tr("Choose the reference raster."))
    if not is_readable(raster):
        raise NotReadyError(tr("The reference raster comes from a server: save it as a GeoTIFF first."))
    if session.label_map is not None and raster.source() == session.label_map.source():
        raise NotReadyError(tr("The reference raster is the label map itself: choose another one."))
    return raster, "class_id"


def _points(session: AccuracySession) -> tuple[QgsVectorLayer, str]:
    layer = session.points
    if layer is None:
        raise NotReadyError(tr("There are no points yet: draw some with Draw Points…."))
    if not is_sample_layer(layer):
        return layer, _field(layer, session)
    try:
        points = SamplePoints(layer)
    except SamplePointsError as error:
        raise NotReadyError(str(error)) from error
    labelled = points.count().labelled
    points.close()
    if not labelled:
        raise NotReadyError(tr("No point is labelled yet: choose Label Points."))
    return layer, "class_id"


def _polygons(session: AccuracySession, labeling: LabelingSession) -> tuple[QgsVectorLayer, str]:
    layer = session.polygons(labeling)
    if layer is None:
        raise NotReadyError(tr("Choose the layer with the reference polygons."))
    if is_support_layer(layer):
        counts = count_polygons(layer, layer.crs(), None)
        if not any(count.validation for count in counts.values()):
            raise NotReadyError(
                tr(
                    "There is no validation polygon yet: choose “Draw for validation” in the Protolabel panel."
                )
            )
        return layer, "class_id"
    return layer, _field(layer, session)


def _field(layer: QgsVectorLayer, session: AccuracySession) -> str:
    name = session.class_field(layer)
    if not name:
        raise NotReadyError(tr("Choose the field of {0} that holds the classes.").format(layer.name()))
    return name


def _file(layer: QgsVectorLayer, folder: Path, class_field: str) -> tuple[str, str | None]:
    """The layer's file, else a copy of it and the layer's name, which the report tells in place of the copy's."""
    file = file_of(layer)
    if file is not None:
        return file, None
    path = Path(folder) / f"{QgsFileUtils.stringToSafeFilename(layer.name()) or 'layer'}.gpkg"
    context = QgsProject.instance().transformContext()
    reason = copy_layer(layer, path, context, (class_field, *_KNOWN_FIELDS))
    if reason:
        text = tr("The layer {0} cannot be read ({1}); check that its file is there.")
        raise NotReadyError(text.format(layer.name(), reason))
    return str(path), layer.name()
