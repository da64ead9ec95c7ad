"""ISPRS Vaihingen: 33 tiles of 9 cm, near infrared, red and green."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..errors import DatasetError
from .isprs import CLASSES, Labels, Part, read_tile
from .labeled_file import LabeledFile, first_existing
from .patches import Patches

Split = Literal["official", "four-tile"]
SPLITS: tuple[Split, ...] = ("official", "four-tile")

TILES: dict[tuple[Split, Part], tuple[int, ...]] = {
    ("official", "train"): (1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37),
    ("official", "test"): (2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38),
    ("four-tile", "train"): (1, 3, 23, 26, 7, 11, 13, 28, 17, 32, 34, 37),
    ("four-tile", "test"): (5, 21, 15, 30),
}

_NAME = "top_mosaic_09cm_area{}.tif"
_ERODED = "top_mosaic_09cm_area{}_noBoundary.tif"
_COMPLETE = "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE"  # pragma: allowlist secret
_ERODED_COMPLETE = (
    "ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE"  # pragma: allowlist secret
)


def vaihingen_patches(
    root: str | Path,
    part: Part = "train",
    split: Split = "official",
    labels: Labels | None = None,
    tiles: Sequence[int] | None = None,
    patch: int | None = 417,
    stride: int | None = None,
    min_pixels: int = 1,
    cache: Path | None = None,
) -> Patches:
    """Patches of Vaihingen, class ids 1..6: impervious surface, building, low vegetation, tree, car, clutter.

    Args:
        root: As in :func:`vaihingen_files`.
        part: As there.
        split: As there.
        labels: As there.
        tiles: As there.
        patch: As in :class:`Patches`.
        stride: As there.
        min_pixels: As there.
        cache: As there.

    Raises:
        DatasetError: When tiles are missing or malformed.
    """
    files = vaihingen_files(root, part, split, labels, tiles)
    what = f"ISPRS Vaihingen ({part}) in {root}"
    return Patches(what, CLASSES, files, None, patch, stride, min_pixels, cache)


def vaihingen_files(
    root: str | Path,
    part: Part,
    split: Split = "official",
    labels: Labels | None = None,
    tiles: Sequence[int] | None = None,
) -> list[LabeledFile]:
    """The tiles of one side of a split.

    Args:
        root: The folder with ``top/`` and ``gts_for_participants/``, ``gts_eroded_for_participants/`` or the
            ``..._COMPLETE`` folders; labels may also lie in the root itself, beside ``top/``.
        part: train or test.
        split: ``official``, 16 training tiles and the 17 of the challenge's hidden test; ``four-tile``, 12 and 4 of
            those 16, as papers split them when the 17 were secret.
        labels: ``full``, or ``eroded`` (noBoundary: 3 pixels along boundaries are ignored). None is the custom of
            the challenge: full to train, eroded to test.
        tiles: Other tiles than those of the split, by number.

    Raises:
        DatasetError: When there is no such split or no such folder.
    """
    root = Path(root)
    if (split, part) not in TILES:
        raise DatasetError(
            f"Vaihingen has no split {split!r} with {part!r}; choose official or four-tile, train or test."
        )
    if not root.is_dir():
        raise DatasetError(f"The folder {root} does not exist; give the folder with top/ in it.")
    labels = labels or ("full" if part == "train" else "eroded")
    found = []
    for number in TILES[split, part] if tiles is None else tiles:
        name, eroded = _NAME.format(number), _ERODED.format(number)
        image = first_existing([root / "top" / name, root / name])
        if labels == "eroded":
            folders = (root / "gts_eroded_for_participants", root / _ERODED_COMPLETE, root)
            target = first_existing([folder / eroded for folder in folders])
        else:
            # In the root, a file of this name is the labels only where the image is elsewhere.
            flat = [root] if image.parent != root else []
            target = first_existing(
                [folder / name for folder in [root / "gts_for_participants", root / _COMPLETE, *flat]]
            )
        found.append(LabeledFile(f"vaihingen-{number}-{labels}", image, target, read_tile))
    return found
