"""``accuracy`` and ``sample_points``: how good a label map is, and points to find it out with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..accuracy.assessment import Assessment, assess
from ..accuracy.files import check_files, write_files
from ..accuracy.numbers import numbers, strata
from ..accuracy.sample_design import SampleDesign, expected_accuracies
from ..accuracy.sampling import draw_sample
from ..progress import CancelToken
from ..protocol import Accuracy, Log, Reply, SamplePoints
from .label import ProgressReplies

Send = Callable[[Reply], None]


def accuracy(task: Accuracy, send: Send, cancel: CancelToken) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Accuracy`."""
    inputs = [task.labels, task.reference, *filter(None, (task.support, task.confidence))]
    check_files(task.report, task.csv, inputs)
    progress = ProgressReplies(task.id, send)
    found = assess(
        task.labels, task.reference, task.class_field, task.support, task.confidence, progress, cancel
    )
    progress.flush()
    found = _with_names(found, task)
    for note in found.notes:
        send(Log(task.id, "info", note))
    tables = write_files(found, task.report, task.csv)
    return {**numbers(found), "report": task.report, "tables": [str(path) for path in tables]}


def _with_names(found: Assessment, task: Accuracy) -> Assessment:
    """Call the files by the names that the request gives them."""
    given = ((task.reference, task.reference_name), (task.support, task.support_name))
    names = {path: name for path, name in given if path and name}
    notes = found.notes
    for path, name in names.items():
        notes = tuple(note.replace(path, name) for note in notes)
    return replace(
        found,
        reference=names.get(task.reference, found.reference),
        support=names.get(task.support or "", found.support),
        notes=notes,
    )


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
