"""``evaluate CONFIG``: measure a method on episodes and write a report."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
def command(config: Path, changes: tuple[str, ...]) -> None:
    """Measure a method as the YAML file CONFIG says; KEY=VALUE replaces what it says, for example options.patch=256.

    Writes a report as HTML, Markdown and CSV, with published numbers beside the measured ones where CONFIG names them
    (beside: {table: dpcl-1, row: DPCL}). The same command goes on with an evaluation that was interrupted.
    """
    from ..encoders.runner import choose_device
    from ..evaluation.assembly import evaluation_report
    from ..evaluation.config import load_config
    from ..evaluation.experiment import Model, Task, measure
    from ..evaluation.models import ModelSource
    from ..evaluation.output import write_report
    from ..evaluation.protocols import protocol
    from ..evaluation.setting import Setting
    from ..evaluation.tasks import TaskSource
    from .measuring import progress_bar

    options = load_config(config, changes)
    chosen = protocol(options.protocol).shortened(options.runs, options.episodes)
    device = choose_device(options.device)
    tasks = TaskSource(options.data, chosen, options.size, options.boundary, options.support)

    def model_of(setting: Setting, task: Task) -> Model:
        return ModelSource(options.checkpoint_of(setting), device)(setting, task)

    with progress_bar() as progress:
        outcome = measure(
            options.settings(),
            tasks,
            model_of,
            chosen,
            options.output / "journals",
            device,
            options.workers,
            progress,
        )
    for line in outcome.missing:
        click.echo(f"Not measured: {line}", err=True)
    for path in write_report(evaluation_report(options, outcome, chosen), options.output):
        click.echo(str(path))
