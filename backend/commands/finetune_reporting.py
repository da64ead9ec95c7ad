"""How a fine-tuning tells of itself: a line and tables for people, JSON lines for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from ..estimate import duration
from ..finetuning.estimate import FinetuneEstimate
from ..finetuning.news import TuningProgress, progress_values
from ..finetuning.result import FinetuneResult
from ..finetuning.summary import Summary

_STAGES = {"reading": "Reading", "measuring": "Measuring", "training": "Training", "paused": "Paused"}


class FinetuneReporter(Protocol):
    """What the command tells."""

    def found(self, summary: Summary, estimate: FinetuneEstimate) -> None:
        """Tell what there is to train on, and what a run would take."""

    def progress(self, state: TuningProgress) -> None:
        """Tell where the run stands."""

    def say(self, text: str) -> None:
        """Tell a warning or a choice."""

    def result(self, result: FinetuneResult, name: str | None, saved: Path | None) -> None:
        """Tell what came out."""


@contextmanager
def finetune_reporter(json_lines: bool) -> Iterator[FinetuneReporter]:
    """A reporter for people (on stderr) or for programs (on stdout)."""
    if json_lines:
        yield JsonReporter()
        return
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    bar = Bar(
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        console=console,
        transient=True,
    )
    reporter = PeopleReporter(bar)
    try:
        yield reporter
    finally:
        reporter.stop()


class JsonReporter:
    """One JSON object a line on stdout: ``found``, ``progress``, ``log`` and ``result``."""

    def found(self, summary: Summary, estimate: FinetuneEstimate) -> None:
        """Print a line of what is found."""
        self._print(type="found", **summary.to_json(), estimate=asdict(estimate))

    def progress(self, state: TuningProgress) -> None:
        """Print a progress line; see :class:`backend.messages.Finetune` for its values."""
        self._print(type="progress", **progress_values(state))

    def say(self, text: str) -> None:
        """Print a log line."""
        self._print(type="log", text=text)

    def result(self, result: FinetuneResult, name: str | None, saved: Path | None) -> None:
        """Print the result line; see :class:`backend.messages.Finetune` for its values."""
        self._print(type="result", **result.to_json(), name=name, saved=None if saved is None else str(saved))

    def _print(self, **message: object) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class PeopleReporter:
    """A progress bar with the scores on the hold-out, and tables."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._task = bar, bar.add_task("Reading", total=None, text="")
        self._told, self._started = -1, False

    def found(self, summary: Summary, estimate: FinetuneEstimate) -> None:
        """Print the counts, the warnings and the estimate."""
        table = Table("raster", "class", "labelled", "held out", box=None, pad_edge=False)
        for raster in summary.rasters:
            for one in raster.classes:
                out = (one.held_out_pixels, one.held_out_polygons)
                table.add_row(raster.name, one.name, _amount(one.pixels, one.polygons), _amount(*out))
        self._bar.console.print(table)
        self._line(summary.hold_out)
        for text in summary.warnings:
            self._line(f"Warning: {text}")
        self._line(
            f"On {estimate.device} the run takes about {duration(estimate.seconds)}: {estimate.iterations:,} "
            f"iterations of {estimate.seconds_per_iteration:.1f} s, and now and then "
            f"{estimate.seconds_per_measurement:.0f} s for the hold-out."
        )

    def progress(self, state: TuningProgress) -> None:
        """Move the bar; a measurement gets a line of its own."""
        if not self._started and state.stage != "reading":  # before, there may be an error to tell
            self._bar.start()
            self._started = True
        if state.base is not None and self._told < 0:
            self._told = 0
            self._line(f"Before training: mean IoU {state.base.score.miou:.3f} on the hold-out.")
        if state.score is not None and state.score.iteration > self._told:
            self._told = state.score.iteration
            best = " (best)" if state.best is not None and state.best.iteration == self._told else ""
            self._line(f"Iteration {self._told}: mean IoU {state.score.score.miou:.3f}{best}.")
        parts = []
        if state.losses is not None:
            parts.append(f"loss {state.losses.total:.2f}")
        if state.seconds_left is not None and state.speed:
            parts.append(f"{duration(state.seconds_left)} left")
        self._bar.update(
            self._task,
            description=_STAGES[state.stage],
            completed=state.iteration,
            total=state.iterations,
            text="  ".join(parts),
        )

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._line(text)

    def result(self, result: FinetuneResult, name: str | None, saved: Path | None) -> None:
        """Print before and after of each class, the verdict, and where the model is."""
        self.stop()
        table = Table("class", "IoU before", "after", "F1 before", "after", box=None, pad_edge=False)
        for one in result.to_json()["classes"]:
            numbers = (one[key] for key in ("iou_before", "iou_after", "f1_before", "f1_after"))
            table.add_row(one["name"], *("-" if number is None else f"{number:.3f}" for number in numbers))
        self._bar.console.print(table)
        self._line(result.sentence)
        if saved is not None:
            self._line(f"Saved as {name}: {saved}")
        elif name is not None:
            self._line(f"It is not saved as {name}, but stays in {result.model}; --keep-worse saves it.")
        else:
            self._line(f"The model is {result.model}")

    def stop(self) -> None:
        """Take the bar away."""
        if self._started:
            self._bar.stop()
            self._started = False

    def _line(self, text: str) -> None:
        self._bar.console.print(text, soft_wrap=True)


def _amount(pixels: int, polygons: int) -> str:
    if not pixels:
        return "-"
    return f"{pixels:,} pixels" + (f" in {polygons} polygons" if polygons else "")
