"""``sample-points MAP OUTPUT``."""

from __future__ import annotations

from pathlib import Path

import click


def _expected(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[int, float]:
    result = {}
    for text in value:
        id, _, accuracy = text.partition("=")
        try:
            result[int(id)] = float(accuracy)
        except ValueError as error:
            raise click.BadParameter(f"{text!r}: write ID=SHARE, for example 3=0.7") from error
    return result


@click.command()
@click.argument("labels", metavar="MAP")
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--count", type=click.IntRange(1, 1_000_000), help="Points in all.  [default: by --standard-error]"
)
@click.option(
    "--standard-error",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.025,
    show_default=True,
    help="That the overall accuracy shall have; half of the 95 % interval is twice as much.",
)
@click.option(
    "--expected",
    multiple=True,
    callback=_expected,
    help="User's accuracy that is expected of a class: ID=SHARE; several times.  [default: 0.8]",
)
@click.option(
    "--minimum", type=click.IntRange(0), default=25, show_default=True, help="Points of each class at least."
)
@click.option("--support", help="Polygons under which no point is drawn.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same one draws the same points."
)
@click.option("--dry-run", is_flag=True, help="Only tell how many points there would be; nothing is written.")
def command(
    labels: str,
    output: Path,
    count: int | None,
    standard_error: float,
    expected: dict[int, float],
    minimum: int,
    support: str | None,
    seed: int,
    dry_run: bool,
) -> None:
    """Draw points on the label map MAP by stratified random sampling and write them to OUTPUT (.gpkg)."""
    from rich.console import Console
    from rich.table import Table

    from ..accuracy.sample_design import SampleDesign
    from ..accuracy.sampling import draw_sample
    from .bar import transient_bar

    design = SampleDesign(count, standard_error, expected, minimum, seed)
    with transient_bar("Points") as move:
        strata = draw_sample(labels, None if dry_run else output, design, support, move)
    table = Table("id", "class", "pixels", "share", "points", box=None, pad_edge=False)
    total = sum(stratum.pixels for stratum in strata)
    for stratum in strata:
        style, share = stratum.style, stratum.pixels / total
        table.add_row(
            str(style.id), style.name, f"{stratum.pixels:,}", f"{100 * share:.1f} %", str(stratum.points)
        )
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    console.print(table)
    points = sum(stratum.points for stratum in strata)
    console.print(f"{points:,} points." if dry_run else f"Wrote {points:,} points to {output}.")
