"""Points that an analyst labels: as they are drawn and as they come back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from ..errors import AssessmentError, OutputError
from ..rasters.class_styles import ClassStyle
from ..rasters.label_map import check_output, write_error
from ..rasters.parts import part_path, sweep_parts
from ..rasters.support import to_pixels
from ..rasters.support_layer import SupportLayer
from .class_values import match_classes
from .mapped import LabelMap
from .vector_file import UNREADABLE, ReferenceLayer

LAYER = "points"
EXTENSIONS = (".gpkg",)
_STRATUM, _SIZE, _SKIPPED = "map_class", "stratum_pixels", "skipped"


@dataclass(frozen=True)
class Points:
    """The labelled points of a layer, in the pixels of the label map; some may lie outside of it.

    Attributes:
        rows, cols: Of their pixels, shape (n,).
        reference: The place of their class among the map's, shape (n,).
        group: Their stratum, counted from 0, shape (n,).
        strata: Class id of each stratum; None when the tool has not drawn the points: there is one group.
        sizes: Pixels of each stratum when the points were drawn, shape (strata,); None without strata.
        unlabelled: Points that have no class yet.
        skipped: Points at which the analyst could not tell.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    reference: NDArray[np.int32]
    group: NDArray[np.int64]
    strata: NDArray[np.int64] | None
    sizes: NDArray[np.int64] | None
    unlabelled: int
    skipped: int


def read_points(layer: ReferenceLayer, class_field: str, labels: LabelMap, notes: list[str]) -> Points:
    """Read points.

    Args:
        layer: Where they are; with the fields that :class:`backend.messages.SamplePoints` tells, or only a class.
        class_field: Of the analyst's classes.
        labels: The label map.
        notes: What the user should know is added here.

    Raises:
        AssessmentError: When there is none, none has a class, or they cannot be read.
    """
    wanted = [name for name in (class_field, _STRATUM, _SIZE, _SKIPPED) if name in layer.fields]
    try:
        meta, _, wkb, values = pyogrio.raw.read(layer.file, layer=layer.name, columns=wanted, force_2d=True)
        geometries = np.array([], object) if wkb is None else np.asarray(shapely.from_wkb(wkb), object)
    except UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise AssessmentError(
            f"The points {layer.path} cannot be read ({reason}); check that the file is whole."
        ) from error
    data: dict[str, NDArray[np.generic]] = dict(zip(meta["fields"], values, strict=True))
    if not len(geometries):
        raise AssessmentError(f"{layer.path} holds no point; draw some, or choose another file.")
    single = np.array([g is not None and not g.is_empty and "Point" in g.geom_type for g in geometries])
    reference = match_classes(data[class_field], class_field, layer.path, labels)
    skipped = _flags(data.get(_SKIPPED), len(reference))
    labelled = (reference >= 0) & ~skipped & single
    if not labelled.any():
        raise AssessmentError(
            f"No point of {layer.path} has a class in the field {class_field!r}; label some of them first."
        )
    if not single.all():
        notes.append(f"{int((~single).sum())} features of {layer.path} are no points; they are left out.")
    unlabelled, passed = int(((reference < 0) & ~skipped & single).sum()), int((skipped & single).sum())
    drawn = _strata(data.get(_STRATUM), data.get(_SIZE), len(reference))
    if drawn is not None:
        if (labelled & (drawn.group < 0)).any():
            notes.append(
                f"{int((labelled & (drawn.group < 0)).sum())} points were not drawn with the others; they are left out."
            )
        labelled &= drawn.group >= 0
    group = np.zeros(len(reference), np.int64) if drawn is None else drawn.group
    rows, cols = _pixels(geometries[labelled], layer, meta["crs"], labels, notes)
    return Points(
        rows,
        cols,
        reference[labelled],
        group[labelled],
        None if drawn is None else drawn.ids,
        None if drawn is None else drawn.sizes,
        unlabelled,
        passed,
    )


