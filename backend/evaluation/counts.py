"""What an evaluation counts: pixels by true and predicted label, summed over episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from ..episodes.episode import IGNORE


@dataclass(frozen=True)
class Counts:
    """Pixels of some query images, from which every metric is computed.

    Attributes:
        confusion: Pixels by true label (rows) and predicted label (columns), shape (labels, labels), int64. Label 0 is
            the background, label i the i-th evaluated class.
        absent: Pixels that were predicted as a label in images whose ground truth does not have that label at all,
            shape (labels,), int64. They are part of ``confusion``; PANet's counting leaves them out.
    """

    confusion: NDArray[np.int64]
    absent: NDArray[np.int64]

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.confusion + other.confusion, self.absent + other.absent)


def no_counts(labels: int) -> Counts:
    """Counts of nothing, for that many labels with the background."""
    return Counts(np.zeros((labels, labels), np.int64), np.zeros(labels, np.int64))


class Counter:
    """Adds up counts on the device of the predictions."""

    def __init__(self, classes: Sequence[int], device: torch.device | str = "cpu") -> None:
        """Start at nothing.

        Args:
            classes: Ids of all classes that are evaluated, in the order of the labels.
            device: Where the predictions are.
        """
        self._label_of = {class_id: label for label, class_id in enumerate(classes, start=1)}
        labels = len(classes) + 1
        self._confusion = torch.zeros((labels, labels), dtype=torch.int64, device=device)
        self._absent = torch.zeros(labels, dtype=torch.int64, device=device)

    def add(self, predicted: Tensor, truth: Tensor, classes: Sequence[int]) -> None:
        """Count an episode.

        Args:
            predicted: Label of every pixel, shape (queries, height, width), 0 background, 1..way.
            truth: The same, and 255 for pixels that do not count.
            classes: Class ids of the episode's ways.

        Raises:
            KeyError: When a way is not among the evaluated classes.
        """
        labels = [0, *(self._label_of[class_id] for class_id in classes)]
        places = torch.tensor(labels, device=self._absent.device)
        for image, mask in zip(predicted, truth, strict=True):
            confusion = multiclass_confusion_matrix(
                image.long(), mask.long(), len(labels), ignore_index=IGNORE, validate_args=False
            )
            mistaken = confusion.sum(dim=0) - confusion.diagonal()
            self._confusion[places[:, None], places] += confusion
            self._absent[places] += torch.where(confusion.sum(dim=1) == 0, mistaken, 0)

    def total(self) -> Counts:
        """All that was counted."""
        return Counts(self._confusion.cpu().numpy(), self._absent.cpu().numpy())
