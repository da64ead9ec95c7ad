"""``accuracy`` and ``sample_points``: how good a label map is, and points to find it out with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..accuracy.assessment import assess
from ..accuracy.files import check_files, write_files
from ..accuracy.numbers import numbers, strata
from ..accuracy.sample_design import SampleDesign, expected_accuracies
from ..accuracy.sampling import draw_sample
from ..errors import ProtolabelError
from ..progress import CancelToken
from ..protocol import Accuracy, Log, Reply, SamplePoints
from .label import ProgressReplies

Send = Callable[[Reply], None]


def accuracy(task: Accuracy, send: Send, cancel: CancelToken) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Accuracy`."""
    inputs = [task.labels, task.reference, *filter(None, (task.support, task.confidence))]
    check_files(task.report, task.csv, inputs)
    progress = ProgressReplies(task.id, send)
    try:
        found = assess(
            task.labels, task.reference, task.class_field, task.support, task.confidence, progress, cancel
        )
    except ProtolabelError as error:
        raise type(error)(_named(str(error), task)) from error
    progress.flush()
    found = replace(
        found,
        reference=task.reference_name or found.reference,
        support=task.support_name or found.support,
        notes=tuple(_named(note, task) for note in found.notes),
    )
    for note in found.notes:
        send(Log(task.id, "info", note))
    tables = write_files(found, task.report, task.csv)
    return {**numbers(found), "report": task.report, "tables": [str(path) for path in tables]}


def _named(text: str, task: Accuracy) -> str:
    """A text with the names that people know instead of paths."""
    for path, name in ((task.reference, task.reference_name), (task.support, task.support_name)):
        if path and name:
            text = text.replace(path, name)
    return text


def sample_points(task: SamplePoints, send: Send, cancel: CancelToken) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`SamplePoints`."""
    design = SampleDesign(
        task.count,
        task.standard_error,
        expected_accuracies(task.expected or ()),
        task.minimum,
        task.seed,
    )
    progress = ProgressReplies(task.id, send)
    found = draw_sample(task.labels, task.output, design, task.support, progress, cancel)
    progress.flush()
    return {
        "output": task.output,
        "points": sum(stratum.points for stratum in found),
        "strata": strata(found),
    }
