"""PASCAL VOC 2012 with SBD, in a tiny copy of the official folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.episodes.datasets.pascal import pascal_files, pascal_images
from backend.episodes.errors import DatasetError

from .conftest import voc_labels, write_ids


def names(root: Path, split) -> list[str]:
    return [file.name for file in pascal_files(root, split)]


def test_splits(voc: Path) -> None:
    assert names(voc, "train") == ["2007_000001", "2007_000002", "2007_000003"]
    assert names(voc, "val") == ["2007_000010", "2007_000011", "2007_000012"]
    # VOC's train and all of SBD, without VOC's val.
    assert names(voc, "trainaug") == [
        "2007_000001", "2007_000002", "2007_000003", "2008_000001", "2008_000002", "2008_000003"
    ]  # fmt: skip


def test_sources_of_labels(voc: Path) -> None:
    files = {file.name: file for file in pascal_files(voc, "trainaug")}
    # In SBD too, but VOC's own labels are better.
    assert files["2007_000001"].labels.parent.name == "SegmentationClass"
    assert files["2008_000001"].labels.suffix == ".mat"
    assert files["2008_000001"].image.parent.name == "img"  # not in this copy's JPEGImages


def test_samples(voc: Path, tmp_path: Path) -> None:
    images = pascal_images(voc, "trainaug", cache=tmp_path / "cache")
    sample = images[0]
    assert sample.image.shape == (3, 12, 16)
    assert np.array_equal(
        sample.labels.numpy(), voc_labels(1, 15)
    )  # indices of the palette, not colours; 255 stays
    assert set(images[3].labels.unique().tolist()) == {0, 9}
    assert [images.present(i) for i in range(6)] == [{1, 15}, {6}, {1}, {9}, {9}, {9}]
    assert images.classes[14] == "person"
    assert len(pascal_images(voc, "val", min_pixels=13, cache=tmp_path / "cache").present(0)) == 0


def test_index_is_kept_and_follows_changes(voc: Path, tmp_path: Path, monkeypatch) -> None:
    cache = tmp_path / "cache"
    pascal_images(voc, "train", cache=cache)
    monkeypatch.setattr("backend.episodes.datasets.pascal.read_indices", lambda path: 1 / 0)
    assert pascal_images(voc, "train", cache=cache).present(1) == {6}
    monkeypatch.undo()
    path = voc / "VOCdevkit/VOC2012/SegmentationClass/2007_000002.png"
    write_ids(path, np.full((12, 16), 7))
    assert pascal_images(voc, "train", cache=cache).present(1) == {7}


def test_segmentation_class_aug_serves_without_sbd(voc: Path) -> None:
    shutil.rmtree(voc / "benchmark_RELEASE")
    with pytest.raises(DatasetError, match="SBD is not in"):
        pascal_files(voc, "trainaug")
    base = voc / "VOCdevkit/VOC2012"
    write_ids(base / "SegmentationClassAug" / "2008_000001.png", voc_labels(3))
    (base / "ImageSets/Segmentation/trainaug.txt").write_text("2008_000001\n2007_000010\n")
    assert names(voc, "trainaug") == ["2008_000001"]  # an image of val never gets in
    assert names(base, "trainaug") == names(voc, "trainaug")  # any of the three roots


def test_bad_input(voc: Path, tmp_path: Path) -> None:
    base = voc / "VOCdevkit/VOC2012"
    with pytest.raises(DatasetError, match="VOCtrainval_11-May-2012"):
        pascal_files(tmp_path, "train")
    with pytest.raises(DatasetError, match="no split 'test'"):
        pascal_files(voc, "test")  # type: ignore[arg-type]
    (base / "ImageSets/Segmentation/trainval.txt").unlink()
    with pytest.raises(DatasetError, match=r"split file .*trainval.txt is missing"):
        pascal_files(voc, "trainval")

    path = base / "SegmentationClass/2007_000001.png"
    for ids, message in (
        (np.full((12, 16), 21), "the value 21, which is none of the classes"),
        (np.zeros((12, 15)), "15 x 12 pixels but the image"),
    ):
        write_ids(path, ids)
        with pytest.raises(DatasetError, match=message):
            pascal_files(voc, "train")[0].read()
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(path)
    with pytest.raises(DatasetError, match="holds colours"):
        pascal_files(voc, "train")[0].read()
    path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match="cannot be read"):
        pascal_files(voc, "train")[0].read()
    path.unlink()
    with pytest.raises(DatasetError, match=r"incomplete: .*2007_000001.png missing"):
        pascal_images(voc, "train", cache=tmp_path)
