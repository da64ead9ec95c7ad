"""``finetune RASTER... --labels ... --polygons ... --base MODEL --name NAME``."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ..processors import wait_passively
from .label import _numbers

if TYPE_CHECKING:
    from ..finetuning.options import FinetuneOptions, LabeledRaster
    from ..progress import RunControl

_RUNS = Path("runs")


@click.command()
@click.argument("rasters", nargs=-1, metavar="RASTER...")
@click.option(
    "--labels",
    multiple=True,
    help='Label raster: one a raster in their order, or a pattern beside each, like "{stem}_labels.tif".',
)
@click.option(
    "--polygons",
    multiple=True,
    help="Polygon layer; counts on each raster that it lies on. May be given several times.",
)
@click.option(
    "--class-field", default="class_id", show_default=True, help="Field of the polygons' class ids."
)
@click.option("--name-field", default="class_name", show_default=True, help="Field of their names.")
@click.option("--classes", help="A CSV of id, name and color: the class list; other labels are an error.")
@click.option("--ignore", callback=_numbers, help="Class ids to leave out, e.g. 0,9.")
@click.option(
    "--base", help="The model to begin with: name or .safetensors.  [default: see the models command]"
)
@click.option("--name", help="Save the tuned model under this name among your own models.")
@click.option("--replace", is_flag=True, help="It may take the place of another model of this name.")
@click.option(
    "--keep-worse", is_flag=True, help="Save it also when it is worse on the hold-out than the base."
)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder for journal, checkpoints and model.  [default: runs/NAME]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Go on with the run in this folder; needs nothing else.",
)
@click.option("--minutes", type=float, help="How long to train.  [default: 10]")
@click.option("--iterations", type=click.IntRange(1), help="Episodes to train on instead, or at most.")
@click.option(
    "--hold-out",
    type=click.Choice(["auto", "raster", "group"]),
    default="auto",
    show_default=True,
    help="What is measured on and not trained on: whole rasters, or groups of neighbouring labels.",
)
@click.option(
    "--train",
    "trained",
    type=click.Choice(["upper", "all", "last"]),
    default="upper",
    show_default=True,
    help="Layers that change: all but the first two stages, all, or the last stage.",
)
@click.option(
    "--learning-rate",
    type=float,
    help="Largest step.  [default: 0.00015, for the last stage 0.0003; a fifth where the base was trained by "
    "episodes]",
)
@click.option(
    "--crop", type=click.IntRange(96, 1024), default=192, show_default=True, help="Side of crops, pixels."
)
@click.option("--bands", callback=_numbers, help="Red, green and blue, e.g. 4,3,2.  [default: by name]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--threads", type=click.IntRange(1), help="On the CPU.  [default: all, of four or more all but one]"
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of all that is drawn.")
@click.option(
    "--dry-run", is_flag=True, help="Only tell what is found and how long it takes; nothing is written."
)
@click.option("--json", "json_lines", is_flag=True, help="One JSON object a line on stdout.")
def command(
    rasters: tuple[str, ...],
    name: str | None,
    replace: bool,
    keep_worse: bool,
    folder: Path | None,
    resume: Path | None,
    dry_run: bool,
    json_lines: bool,
    **given: Any,
) -> None:
    """Fine-tune a model on labelled RASTERs, and tell whether it became better.

    A run that was stopped goes on with --resume FOLDER.
    """
    wait_passively()
    # Torch takes seconds to import; the arguments are checked by now.
    from ..encoders.own_models import check_new_name
    from ..errors import Cancelled
    from ..finetuning.keeping import keep_tuned
    from ..finetuning.options import FinetuningError
    from ..finetuning.tuning import finetune
    from ..progress import RunControl
    from .finetune_reporting import finetune_reporter

    if name is not None:
        check_new_name(name, replace)
    if resume is not None:
        if rasters:
            raise click.UsageError("A run is resumed with the rasters that it began with; leave them out.")
        options, where = _resumed(resume, given), resume
    else:
        if folder is None and name is None and not dry_run:
            raise FinetuningError("Give the tuned model a --name, or the run a folder with --run.")
        options, where = _options(rasters, given), folder or _RUNS / (name or "")
    control = RunControl()
    with finetune_reporter(json_lines) as reporter, _stopped_by_ctrl_c(control):
        if dry_run:
            reporter.found(*_found(options, control))
            return
        try:
            result = finetune(options, where, resume is not None, control, reporter.progress, reporter.say)
        except (Cancelled, KeyboardInterrupt) as error:
            raise Cancelled(
                f"Stopped; `python -m backend finetune --resume {_quoted(where)}` goes on from the last checkpoint."
            ) from error
        saved = None
        if name is not None and (result.verdict != "worse" or keep_worse):
            saved = keep_tuned(where, name, replace, keep_worse)
        reporter.result(result, name, saved)


def _options(rasters: Sequence[str], given: dict[str, Any]) -> FinetuneOptions:
    from ..finetuning.options import FinetuneOptions
    from ..rasters.class_styles import read_classes

    classes, ignored = given.pop("classes"), given.pop("ignore")
    return FinetuneOptions(
        data=tuple(_data(rasters, given.pop("labels"), given.pop("polygons"), given)),
        classes=read_classes(classes) if classes else None,
        ignored=ignored or (),
        **{key: value for key, value in given.items() if key not in ("class_field", "name_field")},
    )


def _data(
    rasters: Sequence[str], labels: Sequence[str], polygons: Sequence[str], given: dict[str, Any]
) -> Iterator[LabeledRaster]:
    """Pair rasters with what is known of them."""
    from ..finetuning.options import FinetuningError, LabeledRaster

    pattern = labels[0] if len(labels) == 1 and "{stem}" in labels[0] else None
    if pattern is not None:
        paired = {raster: _beside(raster, pattern) for raster in rasters}
        # A shell's *.tif takes the label rasters along.
        taken = {Path(path).resolve() for path in paired.values()}
        paired = {raster: path for raster, path in paired.items() if Path(raster).resolve() not in taken}
    elif labels and len(labels) != len(rasters):
        raise FinetuningError(
            f"There are {len(labels)} label rasters for {len(rasters)} rasters; give one --labels for each raster in "
            'their order, or a pattern like --labels "{stem}_labels.tif".'
        )
    else:
        paired = dict(zip(rasters, labels, strict=True)) if labels else {}
    for raster in paired or rasters:
        if raster in paired or not polygons:
            yield LabeledRaster(raster, labels=paired.get(raster))
        for layer in polygons:
            yield LabeledRaster(
                raster, polygons=layer, class_field=given["class_field"], name_field=given["name_field"]
            )


def _beside(raster: str, pattern: str) -> str:
    return str(Path(raster).parent / pattern.replace("{stem}", Path(raster).stem))


def _resumed(folder: Path, given: dict[str, Any]) -> FinetuneOptions:
    """The options of a run, with what may change when it is resumed."""
    from dataclasses import replace

    from ..finetuning.tuning import resumed_options

    changes = {name: given[name] for name in ("minutes", "iterations", "threads") if given[name] is not None}
    return replace(resumed_options(folder), device=given["device"], **changes)


def _found(options: FinetuneOptions, control: RunControl) -> tuple[Any, Any]:
    """What there is, and what a run would take."""
    from ..finetuning.estimate import estimate_finetuning
    from ..finetuning.preparation import prepare
    from ..finetuning.reading import read_material
    from ..finetuning.summary import summarize

    material = read_material(options, control)
    prepared = prepare(material, options)
    return summarize(material, prepared.division), estimate_finetuning(options, prepared, control)


@contextmanager
def _stopped_by_ctrl_c(control: RunControl) -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM stop the run where it can be stopped; a second one wherever it is."""

    def stop(number: int, frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.default_int_handler)
        control.cancel()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
