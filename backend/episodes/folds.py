"""Which classes are trained on and which are tested on: cross-validation over classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import DatasetError

Pattern = Literal["contiguous", "interleaved"]


@dataclass(frozen=True)
class Fold:
    """A division of classes; the two sides never overlap.

    Args:
        train: Class ids to train on.
        test: Class ids to test on.

    Raises:
        DatasetError: When a class is on both sides, or a side is empty.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise DatasetError(
                f"The classes {both} are in the training and the test fold; leave them out of one."
            )
        if not self.train or not self.test:
            raise DatasetError("A fold has no classes to train or none to test on; use more classes.")


def fold(classes: int, folds: int, index: int, pattern: Pattern = "contiguous") -> Fold:
    """One fold of a cross-validation over the class ids 1..C: one part is tested on, the others are trained on.

    * PASCAL-5i: ``fold(20, 4, i)``, the classes 1-5, 6-10, 11-15, 16-20 (OSLSM, PANet, HSNet, DPCL).
    * COCO-20i: ``fold(80, 4, i)``, 1-20, 21-40, 41-60, 61-80 in the order of the categories (PANet's split; DPCL,
      footnote 2); ``fold(80, 4, i, "interleaved")``, 1 5 .. 77, 2 6 .. 78, ... (FWB's split; HSNet, PFENet). Scores
      on the two must not be compared.
    * CamVid: ``fold(11, 4, i)``, 1-3, 4-6, 7-9, 10-11.
    * Leave one class out: as many folds as classes.

    Args:
        classes: Number of classes C.
        folds: Number of folds; where it does not divide C, the first ones have one class more.
        index: Which fold to test on, from 0.
        pattern: Neighbours in the class list together, or every n-th class.

    Raises:
        DatasetError: When there is no such fold.
    """
    if not 2 <= folds <= classes:
        raise DatasetError(
            f"{classes} classes cannot be divided into {folds} folds; choose 2 to {max(classes, 2)}."
        )
    if not 0 <= index < folds:
        raise DatasetError(f"There is no fold {index}; the {folds} folds are numbered from 0 to {folds - 1}.")
    ids = range(1, classes + 1)
    if pattern == "interleaved":
        test = tuple(ids[index::folds])
    elif pattern == "contiguous":
        size, larger = divmod(classes, folds)
        start = index * size + min(index, larger)
        test = tuple(ids[start : start + size + (index < larger)])
    else:
        raise DatasetError(f"There is no fold pattern {pattern!r}; choose contiguous or interleaved.")
    return Fold(tuple(number for number in ids if number not in test), test)


def left_out(classes: Sequence[str], name: str) -> Fold:
    """The fold that tests on one class alone and trains on all others.

    Args:
        classes: Names of the classes 1..C.
        name: The class that is left out of the training.

    Raises:
        DatasetError: When there is no such class, or no other one.
    """
    if name not in classes:
        raise DatasetError(f"The option left_out names no class {name!r}; there are {', '.join(classes)}.")
    ids = range(1, len(classes) + 1)
    test = tuple(number for number in ids if classes[number - 1] == name)
    return Fold(tuple(number for number in ids if number not in test), test)
