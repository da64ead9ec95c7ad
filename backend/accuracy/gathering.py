"""One pass over a label map and its reference: what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .areas import PixelAreas
from .estimation import Tally
from .exclusion import Exclusion
from .mapped import LabelMap
from .reference import PointReference, Reference
from .reliability import ConfidenceRaster, ReliabilityCounter

_DENSE = 1 << 20  # keys that are counted in one array


@dataclass(frozen=True)
class Gathered:
    """What a pass has found; "places" are those in the map's list of classes.

    Attributes:
        tally: Units of the reference that are compared.
        sizes: Labelled pixels outside of the support polygons by place, shape (classes,).
        areas: What they cover, shape (classes,).
        removed: Units under support polygons.
        outside: Units where the map has no label, or beyond its edge.
        reliability: Right and wrong labels by confidence; in groups by stratum or map class for points, else in one.
    """

    tally: Tally
    sizes: NDArray[np.int64]
    areas: NDArray[np.float64]
    removed: int
    outside: int
    reliability: ReliabilityCounter | None

    @property
    def occurring(self) -> NDArray[np.bool_]:
        """Which places the reference has where it is compared, shape (classes,)."""
        result = np.zeros(len(self.sizes), np.bool_)
        result[self.tally.reference] = True
        result[self.tally.mapped] = True
        return result


def gather(
    labels: LabelMap,
    reference: Reference,
    exclusion: Exclusion,
    confidences: ConfidenceRaster | None,
    areas: PixelAreas,
    tell: Callable[[int, int, int], None],
) -> Gathered:
    """Read everything, window by window.

    Args:
        labels: The label map.
        reference: What it is compared with.
        exclusion: What is left out.
        confidences: Of the map.
        areas: Of its pixels.
        tell: Told after every window how many are done and in all, and how many pixels that are.

    Raises:
        ProtolabelError: When a file is broken, or holds what cannot be.
    """
    classes = len(labels.classes)
    points = reference.points if isinstance(reference, PointReference) else None
    drawn = points is not None and points.sizes is not None
    groups = len(points.sizes) if points is not None and points.sizes is not None else classes
    counter = ReliabilityCounter(groups if points is not None else 1) if confidences else None
    sizes, covered = np.zeros(classes, np.int64), np.zeros(classes)
    tallies: list[Tally] = []
    removed = outside = seen = pixels = 0
    windows = labels.windows()
    for done, window in enumerate(windows, start=1):
        index, left_out = labels.read(window), exclusion.mask(window)
        units = reference.units(window)
        seen += len(units)
        mapped, away = index[units.rows, units.cols], left_out[units.rows, units.cols]
        outside += int((mapped < 0).sum())
        removed += int((away & (mapped >= 0)).sum())
        kept = (mapped >= 0) & ~away
        chosen, told, group = mapped[kept].astype(np.int64), units.reference[kept], units.group[kept]
        tallies.append(_tally(group, chosen, told, classes))
        if counter is not None and confidences is not None and kept.any():
            percent = confidences.read(window)[units.rows[kept], units.cols[kept]]
            by = group if drawn else chosen if points is not None else np.zeros(len(chosen), np.int64)
            counter.add(percent, chosen == told, by)
        index[left_out] = -1
        assessed = index >= 0
        inner = index[assessed]
        sizes += np.bincount(inner, minlength=classes)
        weights = np.repeat(areas.of_rows(window), assessed.sum(axis=1))
        covered += np.bincount(inner, weights, minlength=classes)
        pixels += index.size
        tell(done, len(windows), pixels)
    if points is not None:
        outside += len(points.rows) - seen
    return Gathered(_merged(tallies, classes), sizes, covered, removed, outside, counter)


def _tally(
    group: NDArray[np.int64], mapped: NDArray[np.int64], reference: NDArray[np.int64], classes: int
) -> Tally:
    """Count equal units."""
    return _of_keys((group * classes + mapped) * classes + reference, np.ones(len(group), np.int64), classes)


def _merged(tallies: list[Tally], classes: int) -> Tally:
    keys = [(item.group * classes + item.mapped) * classes + item.reference for item in tallies]
    return _of_keys(np.concatenate(keys), np.concatenate([item.count for item in tallies]), classes)


def _of_keys(keys: NDArray[np.int64], counts: NDArray[np.int64], classes: int) -> Tally:
    if int(keys.max(initial=0)) < _DENSE:  # much faster than sorting, as long as it does not take much memory
        sums = np.bincount(keys, counts)
        unique = np.flatnonzero(sums)
        count = sums[unique].astype(np.int64)
    else:
        unique, place = np.unique(keys, return_inverse=True)
        count = np.bincount(place, counts, minlength=len(unique)).astype(np.int64)
    pairs, reference = np.divmod(unique, classes)
    group, mapped = np.divmod(pairs, classes)
    return Tally(group, mapped, reference, count)
