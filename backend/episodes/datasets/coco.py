"""MS COCO 2014, from which COCO-20i is made."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..cache import fingerprint
from ..episode import SegmentationSample
from ..errors import DatasetError
from .labeled_file import read_rgb, require_min_pixels

CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

Split = Literal["train2014", "val2014", "train2017", "val2017"]
SPLITS: tuple[Split, ...] = ("train2014", "val2014")


def coco_images(root: str | Path, split: Split = "train2014", min_pixels: int = 1) -> CocoImages:
    """MS COCO; the arguments are those of :class:`CocoImages`.

    Raises:
        DatasetError: When there is no such split, or the annotations are missing or malformed.
    """
    return CocoImages(root, split, min_pixels)


class CocoImages:
    """MS COCO, class ids 1..80: the categories in the order of their ids, which have gaps (1..90).

    PANet and so DPCL train and test on ``train2014``; HSNet and PFENet test on ``val2014``.

    Objects of different classes overlap. One label per pixel goes to the smaller class of an image (by area), and
    ``SegmentationSample.hidden`` holds what is covered, so that the mask of every class is whole. Crowds count, as
    in PANet's code.
    """

    def __init__(self, root: str | Path, split: Split = "train2014", min_pixels: int = 1) -> None:
        """Read the annotations.

        Args:
            root: The folder with ``annotations/instances_<split>.json`` and the images in ``<split>/``.
            split: train2014 or val2014; ``train2017`` and ``val2017`` have the same layout and work.
            min_pixels: A class counts as present with this area. PFENet takes 2 * 32 * 32, PANet 1.

        Raises:
            DatasetError: When the annotations are missing or malformed.
        """
        require_min_pixels(min_pixels)
        self.classes = CLASSES
        self.folder = Path(root) / split
        self._coco = read_annotations(root, split)
        self.fingerprint = fingerprint((annotation_file(root, split),))
        self._class_ids = {category: index for index, category in enumerate(sorted(self._coco.cats), 1)}
        areas: dict[int, dict[int, float]] = {}
        for annotation in self._coco.anns.values():
            image = areas.setdefault(annotation["image_id"], {})
            class_id = self._class_ids[annotation["category_id"]]
            image[class_id] = image.get(class_id, 0) + annotation["area"]
        self.images = sorted(areas)  # image ids; images without annotations show none of the classes
        self._present = [
            frozenset(class_id for class_id, area in areas[image].items() if area >= min_pixels)
            for image in self.images
        ]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def present(self, index: int) -> frozenset[int]:
        """Ids of the classes in an image."""
        return self._present[index]

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read an image and draw its masks."""
        image = self.images[index]
        path = self.folder / self._coco.imgs[image]["file_name"]
        if not path.is_file():
            raise DatasetError(f"The file {path} is missing; complete the dataset.")
        pixels = read_rgb(path)
        masks: dict[int, NDArray[np.bool_]] = {}
        for annotation in self._coco.imgToAnns[image]:
            class_id = self._class_ids[annotation["category_id"]]
            mask = self._coco.annToMask(annotation).astype(bool)
            masks[class_id] = masks[class_id] | mask if class_id in masks else mask
        shape = pixels.shape[1:]
        if any(mask.shape != shape for mask in masks.values()):
            raise DatasetError(
                f"The image {path} is {shape[1]} x {shape[0]} pixels, not what the annotations say; fetch it again."
            )
        labels, hidden = flatten(masks, (shape[0], shape[1]))
        return SegmentationSample(
            torch.from_numpy(pixels),
            torch.from_numpy(labels),
            {class_id: torch.from_numpy(mask) for class_id, mask in hidden.items()},
        )


def flatten(
    masks: dict[int, NDArray[np.bool_]], shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], dict[int, NDArray[np.bool_]]]:
    """One label per pixel out of masks that overlap; smaller ones are drawn over larger ones.

    Args:
        masks: Masks (height, width) by class id.
        shape: Height and width.

    Returns:
        Labels (height, width), and by class id what is hidden of its mask, for classes of which something is.
    """
    labels = np.zeros(shape, np.uint8)
    for class_id in sorted(masks, key=lambda class_id: (-int(masks[class_id].sum()), class_id)):
        labels[masks[class_id]] = class_id
    hidden = {class_id: mask & (labels != class_id) for class_id, mask in masks.items()}
    return labels, {class_id: mask for class_id, mask in hidden.items() if mask.any()}


def annotation_file(root: str | Path, split: str) -> Path:
    """Where the annotations of a split are."""
    return Path(root) / "annotations" / f"instances_{split}.json"


def read_annotations(root: str | Path, split: str) -> Any:
    """The annotations of a split as a ``pycocotools.coco.COCO``.

    Raises:
        DatasetError: When the file is missing or malformed, or its categories are not those of COCO.
    """
    try:
        from pycocotools.coco import COCO  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise DatasetError("COCO needs pycocotools; run: python -m pip install pycocotools") from error

    path = annotation_file(root, split)
    if not path.is_file():
        raise DatasetError(
            f"The annotations {path} are missing; give the folder with annotations/ and {split}/ in it."
        )
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            coco = COCO(path)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise DatasetError(f"The annotations {path} are damaged ({error}); fetch them again.") from error
    names = tuple(coco.cats[category]["name"] for category in sorted(coco.cats))
    if names != CLASSES:
        raise DatasetError(
            f"The annotations {path} have {len(names)} categories that are not the 80 of COCO; fetch them again."
        )
    unknown = {annotation["category_id"] for annotation in coco.anns.values()} - set(coco.cats)
    if unknown:
        raise DatasetError(
            f"The annotations {path} use the unknown categories {sorted(unknown)}; fetch them again."
        )
    if any(not {"area", "segmentation"} <= annotation.keys() for annotation in coco.anns.values()):
        raise DatasetError(f"The annotations {path} lack areas or outlines; fetch them again.")
    lost = sorted({annotation["image_id"] for annotation in coco.anns.values()} - set(coco.imgs))
    if lost:
        raise DatasetError(
            f"The annotations {path} are of {len(lost)} images that they do not list, the first is {lost[0]}; "
            "fetch them again."
        )
    return coco
