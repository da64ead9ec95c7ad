"""Agreement in a confusion matrix; which axis is the map does not matter, except where it says so."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.integer] | NDArray[np.floating]


def overall_accuracy(matrix: Matrix) -> float:
    """Share of the units that agree, 0 to 1; NaN for an empty matrix."""
    return float(ratio(np.trace(matrix), matrix.sum()))


def kappa(matrix: Matrix) -> float:
    """Cohen's kappa: agreement beyond what the shares of the classes would give by chance, -1 to 1."""
    share = ratio(matrix, matrix.sum())
    chance = float(share.sum(axis=0) @ share.sum(axis=1))
    return float(ratio(np.trace(share) - chance, np.float64(1 - chance)))


def class_f1(matrix: Matrix) -> NDArray[np.float64]:
    """F1 of every class, 0 to 1, shape (classes,); NaN for a class that is on neither axis."""
    return ratio(2 * matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1))


def class_iou(matrix: Matrix) -> NDArray[np.float64]:
    """Intersection over union of every class, 0 to 1, shape (classes,); NaN for a class that is on neither axis."""
    hits = matrix.diagonal()
    return ratio(hits, matrix.sum(axis=0) + matrix.sum(axis=1) - hits)


@dataclass(frozen=True)
class Agreement:
    """What a confusion matrix tells; NaN for what it cannot.

    Attributes:
        overall: Overall accuracy, 0 to 1.
        kappa: Cohen's, -1 to 1.
        precision: Of what the map calls a class, the share that is, shape (classes,).
        recall: Of what is a class, the share that the map calls so, shape (classes,).
        f1: Their harmonic mean, shape (classes,).
        iou: Intersection over union, shape (classes,).
    """

    overall: float
    kappa: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    iou: NDArray[np.float64]

    @property
    def mean_f1(self) -> float:
        """Over the classes that occur."""
        return _mean(self.f1)

    @property
    def mean_iou(self) -> float:
        """Over the classes that occur."""
        return _mean(self.iou)

    @classmethod
    def of(cls, matrix: Matrix) -> Agreement:
        """Measure a matrix with a row for each class of the map and a column for each class of the reference."""
        hits = matrix.diagonal()
        return cls(
            overall_accuracy(matrix),
            kappa(matrix),
            ratio(hits, matrix.sum(axis=1)),
            ratio(hits, matrix.sum(axis=0)),
            class_f1(matrix),
            class_iou(matrix),
        )


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: NDArray[np.float64] = np.true_divide(part, whole)
    return result


def _mean(values: NDArray[np.float64]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN is NaN
        return float(np.nanmean(values)) if len(values) else float("nan")
