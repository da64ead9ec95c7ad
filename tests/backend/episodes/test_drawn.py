"""Episodes within one scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.episodes.drawn import DrawnEpisodes, DrawnOptions, cut, draw_polygon
from backend.episodes.episode import IGNORE, SegmentationSample
from backend.episodes.errors import DatasetError


class Scenes:
    """Scenes whose red channel is ten times the class id."""

    def __init__(self, *labels: np.ndarray) -> None:
        self.classes = ("one", "two", "three")
        self._labels = [torch.from_numpy(each) for each in labels]

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> SegmentationSample:
        labels = self._labels[index]
        known = torch.where(labels == IGNORE, 0, labels)
        return SegmentationSample(torch.stack([10 * known, 40 + 0 * known, 200 - 10 * known]), labels)

    def present(self, index: int) -> frozenset[int]:
        return frozenset(self._labels[index].unique().tolist()) - {0, IGNORE}


def stripes(height: int = 160, width: int = 200) -> np.ndarray:
    labels = np.full((height, width), IGNORE, np.uint8)
    labels[:, 10:80], labels[:, 80:110], labels[100:, 120:] = 1, 2, 3
    return labels


PLAIN = DrawnOptions(zoom=(1.0, 1.0), color=0.0, swap=0.0)


def test_support_is_a_few_small_polygons_of_each_way_and_queries_are_labelled():
    episodes = DrawnEpisodes(Scenes(stripes()), 30, 1, 64, PLAIN)
    for episode in (episodes[index] for index in range(30)):
        assert episode.support_images.shape == (episode.way, 4, 3, 64, 64)
        assert episode.support_images.stride(0) == 0
        assert 2 <= episode.way <= 3 and set(episode.classes) <= {1, 2, 3}
        assert set(episode.support_masks.unique().tolist()) <= {1, IGNORE}
        for way, number in enumerate(episode.classes):
            own = episode.support_masks[way] == 1
            assert 1 <= own.sum() <= 5 * 400
            assert (episode.support_images[way, :, 0][own] == 10 * number).all()
            shown = episode.query_labels == way + 1
            assert (episode.query_images[:, 0][shown] == 10 * number).all()
        assert set(episode.query_labels.unique().tolist()) <= {*range(1, 1 + episode.way), IGNORE}
        assert ((episode.query_labels > 0) & (episode.query_labels != IGNORE)).any()


def test_no_episode_has_a_single_way():
    options = replace(PLAIN, windows=1, polygons=1)
    episodes = DrawnEpisodes(Scenes(stripes()), 20, 1, 64, options)
    assert min(episodes[index].way for index in range(20)) == 2


def test_an_episode_depends_on_seed_and_index_alone():
    one, other = (DrawnEpisodes(Scenes(stripes(), stripes()), 9, 4) for _ in range(2))
    first = one[7]
    one[2], other[5]
    second = other[7]
    assert first.classes == second.classes
    assert first.support_images.equal(second.support_images)
    assert first.query_labels.equal(second.query_labels)
    assert not first.query_images.equal(one[8].query_images)


def test_support_and_queries_change_their_colours_together():
    options = DrawnOptions(zoom=(1.0, 1.0), color=0.4, swap=0.5)
    episode = DrawnEpisodes(Scenes(stripes()), 3, 2, 64, options)[1]
    for way in range(episode.way):
        own = episode.support_images[way].permute(1, 0, 2, 3)[:, episode.support_masks[way] == 1]
        shown = episode.query_images.permute(1, 0, 2, 3)[:, episode.query_labels == way + 1]
        if shown.shape[1]:
            assert torch.allclose(own.median(dim=1).values, shown.median(dim=1).values, atol=3)


def test_small_scenes_are_enlarged():
    labels = np.ones((20, 30), np.uint8)
    labels[:, 15:] = 2
    episode = DrawnEpisodes(Scenes(labels), 1, 0, 64, PLAIN)[0]
    assert episode.query_images.shape[-2:] == (64, 64)


def test_what_cannot_serve_is_told():
    with pytest.raises(DatasetError, match="two classes"):
        DrawnEpisodes(Scenes(np.ones((40, 40), np.uint8)), 1, 0)
    with pytest.raises(DatasetError, match="multiple of 8"):
        DrawnEpisodes(Scenes(stripes()), 1, 0, 100)
    with pytest.raises(DatasetError, match="zoom"):
        DrawnOptions(zoom=(2.0, 1.0))
    with pytest.raises(IndexError):
        DrawnEpisodes(Scenes(stripes()), 1, 0, 64, PLAIN)[1]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(0, 10**6),
)  # fmt: skip
def test_windows_hold_their_pixel_and_polygons_hold_theirs(height, width, side, seed):
    rng = np.random.default_rng(seed)
    scene = SegmentationSample(
        torch.zeros(3, height, width, dtype=torch.uint8),
        torch.from_numpy(rng.integers(1, 3, (height, width)).astype(np.uint8)),
    )
    center = np.array([rng.integers(height), rng.integers(width)], np.int32)
    image, labels, (row, col) = cut(scene, center, side, rng)
    assert labels.shape == (min(side, height), min(side, width)) == image.shape[1:]
    assert labels[row, col] == scene.labels[center[0], center[1]]
    polygon = draw_polygon(labels, int(labels[row, col]), (row, col), (1.0, 5.0), rng)
    assert polygon[row, col] and (labels[polygon] == labels[row, col]).all()
