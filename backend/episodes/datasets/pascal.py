"""PASCAL VOC 2012 with the additional labels of SBD, from which PASCAL-5i is made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..episode import IGNORE, SegmentationSample
from ..errors import DatasetError
from .image_files import ImageFiles
from .labeled_file import LabeledFile, class_ids, first_existing, join, read_indices, read_names, read_rgb

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

_IDS = {**{value: value for value in range(len(CLASSES) + 1)}, IGNORE: IGNORE}

Split = Literal["train", "val", "trainval", "trainaug"]
SPLITS: tuple[Split, ...] = ("train", "val", "trainval", "trainaug")


def pascal_images(
    root: str | Path, split: Split = "trainaug", min_pixels: int = 1, cache: Path | None = None
) -> ImageFiles:
    """PASCAL VOC 2012, class ids 1..20; 255 are the outlines of objects and difficult objects.

    PANet, PPNet and so DPCL train and test on ``trainaug``; HSNet and PFENet test on ``val``.

    Args:
        root: As in :func:`pascal_files`.
        split: As in :func:`pascal_files`.
        min_pixels: As in :class:`ImageFiles`.
        cache: As in :class:`ImageFiles`.

    Raises:
        DatasetError: When it is incomplete.
    """
    files = pascal_files(root, split)
    return ImageFiles(f"PASCAL VOC 2012 ({split}) in {root}", CLASSES, files, min_pixels, cache)


def pascal_files(root: str | Path, split: Split) -> list[LabeledFile]:
    """The images of a split.

    ``trainaug`` is VOC's train and all of SBD without VOC's val (10,582 images). Images of VOC's train have VOC's
    own labels; the others have SBD's, in which outlines are not left out.

    Args:
        root: The folder with ``VOCdevkit/VOC2012`` or ``VOC2012``, or that folder itself. SBD is looked for beside
            it as ``benchmark_RELEASE/dataset`` (official), ``SBD/dataset`` or ``SBD``. Without SBD, a folder
            ``SegmentationClassAug`` with ``ImageSets/Segmentation/trainaug.txt``, as PANet and HSNet use it, serves.
        split: train, val, trainval or trainaug.

    Raises:
        DatasetError: When the root, a split file or SBD is not there.
    """
    if split not in SPLITS:
        raise DatasetError(f"PASCAL VOC 2012 has no split {split!r}; choose one of {', '.join(SPLITS)}.")
    voc = _find_voc(Path(root))
    lists = voc / "ImageSets" / "Segmentation"
    if split != "trainaug":
        return [_voc_file(voc, name) for name in read_names(lists / f"{split}.txt")]

    official = set(read_names(lists / "train.txt"))
    held_out = set(read_names(lists / "val.txt"))
    sbd = _find_sbd(Path(root), voc)
    if sbd is None:
        if not (lists / "trainaug.txt").is_file():
            raise DatasetError(
                f"SBD is not in {root}: trainaug needs its folder benchmark_RELEASE/dataset there, or "
                f"{voc / 'SegmentationClassAug'} with {lists / 'trainaug.txt'}."
            )
        return [
            _augmented_file(voc, name) for name in read_names(lists / "trainaug.txt") if name not in held_out
        ]
    added = set(read_names(sbd / "train.txt")) | set(read_names(sbd / "val.txt"))
    names = sorted((official | added) - held_out)
    return [_voc_file(voc, name) if name in official else _sbd_file(voc, sbd, name) for name in names]


def _find_voc(root: Path) -> Path:
    for folder in (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root):
        if (folder / "ImageSets" / "Segmentation").is_dir():
            return folder
    raise DatasetError(
        f"{root} has no VOCdevkit/VOC2012/ImageSets/Segmentation; give the folder into which "
        "VOCtrainval_11-May-2012.tar was unpacked."
    )


def _find_sbd(root: Path, voc: Path) -> Path | None:
    for base in (root, voc.parent, voc.parent.parent):
        for name in ("benchmark_RELEASE/dataset", "SBD/dataset", "SBD", "sbd"):
            if (base / name / "cls").is_dir():
                return base / name
    return None


def _voc_file(voc: Path, name: str) -> LabeledFile:
    image, labels = voc / "JPEGImages" / f"{name}.jpg", voc / "SegmentationClass" / f"{name}.png"
    return LabeledFile(name, image, labels, _read)


def _augmented_file(voc: Path, name: str) -> LabeledFile:
    image, labels = voc / "JPEGImages" / f"{name}.jpg", voc / "SegmentationClassAug" / f"{name}.png"
    return LabeledFile(name, image, labels, _read)


def _sbd_file(voc: Path, sbd: Path, name: str) -> LabeledFile:
    image = first_existing([voc / "JPEGImages" / f"{name}.jpg", sbd / "img" / f"{name}.jpg"])
    return LabeledFile(name, image, sbd / "cls" / f"{name}.mat", _read)


def _read(image: Path, labels: Path) -> SegmentationSample:
    ids = _read_mat(labels) if labels.suffix == ".mat" else read_indices(labels)
    return join(read_rgb(image), class_ids(ids, _IDS, labels), image, labels)


def _read_mat(path: Path) -> NDArray[np.uint8]:
    from scipy.io import loadmat

    try:
        return np.array(loadmat(path)["GTcls"]["Segmentation"][0, 0], np.uint8)
    except (KeyError, IndexError, TypeError, NotImplementedError) as error:
        raise DatasetError(f"The label file {path} holds no GTcls.Segmentation; fetch SBD again.") from error
