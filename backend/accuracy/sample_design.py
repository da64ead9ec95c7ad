"""How many points a stratified random sample needs, and how they are shared out among the strata."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import AssessmentError

EXPECTED = 0.8  # user's accuracy of a class of which nothing is known


@dataclass(frozen=True)
class SampleDesign:
    """What is to be drawn.

    Attributes:
        count: Points in all; None for as many as the standard error needs.
        standard_error: That the overall accuracy shall have.
        expected: User's accuracies that are expected, 0 to 1, by class id; 0.8 for others.
        minimum: Points of each class at least.
        seed: The same one draws the same points.
    """

    count: int | None = None
    standard_error: float = 0.025
    expected: Mapping[int, float] | None = None
    minimum: int = 25
    seed: int = 0


def expected_accuracies(entries: Iterable[Mapping[str, object]]) -> dict[int, float]:
    """Read expected user's accuracies by class id from objects with ``id`` and ``accuracy``.

    Raises:
        AssessmentError: When one is something else.
    """
    result = {}
    for entry in entries:
        id, accuracy = entry.get("id"), entry.get("accuracy")
        numeric = isinstance(accuracy, (int, float)) and not isinstance(accuracy, bool)
        if not isinstance(id, int) or isinstance(id, bool) or not numeric or not 0 <= float(accuracy) <= 1:  # type: ignore[arg-type]
            raise AssessmentError(
                f"An expected accuracy is a class id with a share between 0 and 1, not {id!r} with {accuracy!r}."
            )
        result[id] = float(accuracy)  # type: ignore[arg-type]
    return result


def sample_size(
    sizes: Sequence[int] | NDArray[np.integer], accuracies: Sequence[float], standard_error: float
) -> int:
    """How many points give the overall accuracy a standard error.

    Cochran (1977), eq. 5.25, which is eq. 13 of Olofsson et al. (2014) with the correction for finite populations.

    Args:
        sizes: Pixels of each stratum.
        accuracies: User's accuracy that is expected in each, 0 to 1.
        standard_error: Of the overall accuracy, above 0.
    """
    pixels = np.asarray(sizes, np.float64)
    total = pixels.sum()
    weights, p = pixels / total, np.asarray(accuracies, np.float64)
    variances = p * (1 - p)
    spread = float((weights * np.sqrt(variances)).sum()) ** 2
    needed = spread / (standard_error**2 + float((weights * variances).sum()) / total)
    return max(1, min(math.ceil(needed - 1e-9), int(total)))


def allocate(sizes: Sequence[int] | NDArray[np.integer], count: int, minimum: int) -> NDArray[np.int64]:
    """Share points out among strata: in proportion to their sizes, but not fewer than a minimum.

    Args:
        sizes: Pixels of each stratum; none gets more points than that.
        count: Points in all.
        minimum: Of each stratum; less where they are too few for that.

    Returns:
        Points of each stratum, shape (strata,); in all as many as were asked for, or as there are pixels.
    """
    pixels = np.asarray(sizes, np.int64)
    result = np.zeros(len(pixels), np.int64)
    left = min(count, int(pixels.sum()))
    free = pixels > 0
    floors = np.minimum(pixels, min(minimum, left // max(int(free.sum()), 1)))
    while free.any():
        share = np.where(free, left * (pixels / max(int(pixels[free].sum()), 1)), 0.0)
        small = free & (share < floors)
        if not small.any():
            break
        result[small] = floors[small]
        left -= int(floors[small].sum())
        free &= ~small
    if free.any():
        # The largest remainders are rounded up.
        whole = np.minimum(np.floor(share + 1e-9).astype(np.int64), pixels)
        remainder = np.where(free & (whole < pixels), share - whole, -1.0)
        whole[np.argsort(-remainder, kind="stable")[: left - int(whole[free].sum())]] += 1
        result[free] = whole[free]
    return result
