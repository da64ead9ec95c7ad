"""Estimates for the whole map from a stratified random sample, with standard errors.

Stehman, S. V. (2014), "Estimating area and map accuracy for stratified random sampling when the strata are different
from the map classes", International Journal of Remote Sensing 35(13). Where the strata are the map's classes, as when
the map has not changed since the points were drawn, these are the estimators of Olofsson et al. (2014), "Good practices
for estimating area and assessing accuracy of land change", Remote Sensing of Environment 148, eq. 1 to 11, with the
correction for finite populations besides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 1.959964  # standard errors on either side: 95 %
Weights = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A number that was estimated; NaN for what cannot be told.

    Attributes:
        value: The estimate.
        se: Its standard error.
        low, high: 95 % confidence interval.
    """

    value: float = math.nan
    se: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def normal(cls, value: float, se: float, quantile: float = CONFIDENCE, most: float = 1.0) -> Estimate:
        """One with a symmetric interval, cut at 0 and at the largest value that is possible."""
        return cls(value, se, max(value - quantile * se, 0.0), min(value + quantile * se, most))

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """One without a sampling error."""
        return cls(value, 0.0, value, value)

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(self.value * factor, self.se * factor, self.low * factor, self.high * factor)

    def without_error(self) -> Estimate:
        """The value alone."""
        return Estimate(self.value)


@dataclass(frozen=True)
class Estimates:
    """What is estimated for a map.

    Attributes:
        overall: Overall accuracy, 0 to 1.
        users: User's accuracy (precision) of every class, 0 to 1.
        producers: Producer's accuracy (recall) of every class, 0 to 1.
        shares: Of the map's area that is each class in truth, 0 to 1; none where the design allows none.
        proportions: Of the map's area, by class of the map (rows) and in truth (columns), 0 to 1; None as well.
    """

    overall: Estimate
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    shares: tuple[Estimate, ...]
    proportions: NDArray[np.float64] | None

    def of_classes(self, kept: Sequence[int]) -> Estimates:
        """Those of some classes."""
        return Estimates(
            self.overall,
            tuple(self.users[place] for place in kept),
            tuple(self.producers[place] for place in kept),
            tuple(self.shares[place] for place in kept) if self.shares else (),
            None if self.proportions is None else self.proportions[np.ix_(kept, kept)],
        )

    def without_errors(self) -> Estimates:
        """The values alone."""
        return Estimates(
            self.overall.without_error(),
            tuple(item.without_error() for item in self.users),
            tuple(item.without_error() for item in self.producers),
            tuple(item.without_error() for item in self.shares),
            self.proportions,
        )


@dataclass(frozen=True)
class Tally:
    """Counted units of the reference, gathered where map, reference and group are the same.

    Attributes:
        group: The stratum or the polygon that the units belong to, shape (n,), int.
        mapped: Their class in the map, by its place in the list of classes, shape (n,), int.
        reference: Their class in the reference, shape (n,), int.
        count: How many there are, shape (n,), int.
    """

    group: NDArray[np.int64]
    mapped: NDArray[np.int64]
    reference: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def of_matrix(cls, matrix: NDArray[np.integer]) -> Tally:
        """Of a confusion matrix with a row for each map class, each of which is a stratum."""
        rows, cols = np.nonzero(matrix)
        return cls(rows, rows, cols, matrix[rows, cols].astype(np.int64))

    def matrix(self, classes: int) -> NDArray[np.int64]:
        """The confusion matrix, a row for each class of the map, a column for each class of the reference."""
        result = np.zeros((classes, classes), np.int64)
        np.add.at(result, (self.mapped, self.reference), self.count)
        return result


class StratifiedSample:
    """A stratified random sample of pixels."""

    def __init__(self, tally: Tally, sizes: NDArray[np.number], drawn: NDArray[np.integer]) -> None:
        """Take one.

        Args:
            tally: The sampled units in the area of interest, by stratum.
            sizes: Pixels of each stratum, shape (strata,).
            drawn: Sampled units of each stratum that were labelled, shape (strata,); more than in the tally where
                some turned out to lie outside of the area of interest. Strata without any are left out.
        """
        self._tally = tally
        self._drawn = drawn.astype(np.float64)
        self._sizes = np.where(drawn > 0, sizes, 0).astype(np.float64)

    def estimates(self, classes: int) -> Estimates:
        """Estimate everything for that many classes."""
        mapped, reference = self._tally.mapped, self._tally.reference
        hit, everywhere = mapped == reference, np.ones(len(mapped), np.bool_)
        return Estimates(
            self.ratio(hit, everywhere),
            tuple(self.ratio(hit & (mapped == k), mapped == k) for k in range(classes)),
            tuple(self.ratio(hit & (reference == k), reference == k) for k in range(classes)),
            tuple(self.ratio(reference == k, everywhere) for k in range(classes)),
            self.proportions(classes),
        )

    def proportions(self, classes: int) -> NDArray[np.float64]:
        """Shares of the area by class of the map (rows) and of the reference (columns); they add up to 1."""
        weights = self._sizes / np.maximum(self._drawn, 1)
        result = np.zeros((classes, classes))
        shares = weights[self._tally.group] * self._tally.count
        np.add.at(result, (self._tally.mapped, self._tally.reference), shares)
        return result / result.sum()

    def ratio(self, part: Weights, whole: Weights) -> Estimate:
        """The share of a part in a whole, over the population; Stehman's eq. 27 and 28.

        Args:
            part: Which rows of the tally belong to it; all of them belong to the whole, too.
            whole: Which rows belong to that.
        """
        part_sums, whole_sums = self._sums(part), self._sums(whole)
        n, sizes = np.maximum(self._drawn, 1), self._sizes
        total = float((sizes * whole_sums / n).sum())
        if total <= 0:
            return Estimate()
        value = float((sizes * part_sums / n).sum()) / total
        # The values are 0 and 1, and the part's lie within the whole's.
        y, x = part_sums / n, whole_sums / n
        squares = (part_sums - n * y * y) + value**2 * (whole_sums - n * x * x)
        squares -= 2 * value * (part_sums - n * x * y)
        with np.errstate(invalid="ignore", divide="ignore"):
            variances = squares.clip(min=0) / (n - 1)
            variances = sizes**2 * (1 - n / sizes).clip(min=0) * variances / n
        # One unit shows no variance, except in a stratum of one pixel, or where it is nothing of the whole.
        known = (whole_sums == 0) | (sizes <= self._drawn)
        variances = np.where(n > 1, variances, np.where(known, 0.0, np.nan))
        variances = np.where(sizes > 0, variances, 0.0)
        return Estimate.normal(value, math.sqrt(variances.sum()) / total)

    def _sums(self, rows: Weights) -> NDArray[np.float64]:
        chosen = self._tally.group[rows], self._tally.count[rows]
        return np.bincount(chosen[0], chosen[1], minlength=len(self._sizes)).astype(np.float64)
