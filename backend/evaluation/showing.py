"""Makes the figures of the papers: segmentations side by side, and the t-SNE of prototypes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..episodes.episode import Episode
from ..errors import ProtolabelError
from .experiment import Task, Unavailable
from .figures import prototypes_figure, results_figure
from .models import ModelSource
from .protocols import EvaluationProtocol
from .report import Figure, Report
from .segmenter import Segment
from .setting import Setting
from .tables import FigureEntry


def figure_report(
    entry: FigureEntry,
    task_of: Callable[[Setting], Task],
    models: ModelSource,
    protocol: EvaluationProtocol,
    device: torch.device | str,
    episodes: int,
) -> Report:
    """A figure as a report; methods without a checkpoint are left out and named.

    Args:
        entry: Which figure.
        task_of: Makes the data.
        models: Makes the methods.
        protocol: Its first seed draws the episodes, which are the first ones: none are picked by their looks.
        device: Where the methods compute.
        episodes: How many; for the t-SNE, of which the prototypes are.

    Raises:
        ProtolabelError: When a t-SNE has too few prototypes.
    """
    task = task_of(next(iter(entry.settings.values())))
    drawn = task.episodes_of(protocol.seeds[0])
    count = min(episodes, len(drawn))  # type: ignore[arg-type]
    shown = [drawn[index] for index in range(count)]
    names = dict(zip(task.classes, task.names, strict=True))
    missing, segments, vectors = [], {}, {}
    for name, setting in entry.settings.items():
        try:
            if entry.kind == "prototypes":
                of = models.prototypes(setting)
                vectors[name] = torch.cat([of(episode) for episode in shown]).cpu().numpy()
            else:
                segments[name] = _at_home(models(setting).segment, device)
        except Unavailable as reason:
            missing.append(f"{name}: {reason}")
    figures: tuple[Figure, ...] = ()
    if segments:
        figures = (results_figure(shown, segments, names, caption=entry.title),)
    elif vectors:
        classes = [class_id for episode in shown for class_id in episode.classes]
        if not 1 < len(set(classes)) < len(classes):
            raise ProtolabelError(
                f"{count} episodes have too few prototypes of different classes for a t-SNE; use more."
            )
        usable = {name: np.asarray(values) for name, values in vectors.items()}
        figures = (prototypes_figure(usable, classes, names),)
    return Report(
        name=entry.name,
        title=entry.title,
        remarks=(entry.remark,) if entry.remark else (),
        conditions=(
            ("Protocol", protocol.name),
            ("Episodes", f"the first {count} of the run with seed {protocol.seeds[0]}, none picked"),
            ("Size", f"{task.size} x {task.size}"),
        ),
        missing=tuple(missing),
        figures=figures,
    )


def _at_home(segment: Segment, device: torch.device | str) -> Segment:
    """A method that takes an episode from the CPU and gives its scores back there."""

    def on_device(episode: Episode) -> Tensor:
        return segment(episode.to(device)).cpu()

    return on_device
