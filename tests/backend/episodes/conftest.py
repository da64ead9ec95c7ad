"""Tiny copies of the official layouts, generated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.episodes.datasets import coco, potsdam

RNG_SEED = 3


def write_photo(path: Path, height: int = 12, width: int = 16, bands: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(RNG_SEED).integers(0, 256, (height, width, bands), np.uint8)
    Image.fromarray(pixels).save(path)


def write_ids(path: Path, ids: np.ndarray, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids.astype(np.uint8))
    if palette:
        image = image.convert("P")
        image.putdata(ids.ravel().tolist())
        image.putpalette([value for index in range(256) for value in (index * 37 % 256, index * 91 % 256, 7)])
    image.save(path)


def write_colors(path: Path, colors: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colors.astype(np.uint8)).save(path)


def voc_labels(*classes: int) -> np.ndarray:
    """Stripes of classes with an outline of 255 around."""
    ids = np.zeros((12, 16), np.uint8)
    for index, class_id in enumerate(classes):
        ids[2:10, 1 + 5 * index : 5 + 5 * index] = 255
        ids[3:9, 2 + 5 * index : 4 + 5 * index] = class_id
    return ids


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """VOC and SBD: SBD labels one image of VOC's train, one of its val, and three more."""
    from scipy.io import savemat

    root = tmp_path / "pascal"
    base = root / "VOCdevkit" / "VOC2012"
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    train = {"2007_000001": (1, 15), "2007_000002": (6,), "2007_000003": (1,)}
    val = {"2007_000010": (1, 2), "2007_000011": (2,), "2007_000012": (1,)}
    for split, images in (("train", train), ("val", val), ("trainval", {**train, **val})):
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in images))
    for name, classes in {**train, **val}.items():
        write_photo(base / "JPEGImages" / f"{name}.jpg")
        write_ids(base / "SegmentationClass" / f"{name}.png", voc_labels(*classes), palette=True)
    sbd = root / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    (sbd / "train.txt").write_text("2007_000001\n2008_000001\n2008_000002\n")
    (sbd / "val.txt").write_text("2007_000010\n2008_000003\n")
    for name in ("2007_000001", "2008_000001", "2008_000002", "2007_000010", "2008_000003"):
        write_photo(sbd / "img" / f"{name}.jpg")
        ids = np.where(voc_labels(9) == 255, 0, voc_labels(9))  # SBD has no outlines
        savemat(
            sbd / "cls" / f"{name}.mat",
            {"GTcls": {"Segmentation": ids, "Boundaries": 0, "CategoriesPresent": 9}},
        )
    return root


def coco_annotation(
    number: int, image: int, category: int, box: tuple[int, int, int, int], crowd: bool = False
) -> dict[str, object]:
    x, y, w, h = box
    outline: object = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    if crowd:  # column by column: lengths of runs of 0 and 1
        mask = np.zeros((12, 16), np.uint8)
        mask[y : y + h, x : x + w] = 1
        changes = np.flatnonzero(np.diff(np.concatenate(([0], mask.ravel(order="F")))))
        outline = {"counts": np.diff([0, *changes, 12 * 16]).tolist(), "size": [12, 16]}
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "iscrowd": int(crowd),
        "area": w * h,
        "bbox": list(box),
        "segmentation": outline,
    }


@pytest.fixture
def coco_root(tmp_path: Path) -> Path:
    """COCO with the gaps in its category ids, overlapping objects, a crowd and a grey image."""
    root = tmp_path / "coco"
    gaps = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    ids = [number for number in range(1, 91) if number not in gaps]
    categories = [{"id": number, "name": name} for number, name in zip(ids, coco.CLASSES, strict=True)]
    for split in ("train2014", "val2014"):
        images = []
        for image in (1, 2, 3):
            name = f"COCO_{split}_{image:012d}.jpg"
            images.append({"id": image, "file_name": name, "width": 16, "height": 12})
            write_photo(root / split / name)
        Image.fromarray(np.full((12, 16), 90, np.uint8)).save(root / split / f"COCO_{split}_{2:012d}.jpg")

        annotations = [
            coco_annotation(1, 1, 62, (2, 2, 10, 8)),  # a chair, class 57
            coco_annotation(2, 1, 90, (6, 4, 4, 4)),  # a toothbrush on it, class 80
            coco_annotation(3, 2, 1, (0, 0, 6, 6)),
            coco_annotation(4, 2, 1, (8, 6, 8, 6), crowd=True),
            coco_annotation(5, 2, 62, (4, 4, 3, 3)),
        ]
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}.json").write_text(
            json.dumps({"images": images, "annotations": annotations, "categories": categories})
        )
    return root


COLORS = np.array(
    [(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0), (0, 0, 0)],
    np.uint8,
)


def isprs_colors(height: int = 20, width: int = 28) -> np.ndarray:
    """Columns of all seven colours."""
    return COLORS[np.arange(width) * 7 // width][None].repeat(height, 0)


@pytest.fixture
def vaihingen_root(tmp_path: Path) -> Path:
    root = tmp_path / "vaihingen"
    train = (1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37)
    test = (2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38)
    for number in train + test:
        write_photo(root / "top" / f"top_mosaic_09cm_area{number}.tif", 20, 28)
        eroded = f"top_mosaic_09cm_area{number}_noBoundary.tif"
        if number in train:
            write_colors(root / "gts_for_participants" / f"top_mosaic_09cm_area{number}.tif", isprs_colors())
        write_colors(root / "gts_eroded_for_participants" / eroded, isprs_colors())
    return root


@pytest.fixture
def camvid_root(tmp_path: Path) -> Path:
    root = tmp_path / "camvid"
    for split, count in (("train", 4), ("val", 1), ("test", 2)):
        for index in range(count):
            name = f"0001TP_{index:06d}"
            write_photo(root / split / "images" / f"{name}.jpg")
            ids = np.arange(12 * 16).reshape(12, 16) % 12  # all 11 classes and void
            write_ids(root / split / "labels" / f"{name}.png", ids)
    return root


@pytest.fixture
def potsdam_root(tmp_path: Path) -> Path:
    root = tmp_path / "potsdam"
    for part, tiles in potsdam.TILES.items():
        for tile in tiles:
            write_photo(root / "2_Ortho_RGB" / f"top_potsdam_{tile}_RGB.tif", 20, 28)
            if part == "train":
                write_colors(root / "5_Labels_all" / f"top_potsdam_{tile}_label.tif", isprs_colors())
            eroded = f"top_potsdam_{tile}_label_noBoundary.tif"
            write_colors(root / "5_Labels_all_noBoundary" / eroded, isprs_colors())
    return root


@pytest.fixture
def pairs_root(tmp_path: Path) -> Path:
    """GeoTIFF pairs of four classes with a class list."""
    root = tmp_path / "pairs"
    for index in range(4):
        write_photo(root / f"scene{index}.tif")
        write_ids(root / f"scene{index}_labels.tif", np.arange(12 * 16).reshape(12, 16) // 3 % 5)
    (root / "classes.csv").write_text(
        "id,name,color\n1,road,#808080\n2,roof,#ff0000\n3,tree,#008000\n4,water,#0000ff\n"
    )
    return root
