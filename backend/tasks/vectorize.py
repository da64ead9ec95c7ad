"""``vectorize``: a label map to polygons."""

from __future__ import annotations

from typing import Any

from .. import vectorize as library
from ..progress import CancelToken
from ..protocol import Vectorize


def vectorize(task: Vectorize, cancel: CancelToken) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Vectorize`, and ``notes`` are texts for the user."""
    notes: list[str] = []
    count = library.vectorize(task.labels, task.output, task.sieve, task.simplify, cancel, notes.append)
    return {"output": task.output, "polygons": count, "notes": notes}
