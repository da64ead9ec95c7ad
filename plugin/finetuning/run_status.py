"""How far a run is, as the worker tells it about once a second and keeps it in the run's journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..translation import tr
from .curves import Curves


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes:
        stage: "reading", "measuring", "training" or "paused".
        iteration: The last one that was done.
        iterations: Of the whole run, as far as can be told.
        seconds_left: None when that cannot be told.
        speed: Iterations a second.
        base: Mean IoU of the base model on the hold-out.
        best: The highest one of the tuned model so far.
        best_iteration: When that was reached.
        example: A picture of an episode.
    """

    stage: str = "reading"
    iteration: int = 0
    iterations: int | None = None
    seconds_left: float | None = None
    speed: float | None = None
    base: float | None = None
    best: float | None = None
    best_iteration: int | None = None
    example: Path | None = None


def read_status(value: Mapping[str, Any]) -> RunStatus:
    """Take a partial answer to :class:`backend.messages.Finetune`."""
    base, best, example = value["base"], value["best"], value["example"]
    return RunStatus(
        value["stage"],
        value["iteration"],
        value["iterations"],
        value["seconds_left"],
        value["speed"],
        base["miou"] if base else None,
        best["miou"] if best else None,
        best["iteration"] if best else None,
        Path(example) if example else None,
    )


def add_to_curves(curves: Curves, value: Mapping[str, Any]) -> None:
    """Add what a partial answer holds that can be plotted."""
    _add(curves, value["iteration"], value["losses"], None)
    if value["base"]:
        curves.untuned = value["base"]["miou"]
    score = value["score"]
    if score and (not curves.miou.points or score["iteration"] > curves.miou.points[-1][0]):
        _add(curves, score["iteration"], None, score)


def read_journal(path: Path) -> Curves:
    """The curves of everything that was before; what is not understood of the journal is passed over."""
    curves = Curves()
    for line in _lines(path):
        with suppress(KeyError, TypeError, ValueError):
            _add(curves, int(line["iteration"]), line.get("losses"), line.get("score"))
    return curves


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError):
        for text in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last line may be half written
                line = json.loads(text)
                if isinstance(line, dict):
                    yield line


def _add(
    curves: Curves, iteration: int, losses: Mapping[str, float] | None, score: Mapping[str, Any] | None
) -> None:
    for name, title in loss_titles().items() if losses else ():
        if losses.get(name) is not None:
            curves.add_loss(title, iteration, losses[name])
    if score and iteration == 0:
        curves.untuned = score["miou"]
    elif score:
        curves.miou.add(iteration, score["miou"])


def loss_titles() -> dict[str, str]:
    """What the parts of the loss are called, by the worker's names."""
    return {
        "total": tr("Total"),
        "segmentation": tr("Segmentation"),
        "alignment": tr("Alignment"),
        "class_specific": tr("Class-specific"),
        "class_agnostic": tr("Class-agnostic"),
    }
