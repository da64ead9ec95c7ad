"""``vectorize LABELS OUTPUT``."""

from __future__ import annotations

import click


@click.command()
@click.argument("labels")
@click.argument("output")
@click.option(
    "--sieve",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Give patches of fewer pixels to their largest neighbour.",
)
@click.option(
    "--simplify",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Tolerance in pixels; neighbours keep their common border.",
)
def command(labels: str, output: str, sieve: int, simplify: float) -> None:
    """Write the label map LABELS as polygons to OUTPUT (.gpkg, .geojson, .shp or .fgb)."""
    from ..vectorize import vectorize

    def say(text: str) -> None:
        click.echo(text, err=True)

    count = vectorize(labels, output, sieve, simplify, say=say)
    click.echo(f"Wrote {count:,} polygons to {output}.")
