"""An image file with the file of its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..episode import SegmentationSample
from ..errors import DatasetError

Reader = Callable[[Path, Path], SegmentationSample]


@dataclass(frozen=True)
class LabeledFile:
    """An image and its labels on disk.

    Args:
        name: How the image is called.
        image: Its file.
        labels: The file of its labels.
        reader: From the two files to the sample; raises ``DatasetError`` for what is malformed.
    """

    name: str
    image: Path
    labels: Path
    reader: Reader

    @property
    def missing(self) -> tuple[Path, ...]:
        """Files that are not there."""
        return tuple(path for path in (self.image, self.labels) if not path.is_file())

    def read(self) -> SegmentationSample:
        """Read both files.

        Raises:
            DatasetError: When one is missing or malformed, or they do not fit each other.
        """
        for path in self.missing:
            raise DatasetError(f"The file {path} is missing; complete the dataset.")
        try:
            return self.reader(self.image, self.labels)
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
            raise DatasetError(
                f"The image {self.image} or its labels {self.labels} cannot be read ({error}); fetch them again."
            ) from error


def require(files: Sequence[LabeledFile], what: str) -> None:
    """Check that there are files and none is missing.

    Raises:
        DatasetError: Naming the first one.
    """
    if not files:
        raise DatasetError(f"There are no images in {what}; check the path and the split.")
    missing = [path for file in files for path in file.missing]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DatasetError(
            f"{what} is incomplete: {missing[0]}{more} missing; `data check` lists what else is wrong."
        )


def require_min_pixels(min_pixels: int) -> None:
    """Check from how many pixels on a class counts as present.

    Raises:
        DatasetError: When it would count without any.
    """
    if min_pixels < 1:
        raise DatasetError(
            f"The option min_pixels is {min_pixels}; a class needs at least 1 pixel to be present."
        )


def first_existing(paths: Sequence[Path]) -> Path:
    """The first of several places where a file is; the first place where it is in none."""
    return next((path for path in paths if path.is_file()), paths[0])


def read_names(path: Path) -> list[str]:
    """The names in a split file, one a line.

    Raises:
        DatasetError: When there is none, or it is no text.
    """
    if not path.is_file():
        raise DatasetError(f"The split file {path} is missing; check the root, or fetch the dataset again.")
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The split file {path} cannot be read ({error}); fetch it again.") from error


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """An image file as (3, height, width), uint8, whatever its own mode is."""
    with Image.open(path) as image:
        return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def read_indices(path: Path) -> NDArray[np.uint8]:
    """A label file whose pixel values are class ids, as (height, width), uint8.

    Palette images give their indices, not their colours.

    Raises:
        DatasetError: When it holds colours.
    """
    with Image.open(path) as image:
        if image.mode not in ("P", "L", "1"):
            raise DatasetError(
                f"The label file {path} holds colours ({image.mode}), not class ids; use the dataset's original file."
            )
        return np.array(image, np.uint8)


def class_ids(values: NDArray[np.integer[Any]], ids: Mapping[int, int], path: Path) -> NDArray[np.uint8]:
    """From the values of a label file to class ids.

    Args:
        values: Of any integer type.
        ids: For each value that may occur: 0, 1..C or 255.
        path: For messages.

    Raises:
        DatasetError: When another value occurs.
    """
    found, inverse = _unique(values)
    unknown = [value for value in found.tolist() if value not in ids]
    if unknown:
        few = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise DatasetError(
            f"The labels {path} have the value {few}, which is none of the classes; mend the labels or the class list."
        )
    return np.array([ids[value] for value in found.tolist()], np.uint8)[inverse].reshape(values.shape)


def _unique(values: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """As ``np.unique`` with the inverse, without sorting where values are bytes."""
    if values.dtype != np.uint8:
        return np.unique(values, return_inverse=True)
    found = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    place = np.zeros(256, np.intp)
    place[found] = np.arange(len(found))
    return found, place[values]


def join(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], image_path: Path, labels_path: Path
) -> SegmentationSample:
    """Join an image (3, height, width) and its labels (height, width).

    Raises:
        DatasetError: When the sizes differ; the paths are for the message.
    """
    if image.shape[1:] != labels.shape:
        height, width = labels.shape
        raise DatasetError(
            f"The labels {labels_path} are {width} x {height} pixels but the image {image_path} is "
            f"{image.shape[2]} x {image.shape[1]}; they must cover the same pixels."
        )
    return SegmentationSample(torch.from_numpy(image), torch.from_numpy(labels))
