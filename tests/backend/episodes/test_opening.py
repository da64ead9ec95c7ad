"""Data sets by name: splits and options that do not fit are told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.episodes.errors import DatasetError
from backend.episodes.opening import NAMES, class_sides, known_name, open_images


def test_all_names(voc, coco_root, camvid_root, vaihingen_root, tmp_path: Path) -> None:
    cache = {"cache": str(tmp_path / "cache")}
    for name, root, split, classes in (
        ("pascal", voc, None, 20),
        ("pascal", voc, "val", 20),
        ("camvid", camvid_root, "test", 11),
        ("vaihingen", vaihingen_root, None, 6),
    ):
        images = open_images(name, root, split, 16, cache)
        assert len(images.classes) == classes and len(images) > 0
    pytest.importorskip("pycocotools")
    assert len(open_images("coco", coco_root)) == 2


def test_sizes_of_patches(vaihingen_root: Path, tmp_path: Path) -> None:
    options = {"cache": tmp_path / "cache", "tiles": [1]}
    assert open_images("vaihingen", vaihingen_root, None, 10, options)[0].labels.shape == (10, 10)
    options["patch"] = 16
    assert open_images("vaihingen", vaihingen_root, None, 10, options)[0].labels.shape == (16, 16)


def test_names() -> None:
    assert [known_name(name) for name in NAMES] == list(NAMES)
    assert known_name("geotiff") == "geotiff-pairs"


@pytest.mark.parametrize(
    ("name", "split", "options", "message"),
    [
        ("mnist", None, {}, "no data set 'mnist'; choose one of pascal, coco"),
        ("camvid", "holdout", {}, "its split is 'holdout', but the input should be 'train', 'val' or 'test'"),
        ("camvid", None, {"split": "val"}, "no 'split'; there are min_pixels, cache"),
        ("camvid", None, {"min_pixels": "few"}, "the option min_pixels is 'few'"),
        ("camvid", None, {"min_pixels": 0}, "min_pixels is 0; a class needs at least 1"),
        ("vaihingen", None, {"min_pixels": 0}, "min_pixels is 0; a class needs at least 1"),
        ("vaihingen", None, {"labels": "erode"}, "the option labels is 'erode', but the input should be"),
        ("vaihingen", "val", {}, "its split is 'val'"),
        ("potsdam", None, {"tiles": [210]}, "the option tiles is 210"),
        ("potsdam", None, {"bands": "bgr"}, "should be 'rgb' or 'irrg'"),
        ("geotiff-pairs", "train", {}, "no split 'train'; choose its files by the option images"),
        ("geotiff", None, {"classes": {"roof": 3}}, "the option classes is 'roof'"),
        ("geotiff", None, {}, "class list .* does not exist; write it with the columns"),
        ("coco", "train2015", {}, "its split is 'train2015'"),
    ],
)
def test_what_does_not_fit(
    name: str,
    split: str | None,
    options: dict[str, Any],
    message: str,
    camvid_root: Path,
    vaihingen_root: Path,
) -> None:
    root = vaihingen_root if name == "vaihingen" else camvid_root
    with pytest.raises(Exception, match=message) as caught:
        open_images(name, root, split, 16, options)
    assert isinstance(caught.value, DatasetError) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_root(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere does not exist; check the path\.$"):
        open_images(name, tmp_path / "nowhere")


class TestClassSides:
    def test_folds(self, camvid_root: Path, tmp_path: Path) -> None:
        images = open_images("camvid", camvid_root, options={"cache": tmp_path})
        assert class_sides(images, None) is None
        sides = class_sides(images, 1, {"folds": "interleaved"})
        assert sides is not None and sides.test == (2, 6, 10)
        sides = class_sides(images, None, {"left_out": "tree"})
        assert sides is not None and sides.test == (6,) and 6 not in sides.train and len(sides.train) == 10

    @pytest.mark.parametrize(
        ("index", "options", "message"),
        [
            (4, {}, "no fold 4; the 4 folds are numbered from 0 to 3"),
            (0, {"folds": "random"}, "no fold pattern 'random'"),
            (None, {"left_out": "lava"}, "names no class 'lava'; there are sky"),
            (0, {"left_out": "sky"}, "choose one of them"),
        ],
    )
    def test_refusals(
        self, index: int | None, options: dict[str, Any], message: str, camvid_root: Path, tmp_path: Path
    ) -> None:
        images = open_images("camvid", camvid_root, options={"cache": tmp_path})
        with pytest.raises(DatasetError, match=message):
            class_sides(images, index, options)

    def test_few_classes(self, make_raster: Callable[..., Path], tmp_path: Path) -> None:
        import numpy as np

        make_raster(np.zeros((3, 8, 8), np.uint8), "a.tif")
        make_raster(np.ones((1, 8, 8), np.uint8), "a_labels.tif")
        images = open_images(
            "geotiff", tmp_path, None, 8, {"classes": {1: "road", 2: "roof"}, "cache": tmp_path}
        )
        with pytest.raises(
            DatasetError, match="2 classes cannot be divided into 4 folds; leave out one class"
        ):
            class_sides(images, 0)
