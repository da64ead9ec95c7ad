"""What the worker does for each request; heavy libraries are imported by the request that needs them."""

from __future__ import annotations

import glob
import math
import os
import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Union

from . import protocol
from .errors import Cancelled, ProtolabelError
from .progress import CancelToken, Progress
from .protocol import Error, Inspect, Label, Log, Models, Reply, Result

Task = Union[Label, Inspect, Models]  # noqa: UP007 - as in the protocol
Send = Callable[[Reply], None]
_INTERVAL = 0.1  # seconds; people see no more, and thousands of tiles would flood the plugin
_LONGEST_MESSAGE, _LONGEST_DETAIL = (
    2_000,
    50_000,
)  # characters; a library's message may quote all of its input


def answer(task: Task, send: Send, cancel: CancelToken) -> Reply:
    """Do a task; whatever happens becomes its final reply.

    Args:
        task: What to do.
        send: Takes progress and log replies meanwhile.
        cancel: Stops it.
    """
    try:
        cancel.check()
        return Result(task.id, _run(task, send, cancel))
    except Cancelled:
        return protocol.Cancelled(task.id)
    except ProtolabelError as error:
        return Error(task.id, "user", str(error)[:_LONGEST_MESSAGE])
    except MemoryError:
        text = "Not enough memory; close other programs, or label a part of the raster."
        return Error(task.id, "user", text)
    except BaseException as error:  # nothing may end the thread that calls this
        traceback.print_exc()
        text = f"Unexpected error ({type(error).__name__}: {error})"[:_LONGEST_MESSAGE]
        return Error(task.id, "internal", text, traceback.format_exc()[-_LONGEST_DETAIL:])


def remove_parts(task: Task) -> None:
    """Remove the unfinished files of a task that has to be left in the middle."""
    outputs = (task.output, task.confidence, task.vector) if isinstance(task, Label) else ()
    for output in map(Path, filter(None, outputs)):
        for path in (output, output.with_suffix(".qml")):
            # As named by rasters.parts, with what GDAL puts beside them; it is not imported in a process that ends.
            for part in path.parent.glob(f".{glob.escape(path.name)}.{os.getpid()}.*.part*"):
                with suppress(OSError):
                    shutil.rmtree(part) if part.is_dir() else part.unlink()


def _run(task: Task, send: Send, cancel: CancelToken) -> dict[str, Any]:
    if isinstance(task, Label):
        return _label(task, send, cancel)
    if isinstance(task, Inspect):
        return _inspect(task)
    return _models()


def _label(task: Label, send: Send, cancel: CancelToken) -> dict[str, Any]:
    from .labeling import LabelOptions, label_raster
    from .rasters.extent import Extent
    from .refine.densecrf import CrfParameters

    cancel.check()  # the imports may have taken seconds
    extent = None
    if task.extent:
        crs = f" [{task.extent_crs}]" if task.extent_crs else ""
        extent = Extent.parse(",".join(map(repr, task.extent)) + crs)
    options = LabelOptions(
        class_field=task.class_field,
        name_field=task.name_field,
        model=task.model,
        layers=task.layers,
        head=task.head,  # type: ignore[arg-type]  # checked by the protocol
        spectral=task.spectral,
        bands=task.bands,
        scale=task.scale,
        crf=CrfParameters() if task.crf else None,
        confidence=Path(task.confidence) if task.confidence else None,
        vector=Path(task.vector) if task.vector else None,
        extent=extent,
        device=task.device,
        tile=task.tile,
    )
    progress = ProgressReplies(task.id, send)

    def say(text: str) -> None:
        send(Log(task.id, "info", text))

    result = label_raster(task.raster, task.support, task.output, options, progress, cancel, say)
    progress.flush()
    return {
        "output": str(result.output),
        "model": result.model,
        "scale": result.scale.factor,
        "seconds": round(result.seconds, 2),
        "classes": [
            {"id": info.id, "name": info.name, "pixels": count}
            for info, count in zip(result.classes, result.pixels, strict=True)
        ],
    }


def _inspect(task: Inspect) -> dict[str, Any]:
    from .rasters.description import describe

    return dict(describe(task.raster, task.bands))


def _models() -> dict[str, Any]:
    import torch

    from .encoders.catalogue import TORCHVISION, model_files, model_folders
    from .encoders.runner import cpu_count

    # Without a path, it is downloaded on first use.
    models: list[dict[str, str | None]] = [{"name": path.stem, "path": str(path)} for path in model_files()]
    models += [{"name": name, "path": None} for name in TORCHVISION]
    devices = [{"name": "cpu", "title": f"{cpu_count()} cores"}]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            devices.append({"name": f"cuda:{index}", "title": torch.cuda.get_device_name(index)})
    return {"models": models, "folders": [str(folder) for folder in model_folders()], "devices": devices}


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
        from .commands.reporting import seconds_left

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
