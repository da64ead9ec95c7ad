"""How much the imagery is enlarged before the encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import ProtolabelError

STRIDE = 8
_COARSE = 0.45  # metres; at and above, features at 1/8 miss roads and roofs
_FINE = 0.075  # metres; below, an encoder's receptive field is smaller than a roof
_TARGET = 0.10  # metres; what finer imagery is averaged down to
_LARGEST_CELL = 64  # pixels


@dataclass(frozen=True)
class Scale:
    """The scale, as whole raster pixels per feature cell.

    Attributes:
        cell: Raster pixels per feature cell side: 8 at scale 1, 4 at scale 2.
        reason: Why, for the user.
    """

    cell: int
    reason: str

    @property
    def factor(self) -> float:
        """Encoder input pixels per raster pixel."""
        return STRIDE / self.cell


def fixed_scale(factor: float) -> Scale:
    """The nearest scale to a wanted factor for which a cell is a whole number of pixels.

    Raises:
        ProtolabelError: When the factor is out of range.
    """
    smallest = STRIDE / _LARGEST_CELL
    if not smallest <= factor <= STRIDE:
        raise ProtolabelError(
            f"A scale of {factor:g} is out of range; choose one from {smallest:g} to {STRIDE}."
        )
    wanted = STRIDE / factor
    cell = min(math.floor(wanted), math.ceil(wanted), key=lambda cell: abs(STRIDE / cell - factor))
    exact = math.isclose(STRIDE / cell, factor, rel_tol=1e-6)
    return Scale(cell, "given" if exact else f"nearest to {factor:g} with whole pixels per feature")


def same_ground(scale: Scale, pixel_size: float | None, other: float | None) -> Scale:
    """The scale at which the cells of another raster are as large on the ground.

    Args:
        scale: Of the first raster.
        pixel_size: Of the first raster, in metres, or None when it is not known.
        other: Of the other raster.
    """
    if pixel_size is None or other is None:
        return scale
    return Scale(min(max(round(scale.cell * pixel_size / other), 1), _LARGEST_CELL), scale.reason)


def choose_scale(pixel_size: float | None, polygon_areas: Sequence[float]) -> Scale:
    """A scale from the pixel size and the sizes of the support polygons.

    Args:
        pixel_size: Metres, or None when it is not known.
        polygon_areas: Of the support polygons, in square pixels.
    """
    side = math.sqrt(float(np.median(polygon_areas))) if len(polygon_areas) else math.inf
    if pixel_size is None:
        cell, reason = 8, "pixel size not known"
    elif pixel_size >= _COARSE:
        cell, reason = 4, f"pixels of {pixel_size:.2g} m"
    elif pixel_size >= _FINE:
        cell, reason = 8, f"pixels of {pixel_size:.2g} m"
    else:
        cell = min(_LARGEST_CELL, round(STRIDE * _TARGET / pixel_size))
        reason = f"pixels of {pixel_size:.2g} m, averaged to {_TARGET:g} m"
    # Small polygons are drawn on small things: at least half of the polygons should be a cell and a half across.
    finest = 4
    if side < 1.5 * cell and cell > finest:
        cell = max(finest, int(side / 1.5))
        reason += f", half of the polygons under {math.ceil(side)} pixels across"
    return Scale(cell, reason)
