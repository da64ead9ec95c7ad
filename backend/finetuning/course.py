"""Where a run stands: what it has done, what it has found, how much is left."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from ..progress import RunControl
from ..rasters.support import ClassInfo
from .measure import HoldOutScore
from .news import Measured, Report, Stage, TuningProgress
from .options import FinetuneOptions
from .trainer import Losses

_INTERVAL = 1.0  # seconds between reports, unless something has changed
_SHARE = 7.0  # times its own length that the training goes on between measurements
_RECENT = 0.9  # of the weight that the seconds of an iteration keep from one to the next


class Course:
    """Counts iterations and seconds, and knows what is due.

    Attributes:
        iteration: Episodes so far.
        base: The model without training, None until it is measured.
        score: The latest model, None until it is measured.
        best: The best tuned one.
        without_better: Measurements since then.
        classes: In the order of the scores; none before the labels are read.
    """

    def __init__(self, options: FinetuneOptions, control: RunControl, report: Report) -> None:
        self._options, self._control, self._report = options, control, report
        self.iteration = 0
        self._seconds, self._started = (
            0.0,
            math.nan,
        )  # up to the last stop of the clock, and when it started again
        self.base: Measured | None = None
        self.score: Measured | None = None
        self.best: Measured | None = None
        self.without_better = 0
        self.classes: tuple[ClassInfo, ...] = ()
        self._measured_at = self._saved_at = self._drawn_at = 0.0
        self._measuring = 0.0  # seconds that a measurement takes
        self._per_iteration: float | None = None
        self._losses: list[Losses] = []
        self._reported = -math.inf

    @property
    def seconds(self) -> float:
        """Trained and measured so far, without pauses."""
        running = not math.isnan(self._started)
        return self._seconds + (self._now() - self._started if running else 0.0)

    @property
    def fraction(self) -> float:
        """How much of the training is over, 0 to 1."""
        options = self._options
        by_count = self.iteration / options.iterations if options.iterations else 0.0
        return min(max(by_count, self.seconds / self._budget if self._budget else 1.0), 1.0)

    @property
    def ended(self) -> Literal["time", "iterations", "early"] | None:
        """Why the training is over, None while it is not."""
        options = self._options
        if options.iterations is not None and self.iteration >= options.iterations:
            return "iterations"
        if self.iteration and self.seconds >= self._budget:  # one iteration at least, or nothing is tuned
            return "time"
        if options.patience and self.without_better >= options.patience:
            return "early"
        return None

    @property
    def measured(self) -> bool:
        """Whether the latest weights are measured."""
        return self.score is not None and self.score.iteration == self.iteration

    def measure_due(self) -> bool:
        """Whether it is time for a measurement."""
        every = max(self._options.measure_every, _SHARE * self._measuring)
        return self.seconds - self._measured_at >= every

    def save_due(self) -> bool:
        """Whether it is time for a checkpoint; it is taken as written."""
        due = self.seconds - self._saved_at >= self._options.save_every
        if due:
            self._saved_at = self.seconds
        return due

    def picture_due(self) -> bool:
        """Whether it is time for a picture, at the first iteration too; it is taken as drawn."""
        due = self.iteration == 1 or self.seconds - self._drawn_at >= self._options.picture_every
        if due:
            self._drawn_at = self.seconds
        return due

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Within, time counts, except for what the run waits."""
        self._started = self._now()
        try:
            yield
        finally:
            self._seconds, self._started = self.seconds, math.nan

    def trained(self, losses: Losses, seconds: float) -> None:
        """An iteration is done.

        Args:
            losses: Of it.
            seconds: That it took.
        """
        self.iteration += 1
        self._losses.append(losses)
        before = self._per_iteration
        self._per_iteration = seconds if before is None else _RECENT * before + (1 - _RECENT) * seconds

    def took(self, score: HoldOutScore, seconds: float) -> bool:
        """A measurement is done; whether it is the best of the tuned models.

        Args:
            score: On the hold-out.
            seconds: That it took.
        """
        self._measuring = seconds
        self._measured_at = self._saved_at = self.seconds
        found = Measured(self.iteration, score)
        if self.base is None:
            self.base = found
            return False
        self.score = found
        if self.best is not None and score.miou <= self.best.score.miou:
            self.without_better += 1
            return False
        self.best, self.without_better = found, 0
        return True

    def report(self, stage: Stage, force: bool = True) -> None:
        """Tell where the run stands; unless it must be told, not more often than once a second."""
        if not force and time.monotonic() - self._reported < _INTERVAL:
            return
        self._reported = time.monotonic()
        losses = Losses.mean(self._losses) if self._losses else None
        self._losses.clear()
        iterations, left = self._ahead()
        speed = 1 / self._per_iteration if self._per_iteration else None
        self._report(
            TuningProgress(
                stage,
                self.iteration,
                iterations,
                self.seconds,
                left,
                speed,
                losses,
                self.base,
                self.score,
                self.best,
                self.classes,
            )
        )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know; ``scores`` as values for JSON."""
        found = {"base": self.base, "score": self.score, "best": self.best}
        return {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "without_better": self.without_better,
            "measuring": self._measuring,
            "scores": {
                name: None if one is None else {"iteration": one.iteration, **one.score.to_exact()}
                for name, one in found.items()
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what an interrupted run knew."""
        self.iteration, self._seconds = state["iteration"], state["seconds"]
        self.without_better, self._measuring = state["without_better"], state["measuring"]
        self._measured_at = self._saved_at = self._drawn_at = self.seconds
        for name, one in state["scores"].items():
            if one is not None:
                setattr(self, name, Measured(one["iteration"], HoldOutScore.from_exact(one)))

    def _now(self) -> float:
        """A clock that stands still while the run waits."""
        return time.monotonic() - self._control.waited

    @property
    def _budget(self) -> float:
        """Seconds of training, less the last measurement."""
        return max(self._options.seconds - self._measuring, 0.0)

    def _ahead(self) -> tuple[int | None, float | None]:
        """Iterations of the whole run and seconds left, as far as they can be told."""
        options, each = self._options, self._per_iteration
        if self.ended is not None and self.measured:
            return self.iteration, 0.0
        if each is None:
            left = options.seconds - self.seconds
            return options.iterations, None if math.isinf(left) else max(left, 0.0)
        return ahead(options, each, self._measuring, self.iteration, self.seconds)


def ahead(
    options: FinetuneOptions, each: float, measuring: float, iteration: int = 0, seconds: float = 0.0
) -> tuple[int, float]:
    """What a run takes.

    Args:
        options: How long it is.
        each: Seconds of an iteration.
        measuring: Seconds of a measurement.
        iteration: Done so far.
        seconds: Gone so far.

    Returns:
        Iterations of the whole run, and seconds left.
    """
    every = max(options.measure_every, _SHARE * measuring)
    share = every / (every + measuring) if every else 1.0  # of the time that is trained and not measured
    total = math.inf if options.iterations is None else float(options.iterations)
    if not math.isinf(options.seconds):
        left = max(options.seconds - measuring - seconds, 0.0)
        total = min(total, iteration + max(left * share / each, 0.0 if iteration else 1.0))
    return max(round(total), iteration), max((total - iteration) * each / share, 0.0) + measuring
