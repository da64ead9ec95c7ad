"""``reproduce TABLE``: measure a table or figure of the papers and set it beside the published one."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("table")
@click.option(
    "--data-root", type=click.Path(path_type=Path), required=True, help="Folder of the data set(s)."
)
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    help="Folder of the trained weights; which files it lacks is told in the report.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("reports"), show_default=True,
    help="Folder of reports and journals.",
)  # fmt: skip
@click.option("--rows", multiple=True, help="Measure this row alone; may be given several times.")
@click.option("--protocol", "protocol_name", help="panet, hsnet or patches instead of the paper's.")
@click.option("--runs", type=int, help="Runs instead of the protocol's.")
@click.option("--episodes", type=int, help="Episodes of a run instead of the protocol's.")
@click.option("--size", type=int, help="Height and width of the images instead of the paper's.")
@click.option(
    "--boundary",
    type=click.Choice(["background", "ignore"]),
    default="background",
    show_default=True,
    help="What the outlines of objects in support masks are; the default is PANet's code.",
)
@click.option(
    "--support",
    type=click.Choice(["fixed", "redrawn"]),
    default="fixed",
    show_default=True,
    help="Draw the support patches once a run, or for each query patch.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:0.")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="Processes that load.")
def command(
    table: str,
    data_root: Path,
    checkpoints: Path | None,
    output: Path,
    rows: tuple[str, ...],
    protocol_name: str | None,
    runs: int | None,
    episodes: int | None,
    size: int | None,
    boundary: str,
    support: str,
    device: str,
    workers: int,
) -> None:
    """Measure TABLE and write a report with the published numbers beside.

    TABLE is dpcl-1 to dpcl-4, dpcl-figure-3 to dpcl-figure-7, jiang-1 to jiang-5 or jiang-figure-2. Several data sets
    of one table (jiang-4, jiang-5) are looked for in folders of their names. The same command goes on with what was
    interrupted.
    """
    from ..encoders.runner import choose_device
    from ..evaluation.assembly import table_report
    from ..evaluation.experiment import Task, measure
    from ..evaluation.models import ModelSource
    from ..evaluation.output import write_report
    from ..evaluation.protocols import protocol
    from ..evaluation.setting import Setting
    from ..evaluation.showing import figure_report
    from ..evaluation.tables import FigureEntry, entry
    from ..evaluation.tasks import TaskSource
    from .measuring import progress_bar

    wanted = entry(table)
    chosen = protocol(protocol_name or wanted.protocol)
    place = choose_device(device)
    models = ModelSource(checkpoints, place)

    def task_of(setting: Setting) -> Task:
        models.checkpoint(setting)  # without one, the data are not needed
        own = data_root / setting.dataset
        return sources[own if own.is_dir() else data_root](setting)

    def source(root: Path) -> TaskSource:
        return TaskSource(root, chosen, size, boundary, support)  # type: ignore[arg-type]

    if isinstance(wanted, FigureEntry):
        report = figure_report(wanted, source(data_root), models, chosen, place, episodes or 6)
    else:
        chosen = chosen.shortened(runs, episodes)
        roots = {data_root, *(data_root / setting.dataset for setting in wanted.settings(rows))}
        sources = {root: source(root) for root in roots}
        with progress_bar() as progress:
            outcome = measure(
                wanted.settings(rows), task_of, models, chosen, output / "journals", place, workers, progress
            )
        report = table_report(wanted, outcome, chosen)
    for line in report.missing:
        click.echo(f"Not measured: {line}", err=True)
    for path in write_report(report, output):
        click.echo(str(path))
