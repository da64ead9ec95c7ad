"""``label RASTER SUPPORT OUTPUT``."""

from __future__ import annotations

from pathlib import Path

import click

from ..heads import HEADS


def parse_numbers(text: str | None) -> tuple[int, ...] | None:
    """Read "4,3,2"; None stays None."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.replace(" ", ",").split(",") if part)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: write whole numbers with commas, for example 4,3,2") from error


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    return parse_numbers(value)


@click.command()
@click.argument("raster")
@click.argument("support")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--class-field", default="class_id", show_default=True, help="Field of the class ids.")
@click.option("--name-field", default="class_name", show_default=True, help="Field of the class names.")
@click.option("--model", help="A model's name or .safetensors file.  [default: see the models command]")
@click.option("--layers", callback=_numbers, help="Encoder levels, some of 2,3,4.  [default: the model's]")
@click.option(
    "--head",
    type=click.Choice(HEADS),
    default="auto",
    show_default=True,
    help="One prototype per class, one per polygon, a few (parts), or cells by ridge or density; auto chooses.",
)
@click.option(
    "--spectral/--no-spectral", default=True, show_default=True, help="Use pixel values beside features."
)
@click.option(
    "--bands", callback=_numbers, help="Red, green, blue and extras, e.g. 4,3,2,8.  [default: by name]"
)
@click.option(
    "--scale", type=float, help="Enlargement before the encoder.  [default: by pixel and polygon size]"
)
@click.option("--crf/--no-crf", default=True, show_default=True, help="Refine with DenseCRF.")
@click.option(
    "--confidence", type=click.Path(path_type=Path), help="Write confidences (percent) to this .tif."
)
@click.option(
    "--vector", type=click.Path(path_type=Path), help="Write polygons to this .gpkg, .geojson, .shp or .fgb."
)
@click.option("--extent", help='Label this part only: "xmin,ymin,xmax,ymax" or "... [EPSG:4326]".')
@click.option(
    "--area", type=click.Path(path_type=Path), help="Label only what lies in the polygons of this file."
)
@click.option(
    "--support-raster",
    "support_rasters",
    multiple=True,
    help="Another raster that support polygons lie on; may be given several times.",
)
@click.option("--stretch", help='Raster values that become 0 and 255, by band: "LOW:HIGH,LOW:HIGH,...".')
@click.option("--classes", help="A CSV of id, name and color (#rrggbb) for the legend.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--tile", type=click.IntRange(384, 8192), default=704, show_default=True, help="Encoder window, pixels."
)
@click.option(
    "--json-progress", is_flag=True, help="One JSON object a line on stdout instead of a progress bar."
)
@click.option("--dry-run", is_flag=True, help="Only estimate time, memory and disk; nothing is written.")
def command(
    raster: str, support: str, output: Path, json_progress: bool, dry_run: bool, **options: object
) -> None:
    """Label RASTER from the polygons in SUPPORT and write the label map OUTPUT (.tif)."""
    # Torch takes seconds to import; the arguments are checked by now.
    from ..labeling import LabelOptions, label_raster
    from ..rasters.class_styles import read_classes
    from ..rasters.extent import Extent
    from ..rasters.stretch import Stretch
    from ..refine.densecrf import CrfParameters
    from .reporting import print_estimate, reporter

    extent, crf = options.pop("extent"), options.pop("crf")
    stretch, classes = options.pop("stretch"), options.pop("classes")
    chosen = LabelOptions(
        extent=Extent.parse(str(extent)) if extent else None,
        crf=CrfParameters() if crf else None,
        stretch=Stretch.parse(str(stretch)) if stretch else None,
        classes=read_classes(str(classes)) if classes else None,
        support_rasters=options.pop("support_rasters") or None,  # type: ignore[arg-type]
        **options,  # type: ignore[arg-type]
    )
    if dry_run:
        from ..estimate import estimate_run

        print_estimate(estimate_run(raster, support, output, chosen), json_progress)
        return
    with reporter(json_progress) as report:
        result = label_raster(raster, support, output, chosen, report.progress, say=report.say)
        report.result(result)
