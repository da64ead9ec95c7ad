"""Support polygons: read with OGR, brought to pixel coordinates, burnt at full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, floor
from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from ..errors import SupportError
from .source import RasterSource

MAX_CLASSES = 65_000
_MAX_ID = 65_534  # 65535 means "no label"


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
        polygons: Those that touch the raster.
        labels: Index into ``classes`` of each polygon.
        warnings: What the user should know about how the polygons were taken.
    """

    classes: tuple[ClassInfo, ...]
    polygons: tuple[BaseGeometry, ...]
    labels: tuple[int, ...]
    warnings: tuple[str, ...] = ()
    _rivals: dict[int, list[int]] = field(default_factory=dict, repr=False)

    def touching(self, window: Window) -> list[int]:
        """The polygons whose bounding boxes touch a window, in order."""
        x0, y0 = window.col_off, window.row_off
        box = shapely.box(x0, y0, x0 + window.width, y0 + window.height)
        return sorted(self._tree.query(box).tolist())

    def bounds(self, index: int, window: Window) -> Window | None:
        """The box of pixels around a polygon's part in a window, or None when there is none."""
        left, top, right, bottom = self.polygons[index].bounds
        x0, y0 = max(floor(left), int(window.col_off)), max(floor(top), int(window.row_off))
        x1 = min(ceil(right), int(window.col_off + window.width))
        y1 = min(ceil(bottom), int(window.row_off + window.height))
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
        mask = burn_polygon(self.polygons[index], window)
        for rival in self._rivals.get(index, ()):
            mask &= ~burn_polygon(self.polygons[rival], window)
        return mask

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.polygons)


def burn_polygon(polygon: BaseGeometry, window: Window) -> NDArray[np.bool_]:
    """Burn one polygon, in pixel coordinates, into a window; see :meth:`SupportSet.mask`."""
    shape = int(window.height), int(window.width)
    transform = Affine.translation(window.col_off, window.row_off)
    touched = not _has_pixel_center(polygon)
    burnt = rasterize([polygon], shape, transform=transform, dtype="uint8", all_touched=touched)
    return burnt.astype(bool)


def read_support(
    path: str | Path, source: RasterSource, class_field: str = "class_id", name_field: str = "class_name"
) -> SupportSet:
    """Read the support polygons for a raster.

    Polygons are reprojected to the raster's CRS; on a raster without a CRS their coordinates are pixels. Features
    whose field ``use`` says "validation" are left out.

    Args:
        path: Anything that OGR reads; of several layers the first one with polygons is taken.
        source: The raster.
        class_field: Integer class ids from 0 to 65,534; a text field is numbered from 1 in alphabetical order.
        name_field: Class names; may be absent.

    Raises:
        SupportError: When the file, the field, the geometries or the classes cannot serve.
    """
    layer = _read_layer(str(path), class_field, name_field)
    notes: list[str] = []
    geometries = _checked(layer.geometries, str(path))
    geometries = _to_pixels(geometries, layer.crs, source, notes)
    ids, names = _class_ids(layer, class_field, str(path), notes)
    box = shapely.box(0, 0, source.width, source.height)
    inside = [i for i, g in enumerate(geometries) if g.intersects(box) and not g.touches(box)]
    if not inside:
        raise SupportError(
            f"No polygon of {path} lies inside the raster {source.path}; check that both show the same place "
            "and that their coordinate systems are right."
        )
    if len(inside) < len(geometries):
        notes.append(f"{len(geometries) - len(inside)} of {len(geometries)} polygons lie outside the raster.")
    used = sorted({ids[i] for i in inside})
    if len(used) < 2:
        raise SupportError(
            f"{path} has polygons of only one class inside the raster ({names[used[0]]}); draw at least one more class."
        )
    if len(used) > MAX_CLASSES:
        raise SupportError(f"{path} has {len(used)} classes; at most {MAX_CLASSES} are possible.")
    classes = tuple(ClassInfo(i, names[i]) for i in used)
    position = {info.id: index for index, info in enumerate(classes)}
    polygons = tuple(geometries[i] for i in inside)
    labels = tuple(position[ids[i]] for i in inside)
    rivals = _overlapping_rivals(polygons, labels)
    if rivals:
        pairs = sorted({tuple(sorted((labels[a], labels[b]))) for a in rivals for b in rivals[a]})
        text = ", ".join(f"{classes[a].name} and {classes[b].name}" for a, b in pairs[:5])
        notes.append(f"Polygons of different classes overlap ({text}); the pixels in common support neither.")
    return SupportSet(classes, polygons, labels, tuple(notes), rivals)


