"""Metrics of counted pixels.

The ratios are computed here and not by torchmetrics, which counts the pixels: an interrupted evaluation continues from
stored counts, and PANet's rule for false positives cannot be had from a confusion matrix alone.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..accuracy import confusion
from ..accuracy.confusion import ratio
from .counts import Counts

Counting = Literal["present", "all"]
"""Which false positives of a class count: ``present`` is PANet's rule, only those in images whose ground truth has the
class; ``all`` is HSNet's and everybody's else. They differ where there is more than one way, and for the background
of an image that the object fills."""


def class_iou(counts: Counts, counting: Counting) -> NDArray[np.float64]:
    """Intersection over union of every label, 0 to 1; NaN for a label that never occurred.

    True positives, false positives and false negatives are summed over all images before the division.

    Args:
        counts: Of one run.
        counting: Which false positives count.

    Returns:
        Shape (labels,), the background first.
    """
    hits, mistaken, missed = _positives(counts, counting)
    return ratio(hits, hits + mistaken + missed)


def mean_iou(counts: Counts, counting: Counting) -> float:
    """Mean over the classes, without the background, and without those that never occurred."""
    return _mean(class_iou(counts, counting)[1:])


def binary_iou(counts: Counts, counting: Counting) -> float:
    """Mean of the IoU of foreground and background.

    As in PANet and HSNet the counts of all classes are summed to one foreground; in episodes of several ways a
    foreground pixel of the wrong class therefore is a mistake.
    """
    hits, mistaken, missed = (np.array([part[0], part[1:].sum()]) for part in _positives(counts, counting))
    return _mean(ratio(hits, hits + mistaken + missed))


def overall_accuracy(counts: Counts) -> float:
    """Share of pixels with the right label, the background being a label as any other."""
    return confusion.overall_accuracy(counts.confusion)


def kappa(counts: Counts) -> float:
    """Cohen's kappa: agreement beyond what the shares of the labels would give by chance, -1 to 1."""
    return confusion.kappa(counts.confusion)


def class_f1(counts: Counts) -> NDArray[np.float64]:
    """F1 of every label, 0 to 1, shape (labels,); NaN for a label that never occurred and was never predicted."""
    return confusion.class_f1(counts.confusion)


def _positives(counts: Counts, counting: Counting) -> tuple[NDArray[np.int64], ...]:
    """True positives, false positives and false negatives of every label."""
    hits = counts.confusion.diagonal()
    mistaken = counts.confusion.sum(axis=0) - hits
    if counting == "present":
        mistaken = mistaken - counts.absent
    return hits, mistaken, counts.confusion.sum(axis=1) - hits


def _mean(values: NDArray[np.float64]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN is NaN
        return float(np.nanmean(values))
