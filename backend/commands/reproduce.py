"""``reproduce TABLE``: measure a table or figure of the papers and set it beside the published one."""

from __future__ import annotations

from functools import cache
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
@click.option(
    "--vaihingen-split",
    type=click.Choice(["official", "four-tile"]),
    default="official",
    show_default=True,
    help="Test on the 17 tiles of the challenge, or on 4 of its 16 training tiles.",
)
@click.option(
    "--potsdam-bands",
    type=click.Choice(["rgb", "irrg"]),
    default="rgb",
    show_default=True,
    help="Bands of Potsdam, which Jiang et al. do not tell.",
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
    vaihingen_split: str,
    potsdam_bands: str,
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
    from ..evaluation.setting import FITTED, Setting
    from ..evaluation.showing import figure_report
    from ..evaluation.tables import FigureEntry, entry
    from ..evaluation.tasks import DataChoice, TaskSource
    from .measuring import progress_bar

    wanted = entry(table)
    chosen = protocol(protocol_name or wanted.protocol)
    place = choose_device(device)
    models = ModelSource(checkpoints, place)

    options = {"vaihingen": {"split": vaihingen_split}, "potsdam": {"bands": potsdam_bands}}

    @cache
    def source(dataset: str) -> TaskSource:
        own = data_root / dataset
        data = DataChoice(own if own.is_dir() else data_root, options=options.get(dataset, {}))
        return TaskSource(data, chosen, size, boundary, support)  # type: ignore[arg-type]

    def task_of(setting: Setting) -> Task:
        if setting.method not in FITTED:
            models.checkpoint(setting)  # without one, the data are not needed
        return source(setting.dataset)(setting)

    chosen = chosen.shortened(runs, episodes)
    if isinstance(wanted, FigureEntry):
        report = figure_report(
            wanted,
            lambda setting: source(setting.dataset)(setting),
            models,
            chosen,
            place,
            episodes or wanted.episodes,
        )
    else:
        with progress_bar() as progress:
            outcome = measure(
                wanted.settings(rows), task_of, models, chosen, output / "journals", place, workers, progress
            )
        used = {setting.dataset for setting in outcome.measured}
        report = table_report(
            wanted,
            outcome,
            chosen,
            {
                f"{name}, {key}": value
                for name in sorted(used & set(options))
                for key, value in options[name].items()
            },
        )
    for line in report.missing:
        click.echo(f"Not measured: {line}", err=True)
    for path in write_report(report, output):
        click.echo(str(path))
