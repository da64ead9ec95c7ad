"""The polygons that a run is confined to."""

from __future__ import annotations

from math import ceil, floor
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from ..errors import ProtolabelError
from .source import RasterSource
from .support import to_pixels
from .support_layer import SupportLayer


class Area:
    """Polygons in the pixel coordinates of a raster.

    Attributes:
        window: The smallest window of whole pixels around them, inside the raster.
    """

    def __init__(self, polygons: list[BaseGeometry], source: RasterSource, path: str) -> None:
        raster = shapely.box(0, 0, source.width, source.height)
        parts = [shapely.intersection(polygon, raster) for polygon in polygons if polygon.intersects(raster)]
        self._polygons = [part for part in parts if part.area > 0]
        if not self._polygons:
            raise ProtolabelError(
                f"No polygon of {path} lies on the raster {source.path}; check that both show the same place."
            )
        self._tree = shapely.STRtree(self._polygons)
        left, top, right, bottom = shapely.total_bounds(self._polygons)
        x0, y0 = max(floor(left), 0), max(floor(top), 0)  # an intersection may reach over the edge by a hair
        x1, y1 = min(ceil(right), source.width), min(ceil(bottom), source.height)
        self.window = Window(x0, y0, x1 - x0, y1 - y0)

    def touches(self, window: Window) -> bool:
        """Whether any part of the area may lie in a window."""
        return len(self._tree.query(_box(window), predicate="intersects")) > 0

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Which pixels of a window have their centre in the area; shape (window.height, window.width)."""
        found = [self._polygons[index] for index in self._tree.query(_box(window), predicate="intersects")]
        shape = int(window.height), int(window.width)
        if not found:
            return np.zeros(shape, np.bool_)
        place = Affine.translation(window.col_off, window.row_off)
        inside: NDArray[np.bool_] = geometry_mask(found, shape, place, invert=True)
        return inside


def read_area(path: str | Path, source: RasterSource) -> Area:
    """Read the polygons that a run is confined to.

    Args:
        path: Anything that OGR reads; all its polygons count, whatever their fields.
        source: The raster, to whose system they are brought.

    Raises:
        ProtolabelError: When the file cannot be read, or none of its polygons lies on the raster.
    """
    try:
        meta, _, wkb, _ = pyogrio.raw.read(str(path), columns=[], force_2d=True)
        geometries = shapely.from_wkb(wkb) if wkb is not None else []
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        shapely.errors.ShapelyError,
    ) as error:
        raise ProtolabelError(f"The area {path} cannot be read; choose a file of polygons.") from error
    polygons = [
        shapely.make_valid(geometry)
        for geometry in geometries
        if geometry is not None and geometry.geom_type in ("Polygon", "MultiPolygon")
    ]
    if not polygons:
        raise ProtolabelError(f"The area {path} holds no polygon; choose a file of polygons.")
    layer = SupportLayer(
        str(path),
        tuple(range(1, len(polygons) + 1)),
        tuple(polygons),
        meta["crs"],
        np.zeros(len(polygons)),
        None,
    )
    return Area(to_pixels(layer, source, []), source, str(path))


def _box(window: Window) -> BaseGeometry:
    x0, y0 = window.col_off, window.row_off
    return shapely.box(x0, y0, x0 + window.width, y0 + window.height)
