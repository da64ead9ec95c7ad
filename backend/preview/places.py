"""Where one more polygon would help most, from a map of uncertainties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter

_LEVELS = 6  # grey levels per band that count as alike
_AGAIN = 0.5  # what a place counts when one like it was chosen already
_SEEN = 0.5  # of a window that has to be usable


@dataclass(frozen=True)
class Place:
    """A place on the map.

    Attributes:
        row, col: Its middle, in samples.
        uncertainty: Of the window around it, 0..100.
    """

    row: int
    col: int
    uncertainty: float


def choose_places(
    uncertainty: NDArray[np.float32],
    usable: NDArray[np.bool_],
    image: NDArray[np.float32],
    window: int,
    apart: int,
    count: int,
) -> list[Place]:
    """Choose places that are uncertain, that much else is like, and that differ from each other.

    Args:
        uncertainty: 0..100, shape (height, width).
        usable: Where a polygon could be drawn: neither nodata nor under a polygon; shape (height, width).
        image: Values 0..255, shape (bands, height, width); what looks alike is taken to be alike.
        window: Side of a typical polygon, in samples.
        apart: Samples between two places at least, along one axis or the other.
        count: How many places at most.

    Returns:
        The places, best first.
    """
    share = uniform_filter(usable.astype(np.float32), window)
    enough = usable & (share >= _SEEN)
    known = np.maximum(share, 1e-6)
    mean = uniform_filter(np.where(usable, uncertainty, 0.0).astype(np.float32), window) / known
    kind = _kinds(image, usable, window, known)
    mass = np.bincount(kind[usable], uncertainty[usable].astype(np.float64), minlength=int(kind.max()) + 1)
    weight = np.sqrt(mass / max(float(mass.max()), 1e-9))
    score = np.where(enough, mean * weight[kind], 0.0)
    # Only local maxima count: nothing beside them is better.
    peaks = np.flatnonzero((score > 0) & (score == maximum_filter(score, 2 * (window // 2) + 1)))
    rows, cols = np.unravel_index(peaks, score.shape)
    values, kinds = score.ravel()[peaks], kind.ravel()[peaks]
    places: list[Place] = []
    while len(places) < count and (values > 0).any():
        best = int(values.argmax())
        row, col = int(rows[best]), int(cols[best])
        places.append(Place(row, col, float(np.clip(mean[row, col], 0.0, 100.0))))
        values[(abs(rows - row) < apart) & (abs(cols - col) < apart)] = 0.0
        values[kinds == kinds[best]] *= _AGAIN
    return places


def _kinds(
    image: NDArray[np.float32], usable: NDArray[np.bool_], window: int, share: NDArray[np.float32]
) -> NDArray[np.int64]:
    """A number for each sample, the same for all whose surroundings look alike; shape (height, width)."""
    kind = np.zeros(usable.shape, np.int64)
    for band in image[:3]:
        smooth = uniform_filter(np.where(usable, band, 0.0).astype(np.float32), window) / share
        level = np.clip(smooth * (_LEVELS / 256.0), 0, _LEVELS - 1).astype(np.int64)
        kind = kind * _LEVELS + level
    return kind
