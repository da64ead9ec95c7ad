"""What is in view, as a lattice of samples: pixels of the raster, or means of several where it is zoomed out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rasterio.windows import Window

from ..errors import ProtolabelError
from ..rasters.extent import Extent
from ..rasters.georeference import drawn_upside_down
from ..rasters.grid import FeatureGrid, Tile
from ..rasters.source import RasterSource
from ..streaming import grow
from .patches import patches_over

_TOLERANCE = 0.25  # a view that is a little finer than the screen needs no coarser samples


@dataclass(frozen=True)
class View:
    """A window of samples; sample (x, y) is the mean of ``step`` by ``step`` pixels from (x * step, y * step) on.

    Attributes:
        step: Pixels per sample, 1 unless zoomed out.
        inner: What is shown, in samples.
        outer: With what the refinement sees around it.
    """

    step: int
    inner: Window
    outer: Window

    @classmethod
    def of(cls, source: RasterSource, window: Window, most: int, margin: int) -> View:
        """Choose the step for a window.

        Args:
            source: The raster.
            window: In pixels.
            most: Samples that are wanted, about.
            margin: Pixels around the window that the refinement sees.
        """
        ratio = math.sqrt(window.width * window.height / most)
        step = max(1, math.ceil(ratio - _TOLERANCE))
        step = min(step, source.width, source.height)
        # Samples at the far edges that are not whole are left out: less than one pixel on the screen.
        across, down = source.width // step, source.height // step
        left = min(int(window.col_off) // step, across - 1)
        top = min(int(window.row_off) // step, down - 1)
        right = min(math.ceil((window.col_off + window.width) / step), across)
        bottom = min(math.ceil((window.row_off + window.height) / step), down)
        inner = Window(left, top, right - left, bottom - top)
        return cls(step, inner, grow(inner, math.ceil(margin / step), Window(0, 0, across, down)))

    @classmethod
    def asked(
        cls, source: RasterSource, extent: Extent, size: tuple[int, int], margin: int
    ) -> tuple[View, bool]:
        """The view that a request asks for, and whether its rows are at negative y.

        Args:
            source: The raster.
            extent: What is in view.
            size: Width and height on the screen.
            margin: Pixels around it that the refinement sees.

        Raises:
            ProtolabelError: When the extent does not meet the raster.
        """
        view = cls.of(source, extent.window(source), size[0] * size[1], margin)
        bounds = extent.xmin, extent.ymin, extent.xmax, extent.ymax
        return view, drawn_upside_down(bounds, source.transform, source.height)

    def pixels(self, samples: Window) -> Window:
        """The raster window under samples."""
        return Window(*(self.step * value for value in samples.flatten()))

    def place(self, samples: Window) -> tuple[slice, slice]:
        """Rows and columns of samples in an array over ``outer``."""
        row = int(samples.row_off - self.outer.row_off)
        col = int(samples.col_off - self.outer.col_off)
        return slice(row, row + int(samples.height)), slice(col, col + int(samples.width))

    def patches(self, grid: FeatureGrid) -> list[Tile]:
        """The patches that the inner samples need, nearest to the centre first."""
        window = self.pixels(self.inner)
        y = window.row_off + window.height / 2
        x = window.col_off + window.width / 2

        def distance(patch: Tile) -> float:
            down, across = (patch.y0 + patch.y1) / 2, (patch.x0 + patch.x1) / 2
            return math.hypot(down * grid.cell - y, across * grid.cell - x)

        return sorted(patches_over(grid, *grid.cells_around(window)), key=distance)


def corners(source: RasterSource, window: Window, upside_down: bool) -> list[list[float]]:
    """Coordinates of the upper left, upper right, lower right and lower left corners of a window of pixels.

    Args:
        source: The raster.
        window: In pixels.
        upside_down: Whether rows are at negative y, as QGIS shows rasters without georeference.
    """
    left, top = window.col_off, window.row_off
    right, bottom = left + window.width, top + window.height
    points = [
        source.transform @ point for point in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
    return [[float(x), -float(y) if upside_down else float(y)] for x, y in points]


def check_classes(count: int, most: int = 255) -> None:
    """See that a class's place fits into the byte of a pixel.

    Raises:
        ProtolabelError: When it does not.
    """
    if count > most:
        raise ProtolabelError(
            f"A preview shows {most} classes at most, not {count}; label the raster instead."
        )