def _pixels(
    geometries: NDArray[np.object_],
    layer: ReferenceLayer,
    crs: str | None,
    labels: LabelMap,
    notes: list[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pixels that points lie in."""
    centres = shapely.centroid(geometries)  # of several points that are one feature
    count = len(centres)
    drawn = SupportLayer(layer.path, tuple(range(1, count + 1)), tuple(centres), crs, np.zeros(count), None)
    xy = shapely.get_coordinates(np.array(to_pixels(drawn, labels, notes), object))
    cells = np.floor(xy).astype(np.int64)
    return cells[:, 1], cells[:, 0]


@dataclass(frozen=True)
class _Strata:
    """What the tool wrote when it drew the points.

    Attributes:
        ids: Class ids, shape (strata,).
        sizes: Pixels, shape (strata,).
        group: The stratum of each point, shape (n,); -1 for points that somebody has added.
    """

    ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    group: NDArray[np.int64]


def _strata(
    stratum: NDArray[np.generic] | None, pixels: NDArray[np.generic] | None, count: int
) -> _Strata | None:
    """The strata of points that the tool has drawn; None for others."""
    if stratum is None or pixels is None or stratum.dtype.kind not in "iuf" or pixels.dtype.kind not in "iuf":
        return None
    ids, sizes = stratum.astype(np.float64), pixels.astype(np.float64)
    own = np.isfinite(ids) & (sizes > 0)
    if not own.any():
        return None
    known, first, place = np.unique(ids[own], return_index=True, return_inverse=True)
    group = np.full(count, -1, np.int64)
    group[own] = place
    return _Strata(known.astype(np.int64), sizes[own][first].astype(np.int64), group)


def _flags(values: NDArray[np.generic] | None, count: int) -> NDArray[np.bool_]:
    """Which values say yes; texts as some formats have them, too."""
    if values is None:
        return np.zeros(count, np.bool_)
    yes = {"1", "1.0", "true", "yes", "t", "y"}
    return np.array([str(value).strip().lower() in yes for value in values.tolist()], np.bool_)


@dataclass(frozen=True)
class DrawnPoints:
    """Points that were drawn, in the order in which they are to be labelled.

    Attributes:
        rows, cols: Of their pixels, shape (n,).
        stratum: The place of their class among the map's, shape (n,).
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    stratum: NDArray[np.int64]


def write_points(path: str | Path, points: DrawnPoints, sizes: NDArray[np.int64], labels: LabelMap) -> None:
    """Write a GeoPackage with the fields that :class:`backend.messages.SamplePoints` tells; an earlier one is replaced.

    Args:
        path: A .gpkg, checked by :func:`check_points_output`.
        points: At the centres of pixels.
        sizes: Pixels of each class of the map.
        labels: The label map.

    Raises:
        OutputError: When it cannot be written; an earlier file is kept then.
    """
    target = Path(path)
    part = part_path(target, "points").with_suffix(".part.gpkg")
    x, y = labels.transform @ (points.cols + 0.5, points.rows + 0.5)
    if labels.crs is None and labels.transform.is_identity:
        y = -y  # where QGIS shows a raster without georeference
    count = len(points.rows)
    columns = _columns(points.stratum, sizes, labels.classes)
    nothing, all_there = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    masks = [nothing if name in ("class_id", "class_name") else all_there for name in columns]
    try:
        sweep_parts(target)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*crs.*was not provided")
            pyogrio.raw.write(
                part, shapely.to_wkb(shapely.points(x, y)), list(columns.values()), list(columns), masks,
                layer=LAYER, driver="GPKG", geometry_type="Point",
                crs=labels.crs.to_wkt() if labels.crs is not None else None,
            )  # fmt: skip
        if pyogrio.read_info(part, force_feature_count=True)["features"] != count:
            raise OSError("not all points arrived")
        for ending in ("-wal", "-shm", "-journal"):
            # SQLite would play an old journal back into the new file.
            target.with_name(target.name + ending).unlink(missing_ok=True)
        os.replace(part, target)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise write_error(target, error) from error
    finally:
        for left in target.parent.glob(f"{part.name}*"):
            left.unlink(missing_ok=True)


def _columns(
    stratum: NDArray[np.int64], sizes: NDArray[np.int64], classes: Sequence[ClassStyle]
) -> dict[str, NDArray[np.generic]]:
    """The fields by name; those of the analyst are empty."""
    count = len(stratum)
    ids = np.array([info.id for info in classes], np.int32)
    names = np.array([info.name for info in classes], object)
    return {
        "point_id": np.arange(1, count + 1, dtype=np.int32),
        _STRATUM: ids[stratum],
        "map_name": names[stratum],
        _SIZE: sizes[stratum].astype(np.int64),
        "class_id": np.zeros(count, np.int32),
        "class_name": np.full(count, None, object),
        _SKIPPED: np.zeros(count, np.int32),
    }


def check_points_output(path: str | Path, *inputs: str | Path) -> None:
    """Check before the work starts that points can be written, and that no work of an analyst is lost by it.

    Raises:
        OutputError: When they cannot.
    """
    check_output(path, *inputs, extensions=EXTENSIONS)
    try:
        _, _, _, (ids,) = pyogrio.raw.read(path, layer=LAYER, columns=["class_id"], read_geometry=False)
        done = int(np.isfinite(ids.astype(np.float64)).sum())
    except (*UNREADABLE, TypeError):
        return  # no file, or none of points
    if done:
        raise OutputError(
            f"{path} holds {done} points that are labelled already; choose another name, or remove it first."
        )
