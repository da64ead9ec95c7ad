"""What is missing or malformed in the folder of a dataset, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ProtolabelError
from .datasets import camvid, coco, geotiff_pairs, isprs, pascal, potsdam, vaihingen
from .datasets.bands import read_bands
from .datasets.labeled_file import LabeledFile
from .episode import IGNORE
from .opening import CHOOSE_CLASSES, fitted, known_name, require_folder


@dataclass(frozen=True)
class Finding:
    """What a check found about one image, or about a whole part.

    Args:
        name: Of the image; empty where the part itself is at fault.
        problems: Sentences; none where all is well.
        pixels: How many pixels have each label: (256,), 0 none of the classes, 1..C, 255 to be ignored; None where the
            labels cannot be read.
    """

    name: str
    problems: tuple[str, ...]
    pixels: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Part:
    """A part of a dataset that is checked: a split, or one kind of labels.

    Args:
        name: Of the part.
        official: How many images the official dataset has there; None where there is no such number.
        classes: Names of the classes 1..C.
        findings: Checks image by image.
    """

    name: str
    official: int | None
    classes: tuple[str, ...]
    findings: Callable[[], Iterator[Finding]]


def parts_of(name: str, root: Path, options: Mapping[str, Any] | None = None) -> list[Part]:
    """The parts of a dataset.

    Args:
        name: One of ``opening.NAMES``.
        root: Its folder.
        options: Those of a training that say which files are read, and how.

    Raises:
        ProtolabelError: When there is no such dataset, folder, option or class list.
    """
    name = known_name(name)
    require_folder(root)
    options = {key: value for key, value in (options or {}).items() if key not in CHOOSE_CLASSES}
    if name == "geotiff-pairs":
        classes = geotiff_pairs.class_list(root, options.get("classes"))
        files = fitted(geotiff_pairs.geotiff_files, name, {**options, "classes": classes}, {})
        return [_part("pairs", None, tuple(classes.values()), partial(files, root))]
    return _OFFICIAL[name](root, options)


def _pascal(root: Path, options: Mapping[str, Any]) -> list[Part]:
    official = {"train": 1464, "val": 1449, "trainaug": 10582}
    return [
        _part(
            split, count, pascal.CLASSES, _listing(root, "pascal", pascal.pascal_files, options, split=split)
        )
        for split, count in official.items()
    ]


def _camvid(root: Path, options: Mapping[str, Any]) -> list[Part]:
    official = {"train": 367, "val": 101, "test": 233}
    return [
        _part(
            split, count, camvid.CLASSES, _listing(root, "camvid", camvid.camvid_files, options, split=split)
        )
        for split, count in official.items()
    ]


def _coco(root: Path, options: Mapping[str, Any]) -> list[Part]:
    official = {"train2014": 82783, "val2014": 40504}
    return [
        Part(split, count, coco.CLASSES, _listing(root, "coco", _coco_findings, options, split=split))
        for split, count in official.items()
    ]


def _isprs(
    root: Path, options: Mapping[str, Any], name: str, files: Callable[..., list[LabeledFile]]
) -> list[Part]:
    kinds = [options["labels"]] if options.get("labels") else ["full", "eroded"]
    sides = [("train", labels) for labels in kinds]
    if "tiles" not in options:  # which are those of either part
        sides.append(("test", kinds[-1]))
    parts = []
    for part, labels in sides:
        listing = _listing(root, name, files, {**options, "labels": labels}, part=part)
        parts.append(_part(f"{part} ({labels} labels)", None, isprs.CLASSES, listing, _beside_palette))
    return parts


_OFFICIAL: dict[str, Callable[[Path, Mapping[str, Any]], list[Part]]] = {
    "pascal": _pascal,
    "coco": _coco,
    "vaihingen": partial(_isprs, name="vaihingen", files=vaihingen.vaihingen_files),
    "potsdam": partial(_isprs, name="potsdam", files=potsdam.potsdam_files),
    "camvid": _camvid,
}


def _listing(
    root: Path, name: str, function: Callable[..., Any], options: Mapping[str, Any], **fixed: Any
) -> Callable[[], Any]:
    """A function of a dataset's folder, of which nothing is left open."""
    return partial(fitted(function, name, options, fixed), root)


def _part(
    name: str,
    official: int | None,
    classes: tuple[str, ...],
    files: Callable[[], list[LabeledFile]],
    more: Callable[[LabeledFile], Iterator[str]] | None = None,
) -> Part:
    return Part(name, official, classes, partial(_findings, files, more))


def _findings(
    files: Callable[[], list[LabeledFile]], more: Callable[[LabeledFile], Iterator[str]] | None
) -> Iterator[Finding]:
    try:
        listed = files()
    except ProtolabelError as error:
        yield Finding("", (str(error),))
        return
    if not listed:
        yield Finding("", ("No images are listed; fetch the lists again.",))
    for file in listed:
        finding = _finding(file)
        if more and not finding.problems:
            finding = replace(finding, problems=tuple(more(file)))
        yield finding


def _finding(file: LabeledFile) -> Finding:
    missing = tuple(f"{path}: missing" for path in file.missing)
    if missing:
        return Finding(file.name, missing)
    try:
        pixels = np.bincount(file.read().labels.numpy().ravel(), minlength=256)
    except ProtolabelError as error:
        return Finding(file.name, (str(error),))
    if pixels[:IGNORE].any():
        return Finding(file.name, (), pixels)
    return Finding(file.name, (f"{file.labels}: every pixel is to be ignored; leave the image out.",), pixels)


def _beside_palette(file: LabeledFile) -> Iterator[str]:
    share = isprs.off_palette(np.asarray(read_bands(file.labels)[:3]))
    if share:
        yield (
            f"{file.labels}: {share:.2%} of the pixels have colours beside the palette; "
            "they are read by comparing each channel with 128."
        )


def _coco_findings(root: Path, split: str) -> Iterator[Finding]:
    """Annotations, and sizes of the images against them; of images, the headers are read.

    Pixels are counted by the areas that the annotations tell; where objects overlap, for each of them.
    """
    try:
        annotated = coco.read_annotations(root, split)
    except ProtolabelError as error:
        yield Finding("", (str(error),))
        return
    ids = {category: class_id for class_id, category in enumerate(sorted(annotated.cats), 1)}
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
        pixels = np.zeros(256, np.int64)
        for annotation in annotated.imgToAnns[image]:
            pixels[ids[annotation["category_id"]]] += round(annotation["area"])
        pixels[0] = max(meta["width"] * meta["height"] - pixels.sum(), 0)
        yield Finding(path.name, tuple(problems), pixels)
