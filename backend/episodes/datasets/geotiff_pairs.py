"""Any folder of rasters with label rasters: users' own data, NAIP, LoveDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..episode import IGNORE, SegmentationSample
from ..errors import DatasetError
from .bands import read_bands
from .isprs import halve
from .labeled_file import LabeledFile, class_ids, join
from .patches import Patches

IMAGES = "*.tif"
LABELS = "{stem}_labels.tif"

_GDAL_NODATA = 42113  # TIFF tag


def geotiff_pairs(
    root: str | Path,
    classes: Mapping[int, str] | None = None,
    images: str | Sequence[str] = IMAGES,
    labels: str = LABELS,
    background: Sequence[int] = (0,),
    ignored: Sequence[int] = (IGNORE,),
    bands: Sequence[int] | None = None,
    halved: bool = False,
    patch: int | None = 417,
    stride: int | None = None,
    min_pixels: int = 1,
    cache: Path | None = None,
) -> Patches:
    """Patches of a folder of rasters, class ids 1..C in the order of the class list.

    Args:
        root: As in :func:`geotiff_files`.
        classes: As there.
        images: As there.
        labels: As there.
        background: As there.
        ignored: As there.
        bands: As there.
        halved: As there.
        patch: As in :class:`Patches`.
        stride: As there.
        min_pixels: As there.
        cache: As there.

    Raises:
        DatasetError: When rasters are missing or malformed.
    """
    names = class_list(root, classes)
    files = geotiff_files(root, names, images, labels, background, ignored, bands, halved)
    options = (tuple(names), tuple(background), tuple(ignored), tuple(bands or ()), halved)
    return Patches(
        f"The folder {root}", tuple(names.values()), files, options, patch, stride, min_pixels, cache
    )


def class_list(root: str | Path, classes: Mapping[int, str] | None) -> dict[int, str]:
    """Names of the classes by the values they have in the labels.

    Args:
        root: Folder with a ``classes.csv`` (columns id, name, color), which is read when ``classes`` is None.
        classes: The names.

    Raises:
        ProtolabelError: When there is no class list, or it is malformed.
    """
    if classes is None:
        from ...rasters.class_styles import read_classes

        table = Path(root) / "classes.csv"
        if not table.is_file():
            raise DatasetError(
                f"The class list {table} does not exist; write it with the columns id, name and color, or give the "
                "option classes, for example classes: {1: building, 2: road}."
            )
        return {style.id: style.name for style in read_classes(table)}
    if not classes:
        raise DatasetError("The class list is empty; name the classes by their values in the labels.")
    return dict(classes)


def geotiff_files(
    root: str | Path,
    classes: Mapping[int, str],
    images: str | Sequence[str] = IMAGES,
    labels: str = LABELS,
    background: Sequence[int] = (0,),
    ignored: Sequence[int] = (IGNORE,),
    bands: Sequence[int] | None = None,
    halved: bool = False,
) -> list[LabeledFile]:
    """The pairs of a folder: every image and every label raster, with or without its partner.

    Args:
        root: The folder.
        classes: Names of the classes by their values in the labels.
        images: Which files are images: one or several globs in the root, for example ``images/*.tif``. Those that are
            labels of others are left out.
        labels: Where the labels of an image are, in the root: ``{stem}`` is its name without extension, ``{folder}``
            its folder. LoveDA: ``Train/*/images_png/*.png`` and ``{folder}/../masks_png/{stem}.png``.
        background: Values that are none of the classes. LoveDA has none.
        ignored: Values that count nowhere, beside the nodata value of the file. LoveDA: 0.
        bands: Numbers of the red, green and blue band from 1, else by name, as in the label command.
        halved: Half the resolution, so that data sets of different pixel sizes can be trained on together.

    Raises:
        DatasetError: When the folder or images are not there.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"The folder {root} does not exist; check the path.")
    ids = {**dict.fromkeys(background, 0), **dict.fromkeys(ignored, IGNORE)}
    ids.update({value: index for index, value in enumerate(classes, 1)})
    reader = partial(_read, ids=ids, bands=tuple(bands) if bands else None, halved=halved)

    def labels_of(image: Path) -> Path:
        folder = image.parent.relative_to(root)
        return root / labels.format(stem=image.stem, folder=folder)

    patterns = [images] if isinstance(images, str) else list(images)
    # A label raster that no image claims still is one, whose image is missing.
    unclaimed = set() if "{folder}" in labels else set(root.glob(labels.format(stem="*")))
    found = sorted({path for pattern in patterns for path in root.glob(pattern)} - unclaimed)
    pairs = [(path, labels_of(path)) for path in found]
    unclaimed -= {path for _, path in pairs}
    head, _, tail = (root / labels).name.partition("{stem}")
    for path in sorted(unclaimed):
        stem = path.name[len(head) : len(path.name) - len(tail)]
        for pattern in patterns:
            image = Path(pattern).with_name(stem + Path(pattern).suffix)
            if fnmatch(image.name, Path(pattern).name):
                pairs.append((root / image, path))
                break
    if not pairs:
        raise DatasetError(f"{root} has no files {images}; check the path and the pattern of the images.")
    return [LabeledFile(image.stem, image, target, reader) for image, target in pairs]


def _read(
    image: Path, labels: Path, ids: Mapping[int, int], bands: tuple[int, ...] | None, halved: bool
) -> SegmentationSample:
    try:
        import rasterio  # noqa: F401
    except ModuleNotFoundError:
        sample = _read_plain(image, labels, ids, bands)
    else:
        sample = _read_rasters(image, labels, ids, bands)
    return halve(sample) if halved else sample


def _read_rasters(
    image: Path, labels: Path, ids: Mapping[int, int], bands: tuple[int, ...] | None
) -> SegmentationSample:
    """Read as the label command reads rasters: bands by name, stretched to 8 bits, invalid pixels ignored."""
    import warnings

    import rasterio

    from ...rasters.source import RasterSource

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with RasterSource(image, bands) as source:
            spectral, valid = source.read(source.window)
            pixels = np.rint(source.composite(spectral)).astype(np.uint8)
            transform = source.transform
        try:
            with rasterio.open(labels) as src:
                if src.count != 1 or np.dtype(src.dtypes[0]).kind not in "iu":
                    raise DatasetError(
                        f"The labels {labels} have {src.count} bands of {src.dtypes[0]}; one band of whole numbers "
                        "is needed."
                    )
                values = src.read(1)
                known = src.read_masks(1) > 0
                shifted = not src.transform.almost_equals(transform, 1e-3)
        except rasterio.errors.RasterioIOError as error:
            raise DatasetError(f"The labels {labels} cannot be read ({error}); write them again.") from error
    if shifted and values.shape == valid.shape:
        raise DatasetError(
            f"The labels {labels} lie elsewhere than the image {image}; warp them to its grid, pixel by pixel."
        )
    sample = join(pixels, _ids(values, known, ids, labels), image, labels)
    sample.labels.numpy()[~valid] = IGNORE
    return sample


def _read_plain(
    image: Path, labels: Path, ids: Mapping[int, int], bands: tuple[int, ...] | None
) -> SegmentationSample:
    """Read 8-bit rasters without rasterio: masks of images and georeference are not seen."""
    pixels = read_bands(image)
    chosen = [band - 1 for band in bands[:3]] if bands else [0, 1, 2]
    if len(pixels) <= max(chosen):
        raise DatasetError(f"The image {image} has {len(pixels)} bands; install rasterio to read it.")
    with Image.open(labels) as file:
        values = np.asarray(file)
        nodata = str(getattr(file, "tag_v2", {}).get(_GDAL_NODATA, "")).strip("\0 ")
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise DatasetError(
            f"The labels {labels} are no single band of whole numbers; install rasterio to read them."
        )
    known = values != float(nodata) if nodata else np.ones(values.shape, bool)
    return join(np.ascontiguousarray(pixels[chosen]), _ids(values, known, ids, labels), image, labels)


def _ids(
    values: NDArray[np.integer[Any]], known: NDArray[np.bool_], ids: Mapping[int, int], path: Path
) -> NDArray[np.uint8]:
    result = np.full(values.shape, IGNORE, np.uint8)
    result[known] = class_ids(values[known], ids, path)
    return result
