"""Opens a dataset by its name, the same way for training, checking and evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError, validate_call

from .datasets.camvid import camvid_images
from .datasets.coco import coco_images
from .datasets.collection import Collection
from .datasets.geotiff_pairs import geotiff_pairs
from .datasets.pascal import pascal_images
from .datasets.potsdam import potsdam_patches
from .datasets.vaihingen import vaihingen_patches
from .episode import LabeledImages
from .errors import DatasetError
from .folds import Fold, fold, left_out

FOLDS = 4
"""Of PASCAL-5i, COCO-20i and, by the same rule, of every other dataset."""

COLLECTION = "collection"
"""Name for several datasets as one, whose classes are joined by name.

Its only option ``parts`` lists them, each with its name and, where needed, root (in the folder), split and options."""

CHOOSE_CLASSES = ("folds", "left_out")
"""Options that choose classes and not images, see :func:`class_sides`."""


@dataclass(frozen=True)
class _Dataset:
    """How a dataset is opened.

    Args:
        images: Opens it.
        split: The parameter that says which images; empty where there is none.
        trained: Its value for the images that are trained on.
        cut: Whether large tiles are cut into patches.
    """

    images: Callable[..., LabeledImages]
    split: str = ""
    trained: str = ""
    cut: bool = False


_DATASETS = {
    "pascal": _Dataset(pascal_images, "split", "trainaug"),
    "coco": _Dataset(coco_images, "split", "train2014"),
    "vaihingen": _Dataset(vaihingen_patches, "part", "train", cut=True),
    "potsdam": _Dataset(potsdam_patches, "part", "train", cut=True),
    "camvid": _Dataset(camvid_images, "split", "train"),
    "geotiff-pairs": _Dataset(geotiff_pairs, cut=True),
}
NAMES = tuple(_DATASETS)


def known_name(name: str) -> str:
    """The name of a dataset as in ``NAMES``; ``geotiff`` is short for geotiff-pairs.

    Raises:
        DatasetError: When there is no such dataset.
    """
    found = "geotiff-pairs" if name == "geotiff" else name
    if found not in _DATASETS:
        raise DatasetError(f"There is no data set {name!r}; choose one of {', '.join(NAMES)}.")
    return found


def open_images(
    name: str,
    root: Path,
    split: str | None = None,
    size: int | None = 417,
    options: Mapping[str, Any] | None = None,
) -> LabeledImages:
    """Open a dataset.

    Args:
        name: One of ``NAMES``, or ``COLLECTION``.
        root: Its folder.
        split: Which images, in the dataset's own words; None for those that it is trained on.
        size: Side of the patches that tiles are cut into, unless the option ``patch`` says otherwise; None for whole
            tiles.
        options: Further parameters of the function that opens it, as YAML gives them; those of
            ``CHOOSE_CLASSES`` are left to :func:`class_sides`.

    Raises:
        ProtolabelError: When the name or an option is unknown or wrong, or the data are missing or malformed.
    """
    if name == COLLECTION:
        return Collection([_open_part(part, root, size) for part in _parts(split, options)])
    dataset = _DATASETS[known_name(name)]
    require_folder(root)
    values = {key: value for key, value in (options or {}).items() if key not in CHOOSE_CLASSES}
    fixed: dict[str, Any] = {}
    if dataset.split:
        fixed[dataset.split] = split or dataset.trained
    elif split is not None:
        raise DatasetError(
            f"The data set {name} has no split {split!r}; choose its files by the option images, for example "
            "images: train_*.tif."
        )
    if dataset.cut:
        values = {"patch": size, **values}
    return fitted(dataset.images, name, values, fixed)(root)


def _parts(split: str | None, options: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The parts of a collection as they are given.

    Raises:
        DatasetError: When they are missing or no list of sections, or there is anything else.
    """
    values = {key: value for key, value in (options or {}).items() if key not in CHOOSE_CLASSES}
    parts = values.pop("parts", None)
    well = isinstance(parts, list) and parts and all(isinstance(p, Mapping) and "name" in p for p in parts)
    if not well or split is not None or values:
        raise DatasetError(
            "A collection needs the option parts and nothing else: a list of data sets, each with name, root, split "
            "and options, for example parts: [{name: geotiff, root: scenes}, {name: geotiff, root: others}]."
        )
    return list(parts)


def _open_part(part: Mapping[str, Any], root: Path, size: int | None) -> LabeledImages:
    unknown = set(part) - {"name", "root", "split", "options"}
    if unknown:
        raise DatasetError(
            f"A part of a collection has name, root, split and options, but no {min(unknown)!r}; check its spelling."
        )
    folder = root / str(part.get("root", ""))
    return open_images(str(part["name"]), folder, part.get("split"), size, part.get("options"))


def require_folder(root: Path) -> None:
    """Check that the folder of a dataset is there.

    Raises:
        DatasetError: When it is not.
    """
    if not root.is_dir():
        raise DatasetError(f"The folder {root} does not exist; check the path.")


def fitted(
    function: Callable[..., Any], name: str, options: Mapping[str, Any], fixed: Mapping[str, Any]
) -> Callable[[Path], Any]:
    """A function of a dataset's folder with options filled in, which are checked against its types.

    Args:
        function: Takes the folder first.
        name: Of the dataset, for messages.
        options: By the names of further parameters.
        fixed: Parameters that are no options.

    Raises:
        DatasetError: When the function has no such option; and when it is called, for a value of the wrong type.
    """
    known = [key for key in list(inspect.signature(function).parameters)[1:] if key not in fixed]
    unknown = [key for key in options if key not in known]
    if unknown:
        raise DatasetError(
            f"The options do not fit the data set {name}: there is no {unknown[0]!r}; there are {', '.join(known)}."
        )

    def call(root: Path) -> Any:
        try:
            return validate_call(function)(root, **fixed, **options)
        except ValidationError as error:
            mistake = error.errors()[0]
            key = str(mistake["loc"][0])
            where = "its split" if key in fixed else f"the option {key}"
            raise DatasetError(
                f"The options do not fit the data set {name}: {where} is {mistake['input']!r}, but the "
                f"{mistake['msg'][:1].lower()}{mistake['msg'][1:]}."
            ) from error

    return call


def class_sides(
    images: LabeledImages, index: int | None, options: Mapping[str, Any] | None = None
) -> Fold | None:
    """The classes that are trained on and those that are tested on; None where they are not divided.

    Args:
        images: Whose classes.
        index: Of the fold that is tested on, from 0; None for no folds.
        options: ``left_out`` names one class that is tested on alone; ``folds`` is how folds are made, contiguous or
            interleaved.

    Raises:
        DatasetError: When there is no such class or fold.
    """
    options = options or {}
    name = options.get("left_out")
    if name is not None:
        if index is not None:
            raise DatasetError(
                f"The class {name!r} is left out and fold {index} as well; choose one of them."
            )
        return left_out(images.classes, name)
    if index is None:
        return None
    count = len(images.classes)
    if count < FOLDS:
        raise DatasetError(
            f"{count} classes cannot be divided into {FOLDS} folds; leave out one class by the option left_out."
        )
    return fold(count, FOLDS, index, options.get("folds", "contiguous"))
