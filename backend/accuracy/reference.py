"""What a label map is compared with: labelled points, validation polygons or another raster."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from ..errors import AssessmentError, RasterError
from ..rasters.support import ClassInfo, SupportSet, inside_raster, to_pixels
from ..rasters.support_layer import read_layer
from .class_values import match_classes, unknown_classes
from .exclusion import inside
from .mapped import LabelMap, open_labels, read_labels, reading
from .points import Points, read_points
from .vector_file import find_layer

_TOLERANCE = 0.001  # pixels by which GDAL may be off where it reprojects
Kind = Literal["points", "polygons", "raster"]


@dataclass(frozen=True)
class Units:
    """What the reference says in a window.

    Attributes:
        rows, cols: Pixels of the window, shape (n,).
        reference: The place of their class among the map's, shape (n,).
        group: The stratum or the polygon that they belong to, shape (n,).
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    reference: NDArray[np.int64]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


class Reference(Protocol):
    """A reference, on the map's grid."""

    @property
    def kind(self) -> Kind:
        """What it is."""

    def units(self, window: Window) -> Units:
        """What it says in a window of the map."""


class PointReference:
    """Labelled points; several in one pixel all count.

    Attributes:
        points: The points.
    """

    kind: Kind = "points"

    def __init__(self, points: Points) -> None:
        self.points = points

    def units(self, window: Window) -> Units:
        """The points in a window."""
        rows, cols = self.points.rows - int(window.row_off), self.points.cols - int(window.col_off)
        here = (rows >= 0) & (rows < window.height) & (cols >= 0) & (cols < window.width)
        return Units(
            rows[here], cols[here], self.points.reference[here].astype(np.int64), self.points.group[here]
        )


class PolygonReference:
    """Validation polygons: the pixels with their centre inside; none under polygons of two classes."""

    kind: Kind = "polygons"

    def __init__(self, path: str, class_field: str, labels: LabelMap, notes: list[str]) -> None:
        """Read the polygons.

        Raises:
            SupportError: When they cannot be read.
            AssessmentError: When a class is not one of the map's, or none lies on it.
        """
        layer = read_layer(path, class_field, None, use="validation")
        places = match_classes(layer.ids, class_field, path, labels)
        parts = inside_raster(to_pixels(layer, labels, notes), labels)
        kept = [i for i, part in enumerate(parts) if not part.is_empty and places[i] >= 0]
        if not any(not part.is_empty for part in parts):
            raise AssessmentError(
                f"No polygon of {path} lies on the label map {labels.path}; check that both show the same place and "
                "that their coordinate systems are right."
            )
        if not kept:
            raise AssessmentError(
                f"No polygon of {path} has a class in the field {class_field!r}; fill it in, or choose another field "
                "with --class-field."
            )
        if len(kept) < len(parts):
            notes.append(f"{len(parts) - len(kept)} of {len(parts)} polygons lie outside or have no class.")
        self._polygons = SupportSet(
            tuple(ClassInfo(info.id, info.name) for info in labels.classes),
            tuple(parts[i] for i in kept),
            tuple(int(places[i]) for i in kept),
            layer.notes,
        )
        notes.extend(text.replace("support neither", "do not count") for text in self._polygons.warnings)
        self._labels = np.array(self._polygons.labels, np.int64)

    def units(self, window: Window) -> Units:
        """The pixels of the polygons in a window, each once."""
        owner = np.full((int(window.height), int(window.width)), -1, np.int64)
        for index in self._polygons.touching(window):
            bounds = self._polygons.bounds(index, window)
            if bounds is None:
                continue
            part = owner[inside(bounds, window)]
            part[self._polygons.mask(index, bounds) & (part < 0)] = index
        rows, cols = np.nonzero(owner >= 0)
        group = owner[rows, cols]
        return Units(rows, cols, self._labels[group], group)


class RasterReference:
    """Another raster of class ids, brought to the map's grid by nearest neighbour; close it with its stack."""

    kind: Kind = "raster"

    def __init__(self, path: str, labels: LabelMap, stack: ExitStack) -> None:
        """Open one.

        Raises:
            RasterError: When it cannot be read.
            AssessmentError: When it cannot be brought to the map's grid.
        """
        self._path, self._labels = path, labels
        self._src = stack.enter_context(open_labels(path, "reference"))
        src = self._src
        has_place = src.crs is not None and not src.transform.is_identity
        if labels.crs is not None and has_place:
            # Without nodata the pixels beyond the reference's edge would be a class.
            unmasked = src.nodata is None and src.mask_flag_enums[0] == [MaskFlags.all_valid]
            with reading(path, "reference"):
                self._src = stack.enter_context(
                    WarpedVRT(
                        src, crs=labels.crs, transform=labels.transform, width=labels.width, height=labels.height,
                        resampling=Resampling.nearest, tolerance=_TOLERANCE, add_alpha=unmasked,
                    )
                )  # fmt: skip
                bounds = transform_bounds(src.crs, labels.crs, *_bounds(src))
            self._overlaps = _overlap(bounds, _bounds(labels.src))
        elif (src.width, src.height, src.transform) == (labels.width, labels.height, labels.transform):
            self._overlaps = True
        else:
            raise AssessmentError(
                f"The reference {path} and the label map {labels.path} have another grid, and not both have a "
                "coordinate system; set it for both."
            )
        if not self._overlaps:
            raise AssessmentError(
                f"The reference {path} does not overlap the label map {labels.path}; check that both show the same "
                "place and that their coordinate systems are right."
            )

    def units(self, window: Window) -> Units:
        """The pixels of a window that have a class."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            try:
                values, valid = read_labels(self._src, window, "reference")
            except RasterError as error:
                # The warped one is called by its description.
                raise RasterError(str(error).replace(str(self._src.name), self._path)) from error
        rows, cols = np.nonzero(valid)
        reference = self._labels.index_of(values[rows, cols]).astype(np.int64)
        if (reference < 0).any():
            wrong = np.unique(values[rows, cols][reference < 0]).tolist()
            raise unknown_classes(
                wrong, self._path, self._labels, "recode the reference, or set what is no class to nodata"
            )
        return Units(rows, cols, reference, np.zeros(len(rows), np.int64))


def open_reference(
    path: str | Path, class_field: str, labels: LabelMap, notes: list[str], stack: ExitStack
) -> Reference:
    """Open a reference of whatever kind.

    Args:
        path: Points or polygons that OGR reads, "|layername=NAME" for one layer of several; or a raster.
        class_field: Of the points or polygons.
        labels: The label map.
        notes: What the user should know is added here.
        stack: Closes it.

    Raises:
        ProtolabelError: When it cannot serve.
    """
    layer = find_layer(str(path), class_field)
    if layer is None:
        return RasterReference(str(path), labels, stack)
    if layer.kind == "points":
        return PointReference(read_points(layer, class_field, labels, notes))
    return PolygonReference(str(path), class_field, labels, notes)


def _bounds(src: DatasetReader) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a raster, which may be rotated."""
    xs, ys = src.transform @ (
        np.array([0, src.width, 0, src.width]),
        np.array([0, 0, src.height, src.height]),
    )
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two boxes have an area in common: left, bottom, right, top."""
    return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])
