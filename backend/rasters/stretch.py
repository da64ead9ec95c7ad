"""The stretch from a raster's own values to 0..255: estimated once, used for every read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from ..errors import RasterError


@dataclass(frozen=True)
class Stretch:
    """A linear map per band from ``low``..``high`` to 0..255, clipped.

    Attributes:
        low: Value that becomes 0, one per band.
        high: Value that becomes 255, one per band.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def identity(cls, bands: int) -> Stretch:
        """The stretch of 8-bit imagery, which keeps its values."""
        return cls((0.0,) * bands, (255.0,) * bands)

    @classmethod
    def parse(cls, text: str) -> Stretch:
        """Read "LOW:HIGH,LOW:HIGH,...", one pair per band.

        Raises:
            RasterError: When it is something else, or no pair of a lower and a higher number.
        """
        try:
            pairs = [tuple(map(float, pair.split(":"))) for pair in text.split(",")]
            low, high = zip(*pairs, strict=True)
        except ValueError as error:
            raise RasterError(
                f"The stretch {text!r} is not understood; write LOW:HIGH for each band, for example 0:3000,0:2500."
            ) from error
        return cls.checked(low, high)

    @classmethod
    def checked(cls, low: Sequence[float], high: Sequence[float]) -> Stretch:
        """Make a stretch of numbers that somebody gave.

        Raises:
            RasterError: When they cannot be one.
        """
        pairs = list(zip(low, high, strict=False))
        if len(low) != len(high) or not pairs or not all(a < b and isfinite(b - a) for a, b in pairs):
            raise RasterError(
                "The stretch needs a lower and a higher number for each band, for example 0:3000,0:2500."
            )
        return cls(tuple(low), tuple(high))

    @classmethod
    def from_sample(
        cls,
        sample: NDArray[np.generic],
        valid: NDArray[np.bool_],
        percentiles: tuple[float, float] = (1.0, 99.0),
    ) -> Stretch:
        """Estimate the stretch from percentiles of the valid values of each band.

        Args:
            sample: Values with shape (bands, n).
            valid: Which of them count, shape (n,).
            percentiles: Lower and upper percentile, 0..100.
        """
        if not valid.any():
            return cls.identity(sample.shape[0])
        values = sample[:, valid].astype(np.float64)
        low, high = np.percentile(values, percentiles, axis=1)
        # Of a band that is nearly all one value, the percentiles say nothing; the few others tell the range.
        flat = high <= low
        low, high = np.where(flat, values.min(axis=1), low), np.where(flat, values.max(axis=1), high)
        # A constant band has nothing to stretch; some width keeps the division finite.
        width = np.maximum(1.0, 1e-6 * np.abs(low))
        high = np.where(high > low, high, low + width)
        return cls(tuple(low.tolist()), tuple(high.tolist()))

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Stretch values of shape (bands, ...) to float32 0..255 (not rounded)."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        low = np.asarray(self.low, np.float64).reshape(shape)
        width = np.asarray(self.high, np.float64).reshape(shape) - low
        if values.dtype == np.uint8 and not low.any() and (width == 255.0).all():
            return values.astype(np.float32)
        # Divided before it is multiplied: the factor of a very narrow band would be infinite.
        stretched: NDArray[np.float64] = values.astype(np.float64)
        stretched -= low
        stretched /= width
        stretched *= 255.0
        return np.clip(stretched, 0.0, 255.0, out=stretched).astype(np.float32)

    def select(self, positions: list[int]) -> Stretch:
        """The stretch of some of the bands, by position."""
        return Stretch(tuple(self.low[p] for p in positions), tuple(self.high[p] for p in positions))
