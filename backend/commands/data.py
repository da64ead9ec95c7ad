"""``data check NAME ROOT``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def command() -> None:
    """Datasets for training and evaluation."""


@command.command()
@click.argument("name")
@click.argument("root", type=click.Path(path_type=Path))
@click.option(
    "--classes",
    type=click.Path(path_type=Path),
    help="CSV of id, name and color.  [default: ROOT/classes.csv]",
)
@click.option("--images", help="Which files are images, for geotiff-pairs.  [default: *.tif]")
@click.option("--labels", help="Where their labels are.  [default: {stem}_labels.tif]")
def check(name: str, root: Path, classes: Path | None, images: str | None, labels: str | None) -> None:
    """Tell, file by file, what is missing or malformed in the dataset NAME in the folder ROOT.

    NAME is pascal, coco, vaihingen, potsdam, camvid or geotiff-pairs (images with label rasters).
    """
    from ..episodes.checking import parts_of
    from ..episodes.datasets import geotiff_pairs
    from ..episodes.errors import DatasetError
    from ..rasters.class_styles import read_classes

    values = {style.id: style.name for style in read_classes(classes)} if classes else None
    if (images or labels) and name != "geotiff-pairs":
        raise DatasetError(f"The dataset {name} has its own file names; leave out --images and --labels.")
    told: set[str] = set()
    for part in parts_of(name, root, values, images or geotiff_pairs.IMAGES, labels or geotiff_pairs.LABELS):
        files = fine = 0
        for finding in part.findings():
            files += bool(finding.name)
            fine += bool(finding.name) and not finding.problems
            for problem in finding.problems:
                if problem not in told:
                    click.echo(problem)
                told.add(problem)
        click.echo(f"{part.name}: {fine} of {part.official or files} images are fine")
    if told:
        raise DatasetError(
            f"{len(told)} problems in {root}, listed above; complete the dataset or mend the files."
        )
