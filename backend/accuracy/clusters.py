"""Accuracies of pixels in polygons, with standard errors that take each polygon as one cluster.

Pixels of one polygon are alike, so that a thousand of them tell little more than the polygon does. The variance is that
of a ratio of sums over clusters (Stehman 1997, "Estimating standard errors of accuracy assessment statistics under
cluster sampling", Remote Sensing of Environment 60(3)). Nobody has drawn the polygons at random, so the intervals say
how much the figures would vary with other polygons of the same kind, not how good the whole map is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from .estimation import Estimate, Estimates, Tally


class ClusterSample:
    """Pixels in polygons."""

    def __init__(self, tally: Tally) -> None:
        """Take the pixels, grouped by polygon."""
        self._tally = tally
        self._groups = int(tally.group.max(initial=-1)) + 1

    def estimates(self, classes: int) -> Estimates:
        """Accuracies for that many classes, every pixel counting the same; no shares of areas can be told."""
        mapped, reference = self._tally.mapped, self._tally.reference
        hit = mapped == reference
        return Estimates(
            self.ratio(hit, np.ones(len(mapped), np.bool_)),
            tuple(self.ratio(hit & (mapped == k), mapped == k) for k in range(classes)),
            tuple(self.ratio(hit & (reference == k), reference == k) for k in range(classes)),
            (),
            None,
        )

    def ratio(self, part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Estimate:
        """The share of a part in a whole, see :meth:`StratifiedSample.ratio`.

        Only the polygons count that have something of the whole; with fewer than two there is no standard error. The
        interval is Student's, since there may be few of them.
        """
        parts, wholes = self._sums(part), self._sums(whole)
        parts, wholes = parts[wholes > 0], wholes[wholes > 0]
        clusters = len(wholes)
        if not clusters:
            return Estimate()
        total = wholes.sum()
        value = float(parts.sum() / total)
        if clusters < 2:
            return Estimate(value)
        squares = ((parts - value * wholes) ** 2).sum()
        se = math.sqrt(squares * clusters / (clusters - 1)) / float(total)
        return Estimate.normal(value, se, float(student.ppf(0.975, clusters - 1)))

    def _sums(self, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = self._tally.group[rows], self._tally.count[rows]
        return np.bincount(chosen[0], chosen[1], minlength=self._groups).astype(np.float64)
