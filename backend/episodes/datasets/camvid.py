"""CamVid with 11 classes, as prepared for SegNet."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..episode import IGNORE, SegmentationSample
from ..errors import DatasetError
from .image_files import ImageFiles
from .labeled_file import LabeledFile, class_ids, first_existing, join, read_indices, read_rgb

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip

_IDS = {**{value: value + 1 for value in range(len(CLASSES))}, len(CLASSES): IGNORE}

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def camvid_images(
    root: str | Path, split: Split = "train", min_pixels: int = 1, cache: Path | None = None
) -> ImageFiles:
    """CamVid: class ids 1..11 for the values 0..10 of the files; 255 for their 11, void.

    Args:
        root: As in :func:`camvid_files`.
        split: train (367 images), val (101) or test (233).
        min_pixels: As in :class:`ImageFiles`.
        cache: As in :class:`ImageFiles`.

    Raises:
        DatasetError: When it is incomplete.
    """
    return ImageFiles(f"CamVid ({split}) in {root}", CLASSES, camvid_files(root, split), min_pixels, cache)


def camvid_files(root: str | Path, split: Split) -> list[LabeledFile]:
    """The images of a split: every label file and every image, with or without its partner.

    Args:
        root: The folder with ``train/images`` and ``train/labels``, or SegNet's ``train`` and ``trainannot``.
        split: train, val or test.

    Raises:
        DatasetError: When the folders are not there.
    """
    if split not in SPLITS:
        raise DatasetError(f"CamVid has no split {split!r}; choose one of {', '.join(SPLITS)}.")
    root = Path(root)
    for images, labels in (
        (root / split / "images", root / split / "labels"),
        (root / split, root / f"{split}annot"),
    ):
        if images.is_dir() and labels.is_dir():
            break
    else:
        raise DatasetError(
            f"{root} has no {split}/images with {split}/labels (or {split}annot); check the path."
        )
    stems = {
        path.stem
        for folder in (images, labels)
        for path in folder.iterdir()
        if path.suffix in (".png", ".jpg")
    }
    return [
        LabeledFile(
            stem,
            first_existing([images / f"{stem}.png", images / f"{stem}.jpg"]),
            labels / f"{stem}.png",
            _read,
        )
        for stem in sorted(stems)
    ]


def _read(image: Path, labels: Path) -> SegmentationSample:
    return join(read_rgb(image), class_ids(read_indices(labels), _IDS, labels), image, labels)
