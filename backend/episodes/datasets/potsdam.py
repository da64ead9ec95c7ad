"""ISPRS Potsdam: 38 tiles of 5 cm, 6000 x 6000 pixels, red, green, blue and near infrared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from ..errors import DatasetError
from .isprs import CLASSES, Labels, Part, read_tile
from .labeled_file import LabeledFile, first_existing
from .patches import Patches

Bands = Literal["rgb", "irrg"]

TILES: dict[Part, tuple[str, ...]] = {
    "train": (
        "2_10", "2_11", "2_12", "3_10", "3_11", "3_12", "4_10", "4_11", "4_12", "5_10", "5_11", "5_12",
        "6_7", "6_8", "6_9", "6_10", "6_11", "6_12", "7_7", "7_8", "7_9", "7_10", "7_11", "7_12",
    ),
    "test": (
        "2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15", "5_13", "5_14", "5_15", "6_13", "6_14", "6_15", "7_13",
    ),
}  # fmt: skip
DEFECTIVE = ("4_12", "7_10")
"""Training tiles with wrong labels: colours beside the palette; annotations that are wrong."""

_FOLDERS = {
    "full": ("5_Labels_all", "5_Labels_for_participants", "."),
    "eroded": ("5_Labels_all_noBoundary", "5_Labels_for_participants_no_Boundary", "."),
}


def potsdam_patches(
    root: str | Path,
    part: Part = "train",
    bands: Bands = "rgb",
    labels: Labels | None = None,
    tiles: Sequence[str] | None = None,
    halved: bool = True,
    patch: int | None = 417,
    stride: int | None = None,
    min_pixels: int = 1,
    cache: Path | None = None,
) -> Patches:
    """Patches of Potsdam, class ids 1..6: impervious surface, building, low vegetation, tree, car, clutter.

    Args:
        root: As in :func:`potsdam_files`.
        part: As there.
        bands: As there.
        labels: As there.
        tiles: As there.
        halved: As there.
        patch: As in :class:`Patches`.
        stride: As there.
        min_pixels: As there.
        cache: As there; halved tiles take 36 MB each, whole ones 144 MB.

    Raises:
        DatasetError: When tiles are missing or malformed.
    """
    files = potsdam_files(root, part, bands, labels, tiles, halved)
    what = f"ISPRS Potsdam ({part}) in {root}"
    return Patches(what, CLASSES, files, (bands, halved), patch, stride, min_pixels, cache)


def potsdam_files(
    root: str | Path,
    part: Part,
    bands: Bands = "rgb",
    labels: Labels | None = None,
    tiles: Sequence[str] | None = None,
    halved: bool = True,
) -> list[LabeledFile]:
    """The tiles of one side of the official split.

    Args:
        root: The folder with ``2_Ortho_RGB/``, ``3_Ortho_IRRG/`` or ``4_Ortho_RGBIR/``, and ``5_Labels_all/``,
            ``5_Labels_all_noBoundary/`` or the ``5_Labels_for_participants`` folders; files may also lie in the root.
        part: train (24 tiles) or test (the 14 of the challenge's hidden test).
        bands: Which three bands; Jiang et al. do not say. The file of all four serves for either.
        labels: ``full`` or ``eroded``, see :func:`vaihingen_files`.
        tiles: Other tiles than those of the split, for example those without ``DEFECTIVE``.
        halved: Half the resolution, as Jiang et al. (section III).

    Raises:
        DatasetError: When there is no such part or no such folder.
    """
    root = Path(root)
    if part not in TILES or bands not in ("rgb", "irrg"):
        raise DatasetError(f"Potsdam has no part {part!r} in {bands!r}; choose train or test, rgb or irrg.")
    if not root.is_dir():
        raise DatasetError(f"The folder {root} does not exist; give the folder with 2_Ortho_RGB/ in it.")
    labels = labels or ("full" if part == "train" else "eroded")
    ortho = {"rgb": "2_Ortho_RGB", "irrg": "3_Ortho_IRRG"}[bands]
    suffix = "_noBoundary" if labels == "eroded" else ""
    found = []
    for tile in TILES[part] if tiles is None else tiles:
        three, four = f"top_potsdam_{tile}_{bands.upper()}.tif", f"top_potsdam_{tile}_RGBIR.tif"
        image = first_existing(
            [root / ortho / three, root / three, root / "4_Ortho_RGBIR" / four, root / four]
        )
        from_four = (0, 1, 2) if bands == "rgb" else (3, 0, 1)
        order = from_four if image.name == four else (0, 1, 2)
        target = first_existing(
            [root / folder / f"top_potsdam_{tile}_label{suffix}.tif" for folder in _FOLDERS[labels]]
        )
        reader = partial(read_tile, bands=order, halved=halved)
        found.append(LabeledFile(f"potsdam-{tile}-{labels}", image, target, reader))
    return found
