"""A part of a raster, given by coordinates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import pyproj
from pyproj.exceptions import CRSError
from rasterio.windows import Window

from ..errors import ProtolabelError
from .source import RasterSource

_NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
_EXTENT = re.compile(rf"^\s*({_NUMBER})[\s,]+({_NUMBER})[\s,]+({_NUMBER})[\s,]+({_NUMBER})\s*(?:\[(.+)\])?\s*$")


@dataclass(frozen=True)
class Extent:
    """A rectangle in a CRS.

    Attributes:
        xmin, ymin, xmax, ymax: In the units of the CRS; pixels on a raster without one.
        crs: Anything that PROJ understands, or None for the raster's own.
    """

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    crs: str | None = None

    @classmethod
    def parse(cls, text: str) -> Extent:
        """Read "xmin,ymin,xmax,ymax" or "xmin,ymin,xmax,ymax [EPSG:4326]".

        Raises:
            ProtolabelError: When it is neither, or holds no area.
        """
        found = _EXTENT.match(text)
        if found is None:
            raise ProtolabelError(f"The extent {text!r} is not understood; write xmin,ymin,xmax,ymax [EPSG:CODE].")
        xmin, ymin, xmax, ymax = (float(part) for part in found.groups()[:4])
        if xmax <= xmin or ymax <= ymin:
            raise ProtolabelError(f"The extent {text!r} holds no area; the order is xmin,ymin,xmax,ymax.")
        return cls(xmin, ymin, xmax, ymax, found.group(5))

    def window(self, source: RasterSource) -> Window:
        """The smallest window of whole pixels around the extent, cut at the raster's edge.

        Raises:
            ProtolabelError: When it lies outside the raster or its CRS is not understood.
        """
        side = np.linspace(0.0, 1.0, 21)
        xs = self.xmin + (self.xmax - self.xmin) * np.concatenate([side, side, 0 * side, 0 * side + 1])
        ys = self.ymin + (self.ymax - self.ymin) * np.concatenate([0 * side, 0 * side + 1, side, side])
        if self.crs and source.crs:
            try:
                target = pyproj.CRS.from_user_input(source.crs.to_wkt())
                transformer = pyproj.Transformer.from_crs(pyproj.CRS.from_user_input(self.crs), target, always_xy=True)
            except CRSError as error:
                raise ProtolabelError(f"The extent's system {self.crs!r} is not understood; write EPSG:CODE.") from error
            xs, ys = transformer.transform(xs, ys)
        inverse = ~source.transform
        cols = inverse.a * xs + inverse.b * ys + inverse.c
        rows = inverse.d * xs + inverse.e * ys + inverse.f
        if not (np.isfinite(cols).all() and np.isfinite(rows).all()):
            raise ProtolabelError("The extent cannot be brought to the raster's coordinate system; check its order.")
        # A hair of tolerance keeps an extent that was read off pixel edges from growing by a pixel.
        left, top = max(floor(cols.min() + 1e-6), 0), max(floor(rows.min() + 1e-6), 0)
        right = min(ceil(cols.max() - 1e-6), source.width)
        bottom = min(ceil(rows.max() - 1e-6), source.height)
        if right <= left or bottom <= top:
            raise ProtolabelError(f"The extent lies outside the raster {source.path}; check its coordinates.")
        return Window(left, top, right - left, bottom - top)