@dataclass(frozen=True)
class _Layer:
    geometries: list[BaseGeometry | None]
    crs: str | None
    ids: NDArray[np.generic]
    names: NDArray[np.generic] | None


def _read_layer(path: str, class_field: str, name_field: str) -> _Layer:
    if "://" not in path and not path.startswith("/vsi") and not Path(path).exists():
        raise SupportError(f"The support file {path} does not exist; check the path.")
    try:
        layers = pyogrio.list_layers(path)
        polygonal = [str(name) for name, kind in layers if kind is None or "Polygon" in kind or kind == "Unknown"]
        if not polygonal:
            raise SupportError(f"{path} holds no polygon layer; save the support polygons as polygons.")
        info = pyogrio.read_info(path, layer=polygonal[0])
        fields = [str(name) for name in info["fields"]]
        if class_field not in fields:
            raise SupportError(
                f"{path} has no field {class_field!r}; choose one of {', '.join(fields) or 'none'} with --class-field."
            )
        columns = [name for name in (class_field, name_field, "use") if name in fields]
        meta, _, wkb, values = pyogrio.raw.read(path, layer=polygonal[0], columns=columns, force_2d=True)
        geometries = list(shapely.from_wkb(wkb))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, shapely.errors.GEOSException) as error:
        raise SupportError(f"The support file {path} cannot be read ({error}); check that the file is whole.") from error
    data = dict(zip(meta["fields"], values, strict=True))
    keep = np.ones(len(geometries), bool)
    if "use" in data:
        keep = np.array([str(value).strip().lower() != "validation" for value in data["use"]], bool)
    if not keep.any():
        raise SupportError(f"{path} holds no support polygon; draw some polygons for each class.")
    return _Layer(
        [g for g, k in zip(geometries, keep, strict=True) if k],
        meta["crs"],
        data[class_field][keep],
        data[name_field][keep] if name_field in data else None,
    )


def _checked(geometries: Sequence[BaseGeometry | None], path: str) -> list[BaseGeometry]:
    checked = []
    for number, geometry in enumerate(geometries, start=1):
        if geometry is None or geometry.is_empty:
            raise SupportError(f"Feature {number} of {path} has an empty geometry; delete it or draw it again.")
        if geometry.geom_type not in ("Polygon", "MultiPolygon"):
            raise SupportError(
                f"Feature {number} of {path} is a {geometry.geom_type}, not a polygon; draw support as polygons."
            )
        if not geometry.is_valid or not np.isfinite(shapely.get_coordinates(geometry)).all():
            reason = shapely.is_valid_reason(geometry)
            raise SupportError(
                f"Feature {number} of {path} has an invalid geometry ({reason}); repair it, "
                "for example with QGIS's 'Fix geometries'."
            )
        checked.append(geometry)
    return checked


