"""``data check NAME ROOT``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..episodes.checking import Part


@click.group()
def command() -> None:
    """Datasets for training and evaluation."""


@command.command()
@click.argument("name")
@click.argument("root", type=click.Path(path_type=Path))
@click.option(
    "--classes",
    type=click.Path(path_type=Path),
    help="CSV of id, name and color, for geotiff-pairs.  [default: ROOT/classes.csv]",
)
@click.option("--images", help="Which files are images, for geotiff-pairs.  [default: *.tif]")
@click.option("--labels", help="Where their labels are.  [default: {stem}_labels.tif]")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the data set as in data.options of a training, for example bands=irrg or tiles=[1, 3]; may be "
    "given several times.",
)
def check(
    name: str,
    root: Path,
    classes: Path | None,
    images: str | None,
    labels: str | None,
    options: tuple[str, ...],
) -> None:
    """Tell, file by file, what is missing or malformed in the dataset NAME in the folder ROOT.

    NAME is pascal, coco, vaihingen, potsdam, camvid or geotiff-pairs (images with label rasters). Ends with 0 where all
    is well, with 1 where something is not, with 2 where nothing can be checked.
    """
    from ..episodes.checking import parts_of
    from ..episodes.errors import DatasetError
    from ..episodes.opening import known_name
    from ..rasters.class_styles import read_classes

    if (classes or images or labels) and known_name(name) != "geotiff-pairs":
        raise DatasetError(
            f"The dataset {name} has its own classes and file names; leave out --classes, --images and --labels."
        )
    values = _values(options)
    if classes:
        values["classes"] = {style.id: style.name for style in read_classes(classes)}
    values |= {key: value for key, value in (("images", images), ("labels", labels)) if value}
    problems: set[str] = set()
    for part in parts_of(name, root, values):
        problems |= _check(part)
    if problems:
        many = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        click.echo(f"{many} in {root}, listed above; complete the dataset or mend the files.", err=True)
        tiles = {"vaihingen": "[1, 3]", "potsdam": "['6_7', '6_8']"}.get(known_name(name))
        if tiles and "tiles" not in values:
            click.echo(
                f'To check some of the tiles, or one kind of labels: --option "tiles={tiles}", --option labels=full.',
                err=True,
            )
        raise click.exceptions.Exit(1)


def _values(options: Sequence[str]) -> dict[str, Any]:
    """Options as YAML gives them."""
    import yaml

    from ..episodes.errors import DatasetError

    values = {}
    for option in options:
        key, equals, value = option.partition("=")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise DatasetError(
                f"The option {option!r} is not understood; write KEY=VALUE, for example tiles=[1, 3]."
            )
    return values


def _check(part: Part) -> set[str]:
    """Print what is wrong in a part and what it shows; gives what is wrong."""
    import numpy as np

    click.echo(f"{part.name}:")
    files = fine = 0
    problems: set[str] = set()
    pixels, images = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for finding in part.findings():
        files += bool(finding.name)
        fine += bool(finding.name) and not finding.problems
        problems |= set(finding.problems)
        for problem in finding.problems:
            click.echo(f"  {problem}")
        if finding.pixels is not None:
            pixels += finding.pixels
            images += finding.pixels > 0
    whole = "" if part.official in (None, files) else f"; the official dataset has {part.official:,}"
    click.echo(f"  {fine:,} of {files:,} images are fine{whole}")
    if fine:
        _print_classes(part.classes, files, pixels, images)
    return problems


def _print_classes(
    classes: Sequence[str], files: int, pixels: NDArray[np.int64], images: NDArray[np.int64]
) -> None:
    """One line for each class: its share of the pixels, and in how many images it is."""
    lines = [
        *((name, number) for number, name in enumerate(classes, 1)),
        ("(no class)", 0),
        ("(to be ignored)", 255),
    ]
    width = max(len(name) for name, _ in lines)
    for name, number in lines:
        if images[number]:
            share = f"{pixels[number] / pixels.sum():8.2%}  in {images[number]:,} of {files:,} images"
            click.echo(f"    {name:<{width}}{share}")
        elif 0 < number <= len(classes):
            click.echo(f"    {name:<{width}}       -  in no image")
