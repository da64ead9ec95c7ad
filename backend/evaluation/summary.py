"""The metrics of several runs as mean and standard deviation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .counts import Counts
from .metrics import Counting, binary_iou, class_f1, class_iou, kappa, mean_iou, overall_accuracy


@dataclass(frozen=True)
class Statistic:
    """A metric over several runs, in percent; NaN where it is not defined.

    Attributes:
        mean: Over the runs.
        std: Population standard deviation over the runs, as PANet's code has it; 0 for a single run.
        runs: The runs' values.
    """

    mean: float
    std: float
    runs: tuple[float, ...]


def statistic(values: Sequence[float]) -> Statistic:
    """Mean and standard deviation of values in percent, without those that are not defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN is NaN
        return Statistic(float(np.nanmean(values)), float(np.nanstd(values)), tuple(map(float, values)))


def summarize(runs: Sequence[Counts], names: Sequence[str], counting: Counting) -> dict[str, Statistic]:
    """All metrics of an evaluation.

    Args:
        runs: Counts of each run.
        names: Of the classes, in the order of the labels, without the background.
        counting: Which false positives count for the IoU.

    Returns:
        ``mIoU``, ``binary IoU``, ``OA``, ``kappa``, and ``IoU NAME`` and ``F1 NAME`` of each class.
    """
    values: dict[str, list[float]] = {
        "mIoU": [mean_iou(counts, counting) for counts in runs],
        "binary IoU": [binary_iou(counts, counting) for counts in runs],
        "OA": [overall_accuracy(counts) for counts in runs],
        "kappa": [kappa(counts) for counts in runs],
    }
    iou = np.array([class_iou(counts, counting)[1:] for counts in runs])
    f1 = np.array([class_f1(counts)[1:] for counts in runs])
    for label, name in enumerate(names):
        values[f"IoU {name}"] = list(iou[:, label])
        values[f"F1 {name}"] = list(f1[:, label])
    return {metric: statistic([100 * value for value in runs]) for metric, runs in values.items()}


def mean_over_folds(folds: Sequence[Mapping[str, Statistic]], metric: str) -> Statistic:
    """The mean of a metric over folds, run by run: the standard deviation is that of the runs' means."""
    return statistic(list(np.mean([fold[metric].runs for fold in folds], axis=0)))
