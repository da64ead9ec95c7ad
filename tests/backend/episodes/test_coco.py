"""COCO: gaps in the category ids, overlapping masks, crowds, grey images."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pycocotools")

from backend.episodes.datasets.coco import CocoImages, flatten
from backend.episodes.errors import DatasetError

from .conftest import write_photo


def test_classes_are_positions_in_the_category_order(coco_root: Path) -> None:
    images = CocoImages(coco_root, "train2014")
    assert len(images) == 2  # the third has no annotations
    assert images.present(0) == {57, 80} and images.present(1) == {1, 57}
    assert images.classes[56] == "chair" and images.classes[79] == "toothbrush"
    assert CocoImages(coco_root, "val2014", min_pixels=17).present(0) == {57}


def test_overlapping_masks_stay_whole(coco_root: Path) -> None:
    sample = CocoImages(coco_root)[0]
    chair, brush = sample.mask(57).numpy(), sample.mask(80).numpy()
    expected = np.zeros((12, 16))
    expected[2:10, 2:12] = 1
    assert np.array_equal(chair, expected)
    assert brush[4:8, 6:10].all() and brush.sum() == 16
    assert (sample.labels.numpy()[4:8, 6:10] == 80).all()  # the smaller one on top
    assert sample.mask(3).sum() == 0


def test_crowd_and_grey_image(coco_root: Path) -> None:
    sample = CocoImages(coco_root)[1]
    assert sample.image.shape == (3, 12, 16)
    person = sample.mask(1).numpy()
    assert person[:6, :6].all() and person[6:, 8:].all() and person.sum() == 36 + 48


def test_reaches_loader_workers(coco_root: Path) -> None:
    images = pickle.loads(pickle.dumps(CocoImages(coco_root)))
    assert images.present(0) == {57, 80}


def test_flatten() -> None:
    large, small = np.ones((2, 2), bool), np.array([[True, False], [False, False]])
    labels, hidden = flatten({3: small, 1: large}, (2, 2))
    assert labels.tolist() == [[3, 1], [1, 1]]
    assert list(hidden) == [1] and np.array_equal(hidden[1], small)
    labels, hidden = flatten({}, (2, 2))
    assert not labels.any() and not hidden


def test_bad_input(coco_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"annotations .*train2014.json are missing"):
        CocoImages(tmp_path)
    images = CocoImages(coco_root)
    photo = coco_root / "train2014" / f"COCO_train2014_{1:012d}.jpg"
    write_photo(photo, 10, 10)
    with pytest.raises(DatasetError, match="10 x 10 pixels, not what the annotations say"):
        images[0]
    photo.unlink()
    with pytest.raises(DatasetError, match="missing"):
        images[0]

    path = coco_root / "annotations" / "instances_train2014.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = 12
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"unknown categories \[12\]"):
        CocoImages(coco_root)
    content["categories"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="79 categories"):
        CocoImages(coco_root)
    path.write_text("{")
    with pytest.raises(DatasetError, match="damaged"):
        CocoImages(coco_root)
