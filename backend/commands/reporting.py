"""How a run tells of itself: a progress bar for people, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from ..estimate import RunEstimate, duration, size
from ..expectation import expectation
from ..labeling import LabelResult
from ..progress import Progress

_STAGES = {
    "support": "Support",
    "labels": "Labels",
    "writing": "Writing",
}


class Reporter(Protocol):
    """What a command tells."""

    def progress(self, state: Progress) -> None:
        """Tell how far the run is."""

    def say(self, text: str) -> None:
        """Tell a choice or a warning."""

    def result(self, result: LabelResult) -> None:
        """Tell what came out."""


@contextmanager
def reporter(json_lines: bool) -> Iterator[Reporter]:
    """A reporter for people (on stderr) or for programs (on stdout)."""
    if json_lines:
        yield JsonReporter()
        return
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    bar = Bar(
        TextColumn("{task.description:<8}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles  {task.fields[rate]}  {task.fields[left]}", markup=False),
        console=console,
    )
    with bar:
        yield BarReporter(bar)


class JsonReporter:
    """One JSON object a line on stdout: ``progress``, ``log`` and ``result``."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def progress(self, state: Progress) -> None:
        """Print a progress line with the seconds left, as far as they can be told."""
        left = seconds_left(state, time.monotonic() - self._started)
        self._print(
            type="progress",
            stage=state.stage,
            done=state.done,
            total=state.total,
            megapixels=round(state.megapixels, 3),
            seconds_left=None if left is None else round(left, 1),
        )

    def say(self, text: str) -> None:
        """Print a log line."""
        self._print(type="log", text=text)

    def result(self, result: LabelResult) -> None:
        """Print the result line."""
        classes = [
            {"id": info.id, "name": info.name, "pixels": count}
            for info, count in zip(result.classes, result.pixels, strict=True)
        ]
        self._print(
            type="result",
            output=str(result.output),
            model=result.model,
            device=result.device,
            scale=result.scale.factor,
            seconds=round(result.seconds, 2),
            classes=classes,
            head=result.head,
            expected=expectation(result.head, result.expected, result.classes),
        )

    def _print(self, **message: object) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class BarReporter:
    """A progress bar with tiles, megapixels per second and time left."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("Support", total=None, rate="", left="")
        self._started = time.monotonic()

    def progress(self, state: Progress) -> None:
        """Move the bar."""
        elapsed = time.monotonic() - self._started
        left = seconds_left(state, elapsed)
        self._bar.update(
            self._task,
            description=_STAGES[state.stage],
            completed=state.done,
            total=state.total,
            rate=f"{state.megapixels / max(elapsed, 1e-6):.2f} Mpx/s",
            left="" if left is None else f"{int(left) // 60}:{int(left) % 60:02d} left",
        )

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text)

    def result(self, result: LabelResult) -> None:
        """Print the classes and their shares."""
        total = max(sum(result.pixels), 1)
        table = Table("id", "class", "pixels", "share", box=None, pad_edge=False)
        for info, count in zip(result.classes, result.pixels, strict=True):
            table.add_row(str(info.id), info.name, f"{count:,}", f"{100 * count / total:.1f} %")
        self._bar.stop()
        self._bar.console.print(table)
        self._bar.console.print(f"Wrote {result.output} in {result.seconds:.1f} s.", soft_wrap=True)


def print_estimate(estimate: RunEstimate, json_lines: bool) -> None:
    """Print what a run would take, on stdout: a table for people, or one JSON object of the type ``estimate``."""
    if json_lines:
        sys.stdout.write(json.dumps({"type": "estimate", **asdict(estimate)}) + "\n")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("size", f"{estimate.width:,} x {estimate.height:,} pixels, {estimate.tiles:,} tiles")
    table.add_row("time", f"about {duration(estimate.seconds)}")
    table.add_row("memory", f"about {size(estimate.memory)}; {size(estimate.free_memory)} are free")
    disk = f"about {size(estimate.disk_expected)}, at most {size(estimate.disk)}"
    table.add_row("disk", f"{disk}; {size(estimate.free_disk)} are free")
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    console.print(table)
    for text in estimate.warnings:
        console.print(f"Warning: {text}")


def seconds_left(state: Progress, elapsed: float) -> float | None:
    """Time left at the average speed so far, or None before the first tile."""
    if state.done == 0:
        return None
    return elapsed / state.done * (state.total - state.done)
