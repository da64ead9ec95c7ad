"""``sample FOLDER``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--width", default=1600, show_default=True, type=click.IntRange(64, 20000), help="Pixels.")
@click.option("--height", default=1200, show_default=True, type=click.IntRange(64, 20000), help="Pixels.")
@click.option("--seed", default=42, show_default=True, help="Another seed gives another landscape.")
def command(folder: Path, width: int, height: int, seed: int) -> None:
    """Generate a synthetic orthophoto with labels and support polygons in FOLDER."""
    from ..sample import write_sample

    paths = write_sample(folder, width=width, height=height, seed=seed)
    for path in (paths.raster, paths.labels, paths.support):
        click.echo(str(path))
