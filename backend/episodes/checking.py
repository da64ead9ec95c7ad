"""What is missing or malformed in the folder of a dataset, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import ProtolabelError
from .datasets import camvid, coco, geotiff_pairs, isprs, pascal, potsdam, vaihingen
from .datasets.bands import read_bands
from .datasets.labeled_file import LabeledFile
from .episode import IGNORE
from .errors import DatasetError


@dataclass(frozen=True)
class Finding:
    """What a check found about one image, or about a whole part.

    Args:
        name: Of the image; empty where the part itself is at fault.
        problems: Sentences; none where all is well.
    """

    name: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A part of a dataset that is checked: a split, or one kind of labels.

    Args:
        name: Of the part.
        official: How many images the official dataset has there; None where there is no such number.
        findings: Checks image by image.
    """

    name: str
    official: int | None
    findings: Callable[[], Iterator[Finding]]


def parts_of(
    name: str,
    root: Path,
    classes: Mapping[int, str] | None = None,
    images: str = geotiff_pairs.IMAGES,
    labels: str = geotiff_pairs.LABELS,
) -> list[Part]:
    """The parts of a dataset.

    Args:
        name: One of ``NAMES``.
        root: Its folder.
        classes: For geotiff-pairs, see :func:`geotiff_pairs.class_list`.
        images: For geotiff-pairs, see :func:`geotiff_pairs.geotiff_files`.
        labels: As well.

    Raises:
        DatasetError: When there is no such dataset or folder.
    """
    if name not in NAMES:
        raise DatasetError(f"There is no dataset {name!r}; choose one of {', '.join(NAMES)}.")
    if not root.is_dir():
        raise DatasetError(f"The folder {root} does not exist; check the path.")
    if name == _PAIRS:
        values = geotiff_pairs.class_list(root, classes)
        return [_part("pairs", None, partial(geotiff_pairs.geotiff_files, root, values, images, labels))]
    return _OFFICIAL[name](root)


def _pascal(root: Path) -> list[Part]:
    official: dict[pascal.Split, int] = {"train": 1464, "val": 1449, "trainaug": 10582}
    return [
        _part(split, count, partial(pascal.pascal_files, root, split)) for split, count in official.items()
    ]


def _camvid(root: Path) -> list[Part]:
    official: dict[camvid.Split, int] = {"train": 367, "val": 101, "test": 233}
    return [
        _part(split, count, partial(camvid.camvid_files, root, split)) for split, count in official.items()
    ]


def _coco(root: Path) -> list[Part]:
    official = {"train2014": 82783, "val2014": 40504}
    return [Part(split, count, partial(_coco_findings, root, split)) for split, count in official.items()]


def _vaihingen(root: Path) -> list[Part]:
    sides: tuple[tuple[isprs.Part, isprs.Labels], ...] = (
        ("train", "full"),
        ("train", "eroded"),
        ("test", "eroded"),
    )
    return [
        _part(
            f"{part} ({labels} labels)",
            len(vaihingen.TILES["official", part]),
            partial(vaihingen.vaihingen_files, root, part, "official", labels),
            _beside_palette,
        )
        for part, labels in sides
    ]


def _potsdam(root: Path) -> list[Part]:
    sides: tuple[tuple[isprs.Part, isprs.Labels], ...] = (
        ("train", "full"),
        ("train", "eroded"),
        ("test", "eroded"),
    )
    return [
        _part(
            f"{part} ({labels} labels)",
            len(potsdam.TILES[part]),
            partial(potsdam.potsdam_files, root, part, "rgb", labels),
            _beside_palette,
        )
        for part, labels in sides
    ]


_OFFICIAL: dict[str, Callable[[Path], list[Part]]] = {
    "pascal": _pascal,
    "coco": _coco,
    "vaihingen": _vaihingen,
    "potsdam": _potsdam,
    "camvid": _camvid,
}
_PAIRS = "geotiff-pairs"
NAMES = (*_OFFICIAL, _PAIRS)


def _part(
    name: str,
    official: int | None,
    files: Callable[[], list[LabeledFile]],
    more: Callable[[LabeledFile], Iterator[str]] | None = None,
) -> Part:
    return Part(name, official, partial(_findings, files, more))


def _findings(
    files: Callable[[], list[LabeledFile]], more: Callable[[LabeledFile], Iterator[str]] | None
) -> Iterator[Finding]:
    try:
        listed = files()
    except ProtolabelError as error:
        yield Finding("", (str(error),))
        return
    for file in listed:
        problems = list(_problems(file))
        if more and not problems:
            problems += more(file)
        yield Finding(file.name, tuple(problems))


def _problems(file: LabeledFile) -> Iterator[str]:
    yield from (f"{path}: missing" for path in file.missing)
    if file.missing:
        return
    try:
        labels = file.read().labels.numpy()
    except ProtolabelError as error:
        yield str(error)
        return
    if (labels == IGNORE).all():
        yield f"{file.labels}: every pixel is to be ignored; leave the image out."


def _beside_palette(file: LabeledFile) -> Iterator[str]:
    share = isprs.off_palette(np.asarray(read_bands(file.labels)[:3]))
    if share:
        yield (
            f"{file.labels}: {share:.2%} of the pixels have colours beside the palette; "
            "they are read by comparing each channel with 128."
        )


def _coco_findings(root: Path, split: str) -> Iterator[Finding]:
    """Annotations, and sizes of the images against them; of images, the headers are read."""
    try:
        annotated = coco.read_annotations(root, split)
    except ProtolabelError as error:
        yield Finding("", (str(error),))
        return
    for image, meta in sorted(annotated.imgs.items()):
        path = root / split / meta["file_name"]
        problems = [
            f"{path}: annotation {annotation['id']} has no outline"
            for annotation in annotated.imgToAnns[image]
            if not annotation["segmentation"]
        ]
        if not path.is_file():
            problems.append(f"{path}: missing")
        else:
            try:
                with Image.open(path) as opened:
                    size = opened.size
                if size != (meta["width"], meta["height"]):
                    expected = f"{meta['width']} x {meta['height']}"
                    problems.append(f"{path}: {size[0]} x {size[1]} pixels, {expected} in the annotations")
            except (OSError, SyntaxError, ValueError):
                problems.append(f"{path}: no image")
        yield Finding(path.name, tuple(problems))
