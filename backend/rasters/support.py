"""Support polygons: read with OGR, brought to pixel coordinates, burnt at full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from ..errors import SupportError
from .burning import burn_polygon, find_rivals, is_thin, overlap_visibly, pixel_bounds, polygonal
from .class_ids import MAX_CLASSES, class_ids
from .georeference import Georeferenced, Points, drawn_upside_down, pixel_mapping, proj_system
from .source import RasterSource
from .support_layer import SupportLayer, read_layer

__all__ = ["MAX_CLASSES", "ClassInfo", "SupportSet", "burn_polygon", "find_support", "read_support"]

_PIECES = 1024  # that all polygons together are cut into from side to side before they are reprojected


@dataclass(frozen=True)
class ClassInfo:
    """One class of the label map.

    Attributes:
        id: The value in the label map, as given by the class field.
        name: As given by the name field, else "class ID".
    """

    id: int
    name: str


@dataclass(frozen=True)
class SupportSet:
    """The support polygons of one raster, in its pixel coordinates (x to the right, y down, from the corner).

    Attributes:
        classes: Sorted by id.
        polygons: Their parts inside the raster.
        labels: Index into ``classes`` of each polygon.
        notes: How the polygons were taken.
    """

    classes: tuple[ClassInfo, ...]
    polygons: tuple[BaseGeometry, ...]
    labels: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know: the notes, and which classes overlap."""
        pairs = set()
        for a, others in self.rivals.items():
            for b in others:
                pair = tuple(sorted((self.labels[a], self.labels[b])))
                if pair not in pairs and overlap_visibly(self.polygons[a], self.polygons[b]):
                    pairs.add(pair)
        if not pairs:
            return self.notes
        text = ", ".join(
            " and ".join(self.classes[label].name for label in pair) for pair in sorted(pairs)[:5]
        )
        more = f" and {len(pairs) - 5} other pairs" if len(pairs) > 5 else ""
        overlap = (
            f"Polygons of different classes overlap ({text}{more}); the pixels in common support neither."
        )
        return (*self.notes, overlap)

    def touching(self, window: Window) -> list[int]:
        """The polygons whose bounding boxes touch a window, in order."""
        x0, y0 = window.col_off, window.row_off
        box = shapely.box(x0, y0, x0 + window.width, y0 + window.height)
        return sorted(self._tree.query(box).tolist())

    def bounds(self, index: int, window: Window) -> Window | None:
        """The box of pixels around a polygon's part in a window, or None when there is none."""
        left, top, right, bottom = pixel_bounds(self.polygons[index])
        x0, y0 = max(left, int(window.col_off)), max(top, int(window.row_off))
        x1 = min(right, int(window.col_off + window.width))
        y1 = min(bottom, int(window.row_off + window.height))
        return Window(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None

    def mask(self, index: int, window: Window) -> NDArray[np.bool_]:
        """Burn one polygon at full resolution.

        A pixel belongs to a polygon when its centre lies inside; a polygon that holds no pixel centre takes every
        pixel that it touches, so that it still counts. Pixels under polygons of two classes belong to neither.

        Args:
            index: The polygon.
            window: In pixels; best the polygon's :meth:`bounds`.

        Returns:
            Shape (window.height, window.width).
        """
        mask = burn_polygon(self.polygons[index], window, self._thin[index])
        for rival in self.rivals.get(index, ()):
            mask &= ~burn_polygon(self.polygons[rival], window, self._thin[rival])
        return mask

    @cached_property
    def _thin(self) -> tuple[bool, ...]:
        return tuple(is_thin(polygon) for polygon in self.polygons)

    @cached_property
    def rivals(self) -> dict[int, list[int]]:
        """For each polygon, those of another class with which it shares a pixel; polygons of none are left out."""
        return find_rivals(self.polygons, self.labels, self._thin)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(np.array(self.polygons, object))  # there may be none


def read_support(
    path: str | Path, source: RasterSource, class_field: str = "class_id", name_field: str = "class_name"
) -> SupportSet:
    """Read the support polygons for a raster.

    Polygons are reprojected to the raster's CRS; on a raster without a CRS their coordinates are pixels. Features
    whose field ``use`` says "validation" are left out.

    Args:
        path: Anything that OGR reads, see :func:`read_layer`.
        source: The raster.
        class_field: Integer class ids from 0 to 65,534; a text field is numbered from 1 in alphabetical order.
        name_field: Class names; may be absent.

    Raises:
        SupportError: When the file, the field, the geometries or the classes cannot serve.
    """
    found = find_support(path, source, class_field, name_field)
    if not found.polygons:
        raise SupportError(
            f"No polygon of {path} lies inside the raster {source.path}; check that both show the same place "
            "and that their coordinate systems are right."
        )
    if len(found.classes) < 2:
        raise SupportError(
            f"{path} has polygons of only one class inside the raster ({found.classes[0].name}); draw at least one "
            "more class."
        )
    return found


def find_support(
    path: str | Path, source: RasterSource, class_field: str = "class_id", name_field: str = "class_name"
) -> SupportSet:
    """Read the support polygons that lie on a raster, however few: :func:`read_support` without its demands.

    Raises:
        SupportError: When the file, the field or the geometries cannot serve.
    """
    layer = read_layer(str(path), class_field, name_field)
    notes = list(layer.notes)
    ids, names = class_ids(layer.ids, layer.names, class_field, layer.path, notes)
    parts = inside_raster(to_pixels(layer, source, notes), source)
    kept = [index for index, part in enumerate(parts) if not part.is_empty]
    if len(kept) < len(parts):
        notes.append(f"{len(parts) - len(kept)} of {len(parts)} polygons lie outside the raster.")
    used = sorted({ids[i] for i in kept})
    classes = tuple(ClassInfo(i, names[i]) for i in used)
    position = {info.id: index for index, info in enumerate(classes)}
    labels = tuple(position[ids[i]] for i in kept)
    return SupportSet(classes, tuple(parts[i] for i in kept), labels, tuple(notes))


def inside_raster(polygons: Sequence[BaseGeometry], source: Georeferenced) -> list[BaseGeometry]:
    """The part of each polygon, in pixels, inside the raster; empty where there is none."""
    raster = shapely.box(0, 0, source.width, source.height)
    shapely.prepare(raster)
    parts = []
    for polygon in polygons:
        part = polygon if raster.contains(polygon) else polygonal(shapely.intersection(polygon, raster))
        # Of a neighbour that only just reaches over the edge, a hair must not count like a thin polygon.
        hair = part is not polygon and is_thin(part) and not is_thin(polygon)
        parts.append(shapely.Polygon() if hair else part)
    return parts


def to_pixels(layer: SupportLayer, source: Georeferenced, notes: list[str]) -> list[BaseGeometry]:
    """The polygons of a layer in the pixel coordinates of a raster.

    Args:
        layer: The polygons.
        source: The raster.
        notes: What the user should know is added here.

    Raises:
        SupportError: When they cannot be brought to the raster's coordinate system.
    """
    polygons = list(layer.geometries)
    target, system = proj_system(source.crs), proj_system(layer.crs)
    if source.crs is None:
        notes.append("The raster has no coordinate system; the polygons' coordinates were taken as they are.")
    elif target is None:
        notes.append(
            "The raster's coordinate system is a local one; the polygons' coordinates were taken as they are."
        )
    elif system is None:
        notes.append("The polygons have no coordinate system; the raster's was assumed.")
    elif not system.equals(target, ignore_axis_order=True):
        polygons = _reprojected(layer, system, target, source.path)
    polygons = [shapely.transform(polygon, pixel_mapping(source.transform)) for polygon in polygons]
    if source.crs is None and drawn_upside_down(
        shapely.total_bounds(polygons), source.transform, source.height
    ):
        notes[-1] = "The raster has no georeference; the polygons' negative y was taken as rows."
        polygons = [shapely.transform(polygon, lambda xy: xy * [1.0, -1.0]) for polygon in polygons]
    return polygons


def _reprojected(
    layer: SupportLayer, system: pyproj.CRS, target: pyproj.CRS, raster: str
) -> list[BaseGeometry]:
    """Reproject with edges cut into pieces first, since a straight edge is curved in the other system.

    The pieces are equally long for all polygons, so that an edge that two of them share stays the same in both.
    """
    failed = f"cannot be brought to the coordinate system of the raster {raster}; check the coordinate system of both."
    try:
        transformer = pyproj.Transformer.from_crs(system, target, always_xy=True)
    except ProjError as error:
        raise SupportError(f"The polygons of {layer.path} {failed}") from error
    left, bottom, right, top = shapely.total_bounds(layer.geometries)

    def reproject(points: Points) -> Points:
        return np.stack(transformer.transform(points[:, 0], points[:, 1]), axis=1)

    polygons = []
    for number, polygon in zip(layer.numbers, layer.geometries, strict=True):
        pieces = shapely.segmentize(polygon, max(right - left, top - bottom) / _PIECES)
        result = shapely.transform(pieces, reproject)
        if not np.isfinite(shapely.get_coordinates(result)).all():
            raise SupportError(f"Feature {number} of {layer.path} {failed}")
        # What was valid may cross itself by a rounding error, or where the target system is torn.
        polygons.append(result if result.is_valid else polygonal(shapely.make_valid(result)))
    return polygons
