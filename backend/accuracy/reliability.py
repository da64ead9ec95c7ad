"""Whether the confidences of a label map can be believed: how often labels of each confidence are right."""

from __future__ import annotations

import math
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from ..errors import AssessmentError
from .mapped import LabelMap, reading

_PERCENT = 101  # values, 0 to 100
_BINS = 10
_WHAT = "confidence raster"


@dataclass(frozen=True)
class Bin:
    """Labels of similar confidence.

    Attributes:
        low, high: Their confidences, 0 to 1; the last bin holds 1 itself.
        count: How many there are.
        share: Of all, as they stand for the map, 0 to 1.
        confidence: Their mean confidence; NaN for none.
        accuracy: The share of them that is right; NaN for none.
    """

    low: float
    high: float
    count: int
    share: float
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram.

    Attributes:
        bins: Ten of equal width.
        ece: Expected calibration error, the mean distance of confidence and accuracy over all labels (Guo et al. 2017,
            "On calibration of modern neural networks", eq. 3), 0 to 1.
    """

    bins: tuple[Bin, ...]
    ece: float


class ConfidenceRaster:
    """The confidences of a label map, as the labelling writes them: percent, 255 where there is none."""

    def __init__(self, path: str | Path, labels: LabelMap, stack: ExitStack) -> None:
        """Open one; the stack closes it.

        Raises:
            RasterError: When it cannot be read.
            AssessmentError: When it is none, or one of another map.
        """
        self._path = str(path)
        with reading(self._path, _WHAT), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self._src = stack.enter_context(rasterio.open(self._path))
        src, map_src = self._src, labels.src
        if src.dtypes[0] != "uint8":
            raise AssessmentError(
                f"The confidence raster {path} holds {src.dtypes[0]} values, not percent; choose the one that was "
                "written with the label map."
            )
        same = src.shape == map_src.shape and src.transform.almost_equals(
            map_src.transform, precision=1e-6 * abs(map_src.transform.a or map_src.transform.b)
        )
        if not same or src.crs != map_src.crs:
            raise AssessmentError(
                f"The confidence raster {path} has another grid than the label map {labels.path}; choose the one that "
                "was written with it."
            )

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent, 255 where there is none; shape (window.height, window.width).

        Raises:
            RasterError: When the file is broken.
            AssessmentError: When a value is no percentage.
        """
        with reading(self._path, _WHAT):
            values = self._src.read(1, window=window)
            known = self._src.read_masks(1, window=window) != 0
        if (values[known] >= _PERCENT).any():
            raise AssessmentError(
                f"The confidence raster {self._path} holds values above 100, so they are no percent; choose the one "
                "that was written with the label map."
            )
        return np.where(known, values, 255).astype(np.uint8)


class ReliabilityCounter:
    """Counts right and wrong labels by confidence and group."""

    def __init__(self, groups: int) -> None:
        self._all = np.zeros((groups, _PERCENT), np.int64)
        self._right = np.zeros((groups, _PERCENT), np.int64)

    def add(self, percent: NDArray[np.uint8], right: NDArray[np.bool_], group: NDArray[np.integer]) -> None:
        """Count labels, all of shape (n,); those without a confidence are passed over."""
        known = percent < _PERCENT
        np.add.at(self._all, (group[known], percent[known]), 1)
        np.add.at(self._right, (group[known], percent[known]), right[known])

    def reliability(self, weights: NDArray[np.floating]) -> Reliability:
        """The diagram.

        Args:
            weights: What one label of each group stands for, shape (groups,).
        """
        counts = self._all.sum(axis=0)
        total, right = weights @ self._all, weights @ self._right
        percent = np.arange(_PERCENT)
        width = 100 // _BINS
        number = np.minimum(percent // width, _BINS - 1)
        everything = float(total.sum())
        bins = []
        for place in range(_BINS):
            inside = number == place
            weight = float(total[inside].sum())
            some = weight > 0
            bins.append(
                Bin(
                    place / _BINS,
                    (place + 1) / _BINS,
                    int(counts[inside].sum()),
                    weight / everything if everything > 0 else 0.0,
                    float((percent * total)[inside].sum()) / (100 * weight) if some else math.nan,
                    float(right[inside].sum()) / weight if some else math.nan,
                )
            )
        distances = [item.share * abs(item.accuracy - item.confidence) for item in bins if item.share > 0]
        return Reliability(tuple(bins), sum(distances) if distances else math.nan)
