"""Coordinates: how large a pixel is on the ground, and from coordinates to pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import Affine

Points = NDArray[np.float64]


class Georeferenced(Protocol):
    """A raster as far as its place matters.

    Attributes:
        path: As given.
        width, height: In pixels.
        crs: None when coordinates are pixels.
        transform: From (column, row) to coordinates.
    """

    path: str
    width: int
    height: int
    crs: CRS | None
    transform: Affine


def proj_system(crs: CRS | str | None) -> pyproj.CRS | None:
    """A CRS as PROJ has it, or None when it says nothing of the place on Earth: absent, unknown, or of a building."""
    if crs is None:
        return None
    try:
        system = pyproj.CRS.from_user_input(crs if isinstance(crs, str) else crs.to_wkt())
    except (CRSError, ProjError):
        return None
    return system if system.geodetic_crs is not None else None


def pixel_size(crs: CRS | None, transform: Affine, width: int, height: int) -> float | None:
    """Side of a pixel in metres on the ground at the raster's centre, or None where that is not known."""
    if crs is None:
        return None
    try:
        size = _measured(crs, transform, width / 2, height / 2) or _nominal(crs, transform)
    except (CRSError, ProjError):
        return None
    return size if math.isfinite(size) and size > 0 else None


def pixel_mapping(transform: Affine) -> Callable[[Points], Points]:
    """The function from coordinates to pixels, for points of shape (n, 2)."""
    inverse = ~transform
    matrix = np.array([[inverse.a, inverse.d], [inverse.b, inverse.e]])
    offset = np.array([inverse.c, inverse.f])

    def apply(points: Points) -> Points:
        pixels: Points = points @ matrix + offset
        return pixels

    return apply


def drawn_upside_down(bounds: Sequence[float], transform: Affine, height: int) -> bool:
    """Whether something on a raster without georeference has its rows at negative y, where QGIS shows them.

    Args:
        bounds: Its left, top, right and bottom in pixels, as they are.
        transform: Of the raster.
        height: Of the raster, in pixels.
    """
    _, low, _, high = bounds
    rows_here, rows_flipped = min(high, height) - max(low, 0), min(-low, height) - max(-high, 0)
    return transform.is_identity and rows_flipped > max(rows_here, 0)


def _nominal(crs: CRS, transform: Affine) -> float:
    """Side of a pixel by the units of the CRS alone."""
    return math.sqrt(abs(transform.determinant)) * float(crs.linear_units_factor[1])


def _measured(crs: CRS, transform: Affine, col: float, row: float) -> float | None:
    """Side of a pixel on the ellipsoid.

    Units alone would do for most systems, but not for degrees, and not for Web Mercator, whose metres are half a
    metre long at 60 degrees of latitude.
    """
    system = proj_system(crs)
    ellipsoid = system.get_geod() if system else None
    if system is None or ellipsoid is None:
        return None
    cols, rows = np.array([col, col + 1, col]), np.array([row, row, row + 1])
    xs, ys = transform.a * cols + transform.b * rows, transform.d * cols + transform.e * rows
    transformer = pyproj.Transformer.from_crs(system, system.geodetic_crs, always_xy=True)
    (x, right, down), (y, right_y, down_y) = transformer.transform(xs + transform.c, ys + transform.f)
    if not np.isfinite([x, right, down, y, right_y, down_y]).all():
        return None
    (along, across), _, (width, height) = ellipsoid.inv([x, x], [y, y], [right, down], [right_y, down_y])
    return math.sqrt(width * height * abs(math.sin(math.radians(across - along))))
