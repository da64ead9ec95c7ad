"""Areas and perimeters of polygons on the ground."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from rasterio.errors import CRSError
from rasterio.io import DatasetReader

from .georeference import pixel_size, proj_system

_TRUE = 0.01  # share by which a system's metres may be off and still count as metres


class Measures:
    """Measures polygons in the coordinates of a raster, in the unit that these allow.

    Attributes:
        area: Name of the field with the areas, ``area_m2``, or ``area_px`` without a coordinate system.
        perimeter: Name of the field with the lengths of all edges, ``perimeter_m`` or ``perimeter_px``.
    """

    def __init__(self, src: DatasetReader) -> None:
        """Choose the unit for a raster."""
        self._to_degrees: pyproj.Transformer | None = None
        self._geod: pyproj.Geod | None = None
        side = abs(src.transform.determinant) ** 0.5
        self._unit = 1.0 / side
        self.area, self.perimeter = "area_px", "perimeter_px"
        if not src.crs:
            return
        self.area, self.perimeter = "area_m2", "perimeter_m"
        self._unit = 1.0
        system = proj_system(src.crs)
        if system is not None and src.crs.is_geographic:
            self._geod = system.get_geod()
            return
        with suppress(CRSError):  # a local system without a unit: taken as metres
            self._unit = float(src.crs.linear_units_factor[1])
        true = pixel_size(src.crs, src.transform, src.width, src.height)
        # Web Mercator's metres are half a metre long at 60 degrees of latitude.
        if system is not None and true is not None and abs(self._unit * side / true - 1) > _TRUE:
            self._geod = system.get_geod()
            self._to_degrees = pyproj.Transformer.from_crs(system, system.geodetic_crs, always_xy=True)

    def of(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Areas and perimeters with shape (n,): planar, or on the ellipsoid where the plane is far from the truth."""
        if self._geod is None:
            return shapely.area(polygons) * self._unit**2, shapely.length(polygons) * self._unit
        if self._to_degrees is not None:
            to_degrees = self._to_degrees.transform
            polygons = shapely.transform(
                polygons, lambda xy: np.stack(to_degrees(xy[:, 0], xy[:, 1]), axis=1)
            )
        found = [self._geod.geometry_area_perimeter(polygon) for polygon in polygons]
        measured = np.array(found, np.float64).reshape(-1, 2)
        return np.abs(measured[:, 0]), measured[:, 1]