def _class_ids(
    layer: _Layer, class_field: str, path: str, notes: list[str]
) -> tuple[list[int], dict[int, str]]:
    values = layer.ids
    if values.dtype.kind in "OUS":
        texts = [str(value).strip() if value is not None else "" for value in values]
        if any(not text for text in texts):
            raise SupportError(f"A polygon of {path} has no value in the field {class_field!r}; fill it in.")
        if all(text.lstrip("-").isdigit() for text in texts):
            ids = [int(text) for text in texts]
            names = {}
        else:
            order = sorted(set(texts))
            ids = [order.index(text) + 1 for text in texts]
            names = {number: text for number, text in enumerate(order, start=1)}
            notes.append(f"The field {class_field!r} holds text; the classes are numbered 1 to {len(order)} by name.")
    else:
        if values.dtype.kind == "f":
            if not np.isfinite(values).all():
                raise SupportError(f"A polygon of {path} has no value in the field {class_field!r}; fill it in.")
            if (values != np.round(values)).any():
                raise SupportError(f"The field {class_field!r} of {path} holds fractions; class ids are whole numbers.")
        ids, names = [int(value) for value in values], {}
    wrong = [i for i in ids if not 0 <= i <= _MAX_ID]
    if len(set(ids)) > MAX_CLASSES:
        raise SupportError(f"{path} has {len(set(ids))} classes; at most {MAX_CLASSES} are possible.")
    if wrong:
        raise SupportError(f"{path} has the class id {wrong[0]}; class ids go from 0 to {_MAX_ID}.")
    if not names and layer.names is not None:
        for class_id, name in zip(ids, layer.names, strict=True):
            if name is not None and str(name).strip():
                names.setdefault(class_id, str(name).strip())
    return ids, {i: names.get(i, f"class {i}") for i in set(ids)}


def _to_pixels(
    geometries: list[BaseGeometry], crs: str | None, source: RasterSource, notes: list[str]
) -> list[BaseGeometry]:
    if source.crs is None:
        if source.transform.is_identity and _drawn_upside_down(geometries):
            # QGIS shows a raster without georeference with its rows at negative y.
            notes.append("The raster has no georeference; the polygons' negative y was taken as rows.")
            return [shapely.transform(g, lambda xy: xy * [1.0, -1.0]) for g in geometries]
        notes.append("The raster has no coordinate system; the polygons' coordinates were taken as they are.")
    else:
        target = pyproj.CRS.from_user_input(source.crs.to_wkt())
        if crs is None:
            notes.append("The polygons have no coordinate system; the raster's was assumed.")
        elif not pyproj.CRS.from_user_input(crs).equals(target, ignore_axis_order=True):
            geometries = [_reproject(g, pyproj.CRS.from_user_input(crs), target) for g in geometries]
    to_pixels = ~source.transform

    def apply(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = xy[:, 0], xy[:, 1]
        return np.stack(
            [to_pixels.a * x + to_pixels.b * y + to_pixels.c, to_pixels.d * x + to_pixels.e * y + to_pixels.f], axis=1
        )

    return [shapely.transform(g, apply) for g in geometries]


def _reproject(geometry: BaseGeometry, source: pyproj.CRS, target: pyproj.CRS) -> BaseGeometry:
    """Reproject with edges cut into pieces first, since a straight edge is curved in the other system."""
    left, bottom, right, top = geometry.bounds
    longest = max(right - left, top - bottom)
    if longest > 0:
        geometry = shapely.segmentize(geometry, longest / 32)
    transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    return shapely.transform(
        geometry, lambda xy: np.stack(transformer.transform(xy[:, 0], xy[:, 1]), axis=1)
    )


def _drawn_upside_down(geometries: Sequence[BaseGeometry]) -> bool:
    return all(g.bounds[3] <= 0 for g in geometries) and any(g.bounds[1] < 0 for g in geometries)


def _has_pixel_center(polygon: BaseGeometry) -> bool:
    """Whether any pixel's centre lies inside; looked at only for polygons of a few pixels."""
    left, top, right, bottom = polygon.bounds
    if right - left > 64 or bottom - top > 64:
        return True
    xs, ys = np.meshgrid(np.arange(int(left), int(right) + 1) + 0.5, np.arange(int(top), int(bottom) + 1) + 0.5)
    return bool(shapely.contains_xy(polygon, xs.ravel(), ys.ravel()).any())


def _overlapping_rivals(polygons: Sequence[BaseGeometry], labels: Sequence[int]) -> dict[int, list[int]]:
    """For each polygon, those of another class whose area it shares."""
    tree = shapely.STRtree(polygons)
    left, right = tree.query(polygons, predicate="intersects")
    rivals: dict[int, list[int]] = {}
    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        if labels[a] != labels[b] and not polygons[a].touches(polygons[b]):
            rivals.setdefault(a, []).append(b)
    return rivals
