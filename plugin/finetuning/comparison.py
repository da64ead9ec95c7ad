"""How a fine-tuned model labels the hold-out, beside the model that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(Enum):
    """Whether the tuned model is better; a difference within the scatter of the draws is neither."""

    BETTER = "better"
    UNCLEAR = "unclear"
    WORSE = "worse"


@dataclass(frozen=True)
class ClassComparison:
    """IoU of one class on the hold-out, 0 to 1; None where nothing of it is held out."""

    name: str
    before: float | None
    after: float | None

    @property
    def difference(self) -> float | None:
        """After minus before; None where either is not known."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class Comparison:
    """The end of a run.

    Attributes:
        sentence: The verdict for people.
        before: Mean IoU of the base model.
        after: That of the tuned one.
        iterations: That were done.
        seconds: That they took.
        hold_out: A sentence that tells what was held out.
        card: Of the tuned model, Markdown.
    """

    verdict: Verdict
    sentence: str
    before: float
    after: float
    classes: tuple[ClassComparison, ...]
    iterations: int
    seconds: float
    hold_out: str
    card: str

    @property
    def mean(self) -> ClassComparison:
        """The means as a row of the table; its name is for the table to give."""
        return ClassComparison("", self.before, self.after)


def read_comparison(value: Mapping[str, Any]) -> Comparison:
    """Take the result of :class:`backend.messages.Finetune`."""
    return Comparison(
        Verdict(value["verdict"]),
        value["sentence"],
        value["base"]["miou"],
        value["best"]["miou"],
        tuple(
            ClassComparison(item["name"], item["iou_before"], item["iou_after"]) for item in value["classes"]
        ),
        value["iterations"],
        value["seconds"],
        value["hold_out"] or "",
        value["card"],
    )
