"""What comes out of a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..rasters.support import ClassInfo
from .news import Measured
from .verdict import Verdict


@dataclass(frozen=True)
class FinetuneResult:
    """What came out of a run.

    Attributes:
        folder: Of the run.
        model: The file of the best model, with its card beside it.
        verdict: Whether it is better than the model it began from.
        sentence: The same for people, with numbers.
        base: The model it began from, on the hold-out.
        best: The tuned one.
        classes: In the order of the scores.
        iterations: Of the whole run.
        seconds: As well, without pauses.
        stopped: What ended it.
        hold_out: What was held out, a sentence.
        card: Of the tuned model, Markdown.
    """

    folder: Path
    model: Path
    verdict: Verdict
    sentence: str
    base: Measured
    best: Measured
    classes: tuple[ClassInfo, ...]
    iterations: int
    seconds: float
    stopped: Literal["time", "iterations", "early"]
    hold_out: str
    card: str

    def to_json(self) -> dict[str, Any]:
        """As values for messages and the run's folder; see :class:`backend.messages.Finetune`."""
        before = self.base.score.to_json(self.base.iteration, self.classes)
        after = self.best.score.to_json(self.best.iteration, self.classes)
        return {
            "folder": str(self.folder),
            "model": str(self.model),
            "verdict": self.verdict,
            "sentence": self.sentence,
            "base": before,
            "best": after,
            "classes": [
                {
                    "id": info.id,
                    "name": info.name,
                    "iou_before": b["iou"],
                    "iou_after": a["iou"],
                    "f1_before": b["f1"],
                    "f1_after": a["f1"],
                }
                for info, b, a in zip(self.classes, before["classes"], after["classes"], strict=True)
            ],
            "iterations": self.iterations,
            "seconds": round(self.seconds, 1),
            "stopped": self.stopped,
            "hold_out": self.hold_out,
            "card": self.card,
        }
