"""``compare RASTER PREDICTED OUTPUT``: one figure of what went in and what came out."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("raster")
@click.argument("predicted")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--truth", help="A raster of the true class ids; the title then tells how well the map agrees.")
@click.option("--support", help="The support polygons; drawn, and left out of the agreement.")
@click.option("--class-field", default="class_id", show_default=True, help="Their field of the class ids.")
@click.option("--confidence", help="The confidence raster of the same run.")
def command(
    raster: str,
    predicted: str,
    output: Path,
    truth: str | None,
    support: str | None,
    class_field: str,
    confidence: str | None,
) -> None:
    """Draw RASTER and the label map PREDICTED side by side into the picture OUTPUT (.png)."""
    from ..errors import ProtolabelError
    from ..figures.comparison import read_comparison
    from ..rasters.label_map import check_output

    try:
        from ..figures.sheet import draw_comparison
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise ProtolabelError(
            f"Figures need matplotlib, which is not installed; run: {sys.executable} -m pip install matplotlib"
        ) from error

    inputs = [path for path in (raster, predicted, truth, support, confidence) if path]
    check_output(output, *inputs, extensions=(".png",))
    draw_comparison(read_comparison(raster, predicted, truth, support, confidence, class_field), output)
    click.echo(str(output))
