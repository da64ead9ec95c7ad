"""What leaving polygons out says about the map to come, as the backend tells it, and short texts of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QLocale

from .translation import tr

_WEAK = 0.5  # IoU; classes below it need more polygons
_NAMED = 2  # of them, in short texts
_LONGEST = 24  # characters of a class name there


@dataclass(frozen=True)
class ClassExpectation:
    """How well the left-out polygons of one class were labelled.

    Attributes:
        name: Of the class.
        iou: 0 to 1, None where its only polygon cannot be left out.
        f1: As well.
    """

    name: str
    iou: float | None
    f1: float | None

    @property
    def weak(self) -> bool:
        """Whether more polygons of the class are needed, going by the number as it is shown."""
        return self.iou is not None and round(self.iou, 2) < _WEAK


@dataclass(frozen=True)
class Expectation:
    """How well polygons were labelled that the model was not fitted on, each left out in its turn.

    Attributes:
        head: How features are matched with polygons; a name of ``backend.heads.HEADS``.
        miou: Mean IoU of the classes that are known.
        f1: Mean F1 of them.
        classes: In the order of the session.
    """

    head: str
    miou: float
    f1: float
    classes: tuple[ClassExpectation, ...]

    @property
    def known(self) -> int:
        """How many classes the means are of."""
        return sum(item.iou is not None for item in self.classes)

    @property
    def weakest_first(self) -> tuple[ClassExpectation, ...]:
        """The classes by their IoU, those without at the end."""
        return tuple(sorted(self.classes, key=lambda item: 2.0 if item.iou is None else item.iou))


def read_expectation(value: Mapping[str, Any] | None) -> Expectation | None:
    """Take the value ``expected`` of an answer; see :class:`backend.messages.Label`.

    Returns:
        None where nothing is known, since no class has two polygons.
    """
    if value is None or value["miou"] is None or value["f1"] is None:
        return None
    classes = (ClassExpectation(item["name"], item["iou"], item["f1"]) for item in value["classes"])
    return Expectation(value["head"], value["miou"], value["f1"], tuple(classes))


def means_text(expectation: Expectation) -> str:
    """The means, and of how many classes they are where some are not known."""
    known, total = expectation.known, len(expectation.classes)
    text = (
        tr("Left-out polygons: mean IoU {0}, F1 {1}")
        if known == total
        else tr("Left-out polygons: mean IoU {0}, F1 {1} ({2} of {3} classes)")
    )
    return text.format(number_text(expectation.miou), number_text(expectation.f1), known, total)


def weakest_text(expectation: Expectation, mark: Callable[[str], str] = str) -> str:
    """The classes that need more polygons, with their IoU; empty when there are none.

    Args:
        expectation: The expectation.
        mark: Applied to each of them.
    """
    weak = [item for item in expectation.weakest_first if item.weak]
    named = ", ".join(mark(f"{_shortened(item.name)} {number_text(item.iou)}") for item in weak[:_NAMED])
    rest = len(weak) - _NAMED
    return tr("{0} and {1} more").format(named, rest) if rest > 0 else named


def number_text(value: float | None, digits: int = 2) -> str:
    """A number as the user's language writes it; a dash for what is not known."""
    return "-" if value is None else QLocale().toString(float(value), "f", digits)


def no_borders_text() -> str:
    """Why the map falls short of the numbers."""
    return tr("Polygons show no borders, so the map will be less accurate.")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1].rstrip() + "…"
