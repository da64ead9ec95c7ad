"""CamVid in both of its layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.episodes.datasets.camvid import camvid_files, camvid_images
from backend.episodes.episode import EpisodeDataset
from backend.episodes.errors import DatasetError
from backend.episodes.folds import fold
from backend.episodes.sampling import PanetSampler

from .conftest import write_ids


def test_values_become_class_ids(camvid_root: Path, tmp_path: Path) -> None:
    images = camvid_images(camvid_root, cache=tmp_path / "cache")
    assert len(images) == 4
    assert set(images[0].labels.unique().tolist()) == {*range(1, 12), 255}
    assert images.present(0) == set(range(1, 12))
    assert images.classes[0] == "sky" and images.classes[8] == "car"


def test_segnet_layout(camvid_root: Path) -> None:
    (camvid_root / "train/labels").rename(camvid_root / "trainannot")
    for path in (camvid_root / "train/images").iterdir():
        path.rename(camvid_root / "train" / path.name)
    (camvid_root / "train/images").rmdir()
    files = camvid_files(camvid_root, "train")
    assert len(files) == 4 and files[0].read().image.shape == (3, 12, 16)


def test_bad_input(camvid_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no train/images with train/labels"):
        camvid_files(tmp_path, "train")
    with pytest.raises(DatasetError, match="no split"):
        camvid_files(camvid_root, "all")  # type: ignore[arg-type]
    write_ids(camvid_root / "val/labels/0001TP_000000.png", np.full((12, 16), 12))
    with pytest.raises(DatasetError, match="the value 12, which is none"):
        camvid_files(camvid_root, "val")[0].read()
    (camvid_root / "test/images/0001TP_000001.jpg").unlink()
    with pytest.raises(DatasetError, match="incomplete"):
        camvid_images(camvid_root, "test", cache=tmp_path)


@pytest.mark.slow
def test_real_images(shared: Path, tmp_path: Path) -> None:
    images = camvid_images(shared / "data" / "camvid", "val", cache=tmp_path)
    assert len(images) == 101
    division = fold(len(images.classes), 4, 0)
    episodes = EpisodeDataset(images, PanetSampler(images, division.test, shot=5), 20, 1234, size=128)
    for index in range(3):
        episode = episodes[index]
        assert episode.classes[0] in division.test
        assert episode.support_images.shape == (1, 5, 3, 128, 128)
    rows = torch.nonzero(images[0].labels == 1)[:, 0].float()
    assert rows.mean() < 180  # the sky is above
