"""A part of a raster, given by coordinates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor, inf

import numpy as np
import pyproj
from pyproj.exceptions import ProjError
from rasterio.windows import Window

from ..errors import ProtolabelError
from .georeference import drawn_upside_down, pixel_mapping, proj_system
from .source import RasterSource

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_EXTENT = re.compile(
    rf"\s*({_NUMBER})" + rf"[\s,]+({_NUMBER})" * 3 + r"\s*(?:\[\s*(.*?)\s*\])?\s*", re.DOTALL
)


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
        found = _EXTENT.fullmatch(text)
        if found is None:
            raise ProtolabelError(
                f"The extent {text!r} is not understood; write xmin,ymin,xmax,ymax [EPSG:CODE]."
            )
        xmin, ymin, xmax, ymax = (float(part) for part in found.groups()[:4])
        if not (0 < xmax - xmin < inf and 0 < ymax - ymin < inf):
            raise ProtolabelError(
                f"The extent {text!r} holds no area; write it in the order xmin,ymin,xmax,ymax."
            )
        return cls(xmin, ymin, xmax, ymax, found.group(5) or None)

    def window(self, source: RasterSource) -> Window:
        """The smallest window of whole pixels around the extent, cut at the raster's edge.

        Raises:
            ProtolabelError: When it lies outside the raster or its CRS is not understood.
        """
        side = np.linspace(0.0, 1.0, 21)
        xs = self.xmin + (self.xmax - self.xmin) * np.concatenate([side, side, 0 * side, 0 * side + 1])
        ys = self.ymin + (self.ymax - self.ymin) * np.concatenate([0 * side, 0 * side + 1, side, side])
        points = np.stack([xs, ys], axis=1)
        target = proj_system(source.crs)
        if self.crs and target is None:
            raise ProtolabelError(
                f"The raster {source.path} has no coordinate system; give the extent in its own coordinates."
            )
        if self.crs and target is not None:
            try:
                system = pyproj.CRS.from_user_input(self.crs)
                transformer = pyproj.Transformer.from_crs(system, target, always_xy=True)
            except ProjError as error:
                raise ProtolabelError(
                    f"The extent's system {self.crs!r} is not understood; write EPSG:CODE."
                ) from error
            points = np.stack(transformer.transform(xs, ys), axis=1)
        if not np.isfinite(points).all():
            raise ProtolabelError(
                f"The extent cannot be brought to the coordinate system of the raster {source.path}; check its "
                "coordinates and their order."
            )
        cols, rows = pixel_mapping(source.transform)(points).T
        bounds = cols.min(), rows.min(), cols.max(), rows.max()
        if drawn_upside_down(bounds, source.transform, source.height):
            rows = -rows
        # A hair of tolerance keeps an extent that was read off pixel edges from growing by a pixel.
        left, top = max(floor(cols.min() + 1e-6), 0), max(floor(rows.min() + 1e-6), 0)
        right = min(ceil(cols.max() - 1e-6), source.width)
        bottom = min(ceil(rows.max() - 1e-6), source.height)
        if right <= left or bottom <= top:
            raise ProtolabelError(f"The extent lies outside the raster {source.path}; check its coordinates.")
        return Window(left, top, right - left, bottom - top)
