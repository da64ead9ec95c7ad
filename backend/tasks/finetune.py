"""``material``, ``finetune`` and ``keep_model``: fine-tuning, in a worker of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

from .. import protocol
from ..encoders.own_models import check_new_name
from ..finetuning.estimate import estimate_finetuning
from ..finetuning.keeping import keep_tuned
from ..finetuning.news import TuningProgress, progress_values
from ..finetuning.options import FinetuneOptions, FinetuningError, LabeledRaster
from ..finetuning.preparation import prepare
from ..finetuning.reading import read_material
from ..finetuning.run_folder import RunFolder
from ..finetuning.summary import summarize
from ..finetuning.tuning import finetune as run_finetuning
from ..finetuning.tuning import resumed_options
from ..progress import RunControl
from ..protocol import Finetune, FinetuningMessage, KeepModel, Log, Material, Partial, Reply
from ..rasters.class_styles import ClassStyle, unique
from ..rasters.stretch import Stretch

Send = Callable[[Reply], None]
_DATA_KEYS = ("raster", "labels", "polygons", "class_field", "name_field")


def inspect_material(task: Material, send: Send, control: RunControl) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Material`."""
    options = finetune_options(task)
    material = read_material(options, control)
    prepared, problem = None, None
    try:
        prepared = prepare(material, options)
    except FinetuningError as error:
        problem = str(error)
    summary = summarize(material, prepared.division if prepared else None, problem)
    values = {**summary.to_json(), "estimate": None}
    send(Partial(task.id, values))
    if prepared is None or not task.estimate:
        return values
    control.check()
    return {**values, "estimate": asdict(estimate_finetuning(options, prepared, control))}


def finetune(task: Finetune, send: Send, control: RunControl) -> dict[str, Any]:
    """Do the task; what is sent and the result's values are told by :class:`Finetune`."""
    control.check()  # the imports may have taken seconds
    if task.name is not None:
        check_new_name(task.name, task.replace)
    options = _resumed(task) if task.resume else finetune_options(task)
    _give_way()
    run = RunFolder(Path(task.folder))

    def report(state: TuningProgress) -> None:
        values = progress_values(state)
        values["example"] = str(run.picture) if run.picture.exists() else None
        values["journal"] = str(run.journal)
        send(Partial(task.id, values))
        if state.iterations:
            left = values["seconds_left"]
            send(protocol.Progress(task.id, "training", state.iteration, state.iterations, 0.0, left))

    def say(text: str) -> None:
        send(Log(task.id, "info", text))

    result = run_finetuning(options, task.folder, task.resume, control, report, say)
    saved = None
    if task.name is not None and (result.verdict != "worse" or task.keep_worse):
        saved = str(keep_tuned(task.folder, task.name, task.replace, task.keep_worse))
    return {**result.to_json(), "saved": saved, "name": task.name}


def keep_model(task: KeepModel) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`KeepModel`."""
    saved = keep_tuned(task.folder, task.name, task.replace, task.keep_worse)
    return {"saved": str(saved), "name": task.name}


def finetune_options(task: FinetuningMessage) -> FinetuneOptions:
    """The options of a request.

    Raises:
        ProtolabelError: When they cannot serve.
    """
    where = "The class list"
    classes = None
    if task.classes:
        entries = [(entry.get("id"), entry.get("name"), entry.get("color")) for entry in task.classes]
        classes = unique((ClassStyle.parse(*entry, where) for entry in entries), where)
    return FinetuneOptions(
        data=tuple(map(_labeled_raster, task.data or ())),
        base=task.base,
        classes=classes,
        ignored=task.ignored or (),
        bands=task.bands,
        stretch=Stretch.checked(*task.stretch) if task.stretch else None,
        hold_out=task.hold_out,  # type: ignore[arg-type] # the message checks it
        minutes=task.minutes,
        iterations=task.iterations,
        trained=task.trained,  # type: ignore[arg-type]
        learning_rate=task.learning_rate,
        crop=task.crop,
        device=task.device,
        threads=task.threads,
        seed=task.seed,
    )


def _resumed(task: Finetune) -> FinetuneOptions:
    """The options of the run in the folder, with what may change when it is resumed."""
    options = resumed_options(task.folder)
    changes = {
        name: value
        for name in ("minutes", "iterations", "threads")
        if (value := getattr(task, name)) is not None
    }
    return replace(options, device=task.device, **changes)


def _labeled_raster(entry: dict[str, Any]) -> LabeledRaster:
    values = {key: value for key, value in entry.items() if key in _DATA_KEYS and value is not None}
    if "raster" not in values or not all(isinstance(value, str) and value for value in values.values()):
        raise FinetuningError(
            f"The labelled raster {entry} is not understood; it needs texts: raster, and labels or polygons."
        )
    return LabeledRaster(**values)


def _give_way() -> None:
    """Let other processes go first: labelling goes on beside a training."""
    lower = psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 10
    with suppress(psutil.Error, OSError):
        psutil.Process().nice(lower)
