"""``inspect RASTER``."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("raster")
@click.option("--bands", help="As in the label command.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(raster: str, bands: str | None, as_json: bool) -> None:
    """Print what the tool understands of RASTER: size, bands, system, nodata, stretch, scale."""
    import rasterio
    from rich.console import Console
    from rich.table import Table

    from ..rasters.description import describe
    from ..rasters.source import RasterSource
    from ..scale import choose_scale
    from .label import parse_numbers

    chosen = parse_numbers(bands)
    with rasterio.Env():  # else GDAL prints its own warnings
        facts = describe(raster, chosen)
        with RasterSource(raster, chosen) as source:
            scale = choose_scale(source.pixel_size, [])
    facts["scale"] = f"{scale.factor:g} ({scale.reason}); small support polygons can make it larger"
    if as_json:
        click.echo(json.dumps(facts))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    del facts["values"]
    for name, text in facts.items():
        table.add_row(name, text)
    Console(highlight=False, soft_wrap=True, markup=False, emoji=False).print(table)
