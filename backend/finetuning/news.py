"""What a run tells of itself while it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ..rasters.support import ClassInfo
from .measure import HoldOutScore
from .trainer import Losses

Stage = Literal["reading", "measuring", "training", "paused"]


@dataclass(frozen=True)
class Measured:
    """A score and when it was reached.

    Attributes:
        iteration: 0 for the model without training.
        score: On the hold-out.
    """

    iteration: int
    score: HoldOutScore


@dataclass(frozen=True)
class TuningProgress:
    """What a run tells of itself; see :class:`backend.messages.Finetune`.

    Attributes:
        stage: What it does.
        iteration: Episodes so far.
        iterations: Of the whole run as far as can be told.
        seconds: Trained so far, without pauses.
        seconds_left: Until the end, None where it cannot be told.
        speed: Iterations a second, None before the first one.
        losses: Means since the last report.
        base: The model without training.
        score: The latest model.
        best: The best one.
        classes: In the order of the scores; none before the labels are read.
    """

    stage: Stage
    iteration: int
    iterations: int | None
    seconds: float
    seconds_left: float | None
    speed: float | None
    losses: Losses | None
    base: Measured | None
    score: Measured | None
    best: Measured | None
    classes: tuple[ClassInfo, ...]


Report = Callable[[TuningProgress], None]


def progress_values(state: TuningProgress) -> dict[str, Any]:
    """A report as values for messages; see :class:`backend.messages.Finetune`."""

    def score(found: Measured | None) -> dict[str, Any] | None:
        return None if found is None else found.score.to_json(found.iteration, state.classes)

    def number(value: float | None, digits: int) -> float | None:
        return None if value is None else round(value, digits)

    return {
        "stage": state.stage,
        "iteration": state.iteration,
        "iterations": state.iterations,
        "seconds": round(state.seconds, 2),
        "seconds_left": number(state.seconds_left, 1),
        "speed": number(state.speed, 4),
        "losses": state.losses.to_json() if state.losses else None,
        "base": score(state.base),
        "score": score(state.score),
        "best": score(state.best),
    }
