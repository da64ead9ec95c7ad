"""Patches cover a tile whole and stay inside of it; in a sweep, each of its pixels counts once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.episodes.datasets.labeled_file import LabeledFile
from backend.episodes.datasets.patches import Patches
from backend.episodes.datasets.pixels_once import PixelsOnce
from backend.episodes.episode import SegmentationSample


def tiles(folder: Path, labels: list[np.ndarray]) -> list[LabeledFile]:
    """Tiles that need no decoding: the files are there, their content is given."""
    files = []
    for number, own in enumerate(labels):
        path = folder / f"{number}.tif"
        path.touch()
        image = torch.arange(own.size, dtype=torch.int64).reshape(own.shape).remainder(251).to(torch.uint8)
        sample = SegmentationSample(image[None].repeat(3, 1, 1), torch.from_numpy(own))
        files.append(LabeledFile(str(number), path, path, lambda image, labels, sample=sample: sample))
    return files


@st.composite
def cuts(draw: st.DrawFn) -> tuple[list[np.ndarray], int, int | None]:
    """Labels of some tiles, the side of a patch and the stride."""
    shapes = draw(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = np.array(
        draw(st.sampled_from([(0, 1, 2, 255), (255, 255, 255, 255, 255, 255, 255, 1)])), np.uint8
    )
    labels = [rng.choice(values, shape) for shape in shapes]
    labels[0][0, 0] = 1  # something counts
    patch = draw(st.integers(1, 12))
    return labels, patch, draw(st.none() | st.integers(1, patch))


@settings(max_examples=80, deadline=None)
@given(cuts())
def test_every_pixel_counts_once(cut: tuple[list[np.ndarray], int, int | None]) -> None:
    labels, patch, stride = cut
    with tempfile.TemporaryDirectory() as folder:
        files = tiles(Path(folder), labels)
        patches = Patches("tiles", ("a", "b"), files, None, patch, stride, 1, Path(folder) / "cache")
        once = PixelsOnce(patches)
        seen = [np.zeros(own.shape, int) for own in labels]
        for index, place in enumerate(patches.patches):
            height, width = patches.shapes[place.tile]
            assert place.top >= 0 and place.top + place.height <= height  # inside the tile
            assert place.left >= 0 and place.left + place.width <= width
            sample = patches[index]
            assert sample.image.shape[1:] == sample.labels.shape == (place.height, place.width)
            window = np.s_[place.top : place.top + place.height, place.left : place.left + place.width]
            assert np.array_equal(sample.labels.numpy(), labels[place.tile][window])
            seen[place.tile][window] += 1
        for own, count in zip(labels, seen, strict=True):
            assert (count[own != 255] > 0).all()  # whole
        counted = np.zeros(256, int)
        for index in range(len(once)):
            left = once[index].labels.numpy()
            assert (left != 255).any()  # no image without a pixel that counts
            assert once.present(index) == set(np.unique(left).tolist()) - {0, 255}
            counted += np.bincount(left.ravel(), minlength=256)
        expected = sum(np.bincount(own.ravel(), minlength=256) for own in labels)
        assert np.array_equal(counted[:255], expected[:255])


def test_the_last_patches_are_shifted_inwards(tmp_path: Path) -> None:
    labels = np.ones((10, 14), np.uint8)
    patches = Patches("a tile", ("a",), tiles(tmp_path, [labels]), None, 8, None, 1, tmp_path / "cache")
    assert [(place.top, place.left) for place in patches.patches] == [(0, 0), (0, 6), (2, 0), (2, 6)]
    once = PixelsOnce(patches)
    kept = [(once[index].labels == 1).sum().item() for index in range(4)]
    assert kept == [64, 6 * 8, 2 * 8, 2 * 6] and sum(kept) == 140
    assert (once[1].labels[:, :2] == 255).all() and (once[1].labels[:, 2:] == 1).all()
    assert (patches[1].labels == 1).all()  # the patches themselves stay as they are
