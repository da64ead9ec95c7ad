"""ISPRS Vaihingen and Potsdam: official file names, splits, colours, halving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend.episodes.datasets import potsdam, vaihingen
from backend.episodes.datasets.isprs import CLASSES, decode_colors, halve, off_palette, read_tile
from backend.episodes.datasets.potsdam import potsdam_files, potsdam_patches
from backend.episodes.datasets.vaihingen import vaihingen_files, vaihingen_patches
from backend.episodes.episode import EpisodeDataset, SegmentationSample
from backend.episodes.errors import DatasetError
from backend.episodes.sampling import PatchSweep

from .conftest import COLORS, isprs_colors, write_colors, write_photo


class TestColors:
    def test_palette(self) -> None:
        assert decode_colors(COLORS.T[:, :, None])[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 255]
        assert CLASSES[:5] == ("impervious surface", "building", "low vegetation", "tree", "car")

    def test_colors_beside_the_palette(self) -> None:
        beside = np.where(COLORS > 0, 200, 60).astype(np.uint8)
        assert decode_colors(beside.T[:, :, None])[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 255]
        assert off_palette(beside.T[:, :, None]) == 1 and off_palette(COLORS.T[:, :, None]) == 0
        magenta = np.array([[[255]], [[0]], [[255]]], np.uint8)
        assert decode_colors(magenta).item() == 255 and off_palette(magenta) == 1


class TestSplits:
    def test_vaihingen(self) -> None:
        train, test = vaihingen.TILES["official", "train"], vaihingen.TILES["official", "test"]
        assert (len(train), len(test), len(set(train + test))) == (16, 17, 33)
        four = vaihingen.TILES["four-tile", "train"], vaihingen.TILES["four-tile", "test"]
        assert (len(four[0]), four[1]) == (12, (5, 21, 15, 30))
        assert sorted(four[0] + four[1]) == sorted(train)

    def test_potsdam(self) -> None:
        train, test = potsdam.TILES["train"], potsdam.TILES["test"]
        assert (len(train), len(test), len(set(train + test))) == (24, 14, 38)
        assert set(potsdam.DEFECTIVE) <= set(train)


class TestVaihingen:
    def test_official_folders(self, vaihingen_root: Path, tmp_path: Path) -> None:
        (first, *_) = vaihingen_files(vaihingen_root, "train")
        assert first.image == vaihingen_root / "top/top_mosaic_09cm_area1.tif"
        assert first.labels == vaihingen_root / "gts_for_participants/top_mosaic_09cm_area1.tif"
        (first, *_) = vaihingen_files(vaihingen_root, "test")
        assert first.labels.name == "top_mosaic_09cm_area2_noBoundary.tif"
        assert first.labels.parent.name == "gts_eroded_for_participants"

        patches = vaihingen_patches(vaihingen_root, "train", patch=16, cache=tmp_path / "cache")
        assert len(patches) == 16 * 4  # 20 x 28 pixels: two rows and two columns
        assert patches.shapes[0] == (20, 28)
        sample = patches[0]
        expected = decode_colors(isprs_colors().transpose(2, 0, 1))
        assert np.array_equal(sample.labels.numpy(), expected[:16, :16])
        assert patches.present(0) == {1, 2, 3, 4}

    def test_flat_labels_are_never_the_image(self, vaihingen_root: Path) -> None:
        for folder in ("gts_for_participants", "gts_eroded_for_participants"):
            for path in (vaihingen_root / folder).iterdir():
                path.rename(vaihingen_root / path.name)
        for labels in ("full", "eroded"):
            (file, *_) = vaihingen_files(vaihingen_root, "train", labels=labels)
            assert file.labels.parent == vaihingen_root and not file.missing
        for path in (vaihingen_root / "top").iterdir():
            path.replace(vaihingen_root / path.name)  # now there are images in the root, and no labels
        (file, *_) = vaihingen_files(vaihingen_root, "train")
        assert file.image.parent == vaihingen_root and file.missing == (file.labels,)

    def test_tiles_by_number(self, vaihingen_root: Path) -> None:
        assert [file.name for file in vaihingen_files(vaihingen_root, "train", tiles=(30, 5))] == [
            "vaihingen-30-full",
            "vaihingen-5-full",
        ]

    def test_bad_input(self, vaihingen_root: Path, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="does not exist"):
            vaihingen_files(tmp_path / "nowhere", "train")
        with pytest.raises(DatasetError, match="no split 'half'"):
            vaihingen_files(vaihingen_root, "train", "half")  # type: ignore[arg-type]
        with pytest.raises(DatasetError, match=r"incomplete: .*area2.tif and 16 more missing"):
            vaihingen_patches(vaihingen_root, "test", labels="full", cache=tmp_path)
        path = vaihingen_root / "gts_for_participants/top_mosaic_09cm_area1.tif"
        write_colors(path, np.zeros((20, 28, 3)))
        with pytest.raises(DatasetError, match="all labels are to be ignored"):
            vaihingen_patches(vaihingen_root, "train", tiles=(1,), cache=tmp_path)
        write_colors(path, isprs_colors(20, 21))
        with pytest.raises(DatasetError, match="21 x 20 pixels but"):
            vaihingen_patches(vaihingen_root, "train", tiles=(1,), cache=tmp_path)
        with pytest.raises(DatasetError, match="cannot be cut"):
            vaihingen_patches(vaihingen_root, "train", patch=16, stride=17, cache=tmp_path)


class TestPotsdam:
    def write(self, root: Path, image: str, bands: int = 3) -> None:
        write_photo(root / image, 20, 28, bands)
        write_colors(root / "5_Labels_all" / "top_potsdam_6_7_label.tif", isprs_colors())
        write_colors(
            root / "5_Labels_for_participants_no_Boundary" / "top_potsdam_6_7_label_noBoundary.tif",
            isprs_colors(),
        )

    def test_official_folders(self, tmp_path: Path) -> None:
        self.write(tmp_path, "2_Ortho_RGB/top_potsdam_6_7_RGB.tif")
        self.write(tmp_path, "3_Ortho_IRRG/top_potsdam_6_7_IRRG.tif")
        for bands, folder in (("rgb", "2_Ortho_RGB"), ("irrg", "3_Ortho_IRRG")):
            (file,) = potsdam_files(tmp_path, "train", bands, tiles=("6_7",))  # ids are not padded
            assert file.image.parent.name == folder and not file.missing
        (file,) = potsdam_files(tmp_path, "train", labels="eroded", tiles=("6_7",))
        assert file.labels.parent.name == "5_Labels_for_participants_no_Boundary"

    def test_all_four_bands_serve_for_either(self, tmp_path: Path) -> None:
        self.write(tmp_path, "4_Ortho_RGBIR/top_potsdam_6_7_RGBIR.tif", bands=4)
        pixels = np.asarray(Image.open(tmp_path / "4_Ortho_RGBIR/top_potsdam_6_7_RGBIR.tif")).transpose(
            2, 0, 1
        )
        for bands, order in (("rgb", [0, 1, 2]), ("irrg", [3, 0, 1])):
            (file,) = potsdam_files(tmp_path, "train", bands, tiles=("6_7",), halved=False)
            assert np.array_equal(file.read().image.numpy(), pixels[order])

    def test_halved(self, tmp_path: Path) -> None:
        self.write(tmp_path, "2_Ortho_RGB/top_potsdam_6_7_RGB.tif")
        patches = potsdam_patches(tmp_path, tiles=("6_7",), patch=8, stride=4, cache=tmp_path / "cache")
        assert patches.shapes == [(10, 14)]
        assert [(p.top, p.left) for p in patches.patches] == [(0, 0), (0, 4), (0, 6), (2, 0), (2, 4), (2, 6)]
        whole = potsdam_patches(tmp_path, tiles=("6_7",), patch=None, halved=False, cache=tmp_path / "cache")
        assert whole.shapes == [(20, 28)]  # not what is in the cache for the halved one

    def test_halving(self) -> None:
        image = torch.arange(3 * 5 * 4, dtype=torch.uint8).reshape(3, 5, 4)
        labels = torch.arange(20, dtype=torch.uint8).reshape(5, 4)
        half = halve(SegmentationSample(image, labels))
        assert half.labels.tolist() == [[0, 2], [8, 10]]
        assert half.image.shape == (3, 2, 2)
        assert half.image[0, 0, 0] == round((0 + 1 + 4 + 5) / 4)


def test_real_crops(shared: Path, tmp_path: Path) -> None:
    crops = shared / "data" / "isprs_crops"
    train = vaihingen_patches(crops / "vaihingen", labels="eroded", tiles=(1,), patch=128, cache=tmp_path)
    test = potsdam_patches(crops / "potsdam", labels="eroded", tiles=("2_10",), patch=128, cache=tmp_path)
    assert len(train) == 16 and len(test) == 4
    counts = np.bincount(
        read_tile(train.tiles[0].image, train.tiles[0].labels).labels.numpy().ravel(), minlength=256
    )
    assert counts[1:6].tolist() == [135362, 79847, 16532, 4908, 4212] and counts[255] == 21283
    assert all(
        off_palette(np.asarray(Image.open(f.labels)).transpose(2, 0, 1)) == 0
        for f in train.tiles + test.tiles
    )

    sweep = PatchSweep(train, test, (1, 2, 3, 4, 5), shot=5)
    episodes = EpisodeDataset(train, sweep, len(test), 0, size=64, query_images=test)
    episode = episodes[3]
    assert episode.support_masks.shape == (5, 5, 64, 64)
    assert (episode.support_masks == 1).flatten(1).any(1).all()  # every class has pixels
    # Boundary and the pixels of other ways are ignored; there is no clutter here, so no background is left.
    assert set(episode.support_masks.unique().tolist()) == {1, 255}
