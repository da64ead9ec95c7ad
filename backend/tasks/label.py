"""``label``: the whole raster or a part of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import protocol
from ..commands.reporting import seconds_left
from ..expectation import expectation
from ..labeling import label_raster
from ..progress import CancelToken, Progress
from ..protocol import Label, Log, Reply
from .options import extent_of, labeling_options

Send = Callable[[Reply], None]
_INTERVAL = 0.1  # seconds; people see no more, and thousands of tiles would flood the plugin


def label(task: Label, send: Send, cancel: CancelToken) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Label`."""
    cancel.check()  # the imports may have taken seconds
    options = replace(
        labeling_options(task),
        confidence=Path(task.confidence) if task.confidence else None,
        vector=Path(task.vector) if task.vector else None,
        extent=extent_of(task.extent, task.extent_crs),
        area=Path(task.area) if task.area else None,
    )
    progress = ProgressReplies(task.id, send)

    def say(text: str) -> None:
        send(Log(task.id, "info", text))

    result = label_raster(task.raster, task.support, task.output, options, progress, cancel, say)
    progress.flush()
    return {
        "output": str(result.output),
        "model": result.model,
        "device": result.device,
        "scale": result.scale.factor,
        "seconds": round(result.seconds, 2),
        "head": result.head,
        "expected": expectation(result.head, result.expected, result.classes),
        "classes": [
            {"id": info.id, "name": info.name, "pixels": count}
            for info, count in zip(result.classes, result.pixels, strict=True)
        ],
    }


class ProgressReplies:
    """Sends progress, not more often than anybody can see; the first is always sent, the last by :meth:`flush`."""

    def __init__(self, id: int, send: Send) -> None:
        self._id, self._send = id, send
        self._started = time.monotonic()
        self._sent = -math.inf
        self._held: Progress | None = None

    def __call__(self, state: Progress) -> None:
        """Take a state of the run."""
        self._held = state
        if time.monotonic() - self._sent >= _INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Send the last state if it was not sent yet."""
        state, self._held = self._held, None
        if state is None:
            return
        self._sent = time.monotonic()
        left = seconds_left(state, self._sent - self._started)
        self._send(
            protocol.Progress(
                id=self._id,
                stage=state.stage,
                done=state.done,
                total=state.total,
                megapixels=round(state.megapixels, 3),
                seconds_left=None if left is None else round(left, 1),
            )
        )
