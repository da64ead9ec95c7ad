"""From a request to its final reply, whatever happens."""

from __future__ import annotations

import glob
import os
import shutil
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import protocol
from ..errors import Cancelled, ProtolabelError
from ..progress import RunControl
from ..protocol import (
    Accuracy,
    Error,
    Estimate,
    Finetune,
    Inspect,
    KeepModel,
    Label,
    Material,
    Preview,
    Reply,
    Result,
    SamplePoints,
    Task,
    Uncertain,
    Vectorize,
)

if TYPE_CHECKING:
    from ..preview.workbench import Workbench

Send = Callable[[Reply], None]
_LONGEST_MESSAGE, _LONGEST_DETAIL = (
    2_000,
    50_000,
)  # characters; a library's message may quote all of its input


class TaskRunner:
    """Does the tasks of one worker, and keeps between them what makes the next one faster."""

    def __init__(self) -> None:
        self._kept: Workbench | None = None

    def answer(self, task: Task, send: Send, cancel: RunControl) -> Reply:
        """Do a task; whatever happens becomes its final reply.

        Args:
            task: What to do.
            send: Takes progress, partial and log replies meanwhile.
            cancel: Stops it, or lets it wait.
        """
        try:
            cancel.check()
            return Result(task.id, self._run(task, send, cancel))
        except Cancelled:
            return protocol.Cancelled(task.id)
        except ProtolabelError as error:
            return Error(task.id, "user", str(error)[:_LONGEST_MESSAGE])
        except MemoryError:
            if self._kept is not None:
                self._kept.release()
            text = "Not enough memory; close other programs, or label a part of the raster."
            return Error(task.id, "user", text)
        except BaseException as error:  # nothing may end the thread that calls this
            traceback.print_exc()
            text = f"Unexpected error ({type(error).__name__}: {error})"[:_LONGEST_MESSAGE]
            return Error(task.id, "internal", text, traceback.format_exc()[-_LONGEST_DETAIL:])

    def close(self) -> None:
        """End threads and processes and remove files."""
        if self._kept is not None:
            self._kept.close()

    def _run(self, task: Task, send: Send, cancel: RunControl) -> dict[str, Any]:
        if isinstance(task, Label):
            from .label import label

            return label(task, send, cancel)
        if isinstance(task, Preview):
            from .preview import preview

            return preview(task, send, cancel, self._workbench())
        if isinstance(task, Uncertain):
            from .uncertain import uncertain

            return uncertain(task, cancel, self._workbench())
        if isinstance(task, Estimate):
            from .estimate import estimate

            return estimate(task, send, cancel)
        if isinstance(task, Vectorize):
            from .vectorize import vectorize

            return vectorize(task, cancel)
        if isinstance(task, Accuracy):
            from .accuracy import accuracy

            return accuracy(task, send, cancel)
        if isinstance(task, SamplePoints):
            from .accuracy import sample_points

            return sample_points(task, send, cancel)
        if isinstance(task, Material):
            from .finetune import inspect_material

            return inspect_material(task, send, cancel)
        if isinstance(task, Finetune):
            from .finetune import finetune

            return finetune(task, send, cancel)
        if isinstance(task, KeepModel):
            from .finetune import keep_model

            return keep_model(task)
        if isinstance(task, Inspect):
            from .inspect import inspect

            return inspect(task)
        from .models import models  # the one that is left

        return models()

    def _workbench(self) -> Workbench:
        if self._kept is None:
            from ..preview.workbench import Workbench

            self._kept = Workbench()
        return self._kept


def remove_parts(task: Task) -> None:
    """Remove the unfinished files of a task that has to be left in the middle."""
    outputs: tuple[str | None, ...] = ()
    if isinstance(task, Label):
        outputs = task.output, task.confidence, task.vector
    elif isinstance(task, (Vectorize, SamplePoints)):
        outputs = (task.output,)
    elif isinstance(task, Accuracy):
        outputs = (task.report,)
    for output in map(Path, filter(None, outputs)):
        for path in (output, output.with_suffix(".qml")):
            # As named by rasters.parts, with what GDAL puts beside them; it is not imported in a process that ends.
            for part in path.parent.glob(f".{glob.escape(path.name)}.{os.getpid()}.*.part*"):
                with suppress(OSError):
                    shutil.rmtree(part) if part.is_dir() else part.unlink()
