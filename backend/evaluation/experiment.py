"""Measures settings, one journal each, and tells what it could not measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from .journal import Journal
from .options import Difference, differences, grouped, used_options
from .protocols import EvaluationProtocol
from .runner import EpisodesOf, evaluate
from .segmenter import Segment
from .setting import Setting
from .summary import Statistic, summarize


@dataclass(frozen=True)
class Task:
    """What is segmented.

    Attributes:
        classes: Ids of the evaluated classes.
        names: Their names.
        episodes_of: The episodes of a run.
        size: Height and width of the images.
        identity: What the episodes depend on beside the protocol, as JSON takes it: an evaluation goes on only where
            it is the same.
    """

    classes: tuple[int, ...]
    names: tuple[str, ...]
    episodes_of: EpisodesOf
    size: int
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """What segments.

    Attributes:
        segment: The method with its weights.
        identity: Of the weights, as JSON takes it.
        options: Those of the training that are known, by the names of ``options.paper_options``.
    """

    segment: Segment
    identity: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What was measured.

    Attributes:
        measured: Metrics by setting.
        missing: What was not measured, and why.
        differences: From the paper.
    """

    measured: Mapping[Setting, Mapping[str, Statistic]]
    missing: tuple[str, ...]
    differences: tuple[Difference, ...]


class Unavailable(Exception):
    """A setting that cannot be measured, and why; the others are."""


def measure(
    settings: Sequence[Setting],
    task_of: Callable[[Setting], Task],
    model_of: Callable[[Setting, Task], Model],
    protocol: EvaluationProtocol,
    folder: Path,
    device: torch.device | str = "cpu",
    workers: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Outcome:
    """Measure settings one after the other.

    Args:
        settings: What to measure; repeated ones are measured once.
        task_of: Makes the data of a setting; may raise ``Unavailable``.
        model_of: Makes the method of a setting; may raise ``Unavailable``.
        protocol: Runs, episodes and counting.
        folder: Where the journals are.
        device: Where the method computes.
        workers: Processes that load episodes.
        progress: Called with a setting's name, the episodes done and all of them.
    """
    measured: dict[Setting, Mapping[str, Statistic]] = {}
    missing: list[str] = []
    differing: list[Difference] = []
    for setting in dict.fromkeys(settings):
        try:
            task = task_of(setting)
            model = model_of(setting, task)
        except Unavailable as reason:
            missing.append(f"{setting.title}: {reason}")
            continue
        journal = Journal(
            folder / f"{setting.name}.jsonl",
            {
                "setting": setting.model_dump(mode="json"),
                "protocol": asdict(protocol),
                "classes": task.classes,
                "size": task.size,
                "data": dict(task.identity),
                "model": model.identity,
            },
            len(task.classes) + 1,
        )
        counts = evaluate(
            model.segment,
            task.episodes_of,
            task.classes,
            protocol,
            journal,
            device,
            workers,
            None if progress is None else _named(progress, setting.title),
        )
        measured[setting] = summarize(counts, task.names, protocol.counting)
        used = {**used_options(protocol, task.size), **task.identity, **model.options}
        differing += differences(setting, used)
    return Outcome(measured, tuple(missing), grouped(differing, len(measured)))


def _named(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)
