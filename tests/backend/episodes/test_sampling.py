"""Which images make an episode."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.episodes.episode import SegmentationSample
from backend.episodes.errors import DatasetError
from backend.episodes.folds import fold
from backend.episodes.sampling import HsnetSampler, PanetSampler, PatchSweep, covering_images, images_by_class


class Shown:
    """Images of which only the classes are known."""

    def __init__(self, shown: list[set[int]], classes: int = 4) -> None:
        self.classes = tuple("abcdefgh"[:classes])
        self.shown = shown

    def __len__(self) -> int:
        return len(self.shown)

    def present(self, index: int) -> frozenset[int]:
        return frozenset(self.shown[index])

    def __getitem__(self, index: int) -> SegmentationSample:
        raise AssertionError("images are not read to sample")


IMAGES = Shown([{1, 2}, {1}, {2, 3}, {3}, {1, 3}, {2}, {4}, {4, 1}, {1}])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_images_by_class() -> None:
    found = images_by_class(IMAGES, (1, 4))
    assert {number: indices.tolist() for number, indices in found.items()} == {1: [0, 1, 4, 7, 8], 4: [6, 7]}
    assert images_by_class(IMAGES, (1,), without={2, 4})[1].tolist() == [1, 4, 8]


class TestPanet:
    @pytest.mark.parametrize(("way", "shot", "queries"), [(1, 1, 1), (1, 2, 1), (2, 1, 2), (3, 2, 1)])
    def test_episodes(self, way: int, shot: int, queries: int) -> None:
        sampler = PanetSampler(IMAGES, (1, 2, 3), way, shot, queries)
        for seed in range(200):
            drawn = sampler(seed, rng(seed))
            assert len(set(drawn.classes)) == way
            assert set(drawn.classes) <= {1, 2, 3}  # never a class of the other side
            assert len(drawn.queries) == queries
            used = {image for image, _ in drawn.queries}
            assert len(used) == queries
            for image, query_way in drawn.queries:
                assert drawn.classes[query_way] in IMAGES.shown[image]
            for class_id, support in zip(drawn.classes, drawn.support, strict=True):
                assert len(set(support)) == shot
                assert not used & set(support)
                assert all(class_id in IMAGES.shown[image] for image in support)

    def test_classes_are_drawn_uniformly(self) -> None:
        sampler = PanetSampler(IMAGES, (1, 4))  # five images and two
        counts = Counter(sampler(i, rng(i)).classes[0] for i in range(2000))
        assert 900 < counts[1] < 1100

    def test_too_few(self) -> None:
        with pytest.raises(DatasetError, match="'d' is in 2 images, but an episode needs 6"):
            PanetSampler(IMAGES, (4, 1), shot=5)
        with pytest.raises(DatasetError, match="use fewer ways"):
            PanetSampler(IMAGES, (1, 2), way=3)


class TestHsnet:
    def test_goes_through_all_pairs(self) -> None:
        sampler = HsnetSampler(IMAGES, (1, 2))
        pairs = [(sampler(i, rng(i)).queries[0][0], sampler(i, rng(i)).classes[0]) for i in range(16)]
        expected = [(0, 1), (0, 2), (1, 1), (2, 2), (4, 1), (5, 2), (7, 1), (8, 1)]
        assert pairs == expected * 2

    @pytest.mark.parametrize("query", ["listed", "uniform"])
    def test_support_is_not_the_query_and_may_repeat(self, query) -> None:
        sampler = HsnetSampler(IMAGES, (3, 4), shot=5, query=query)
        for index in range(100):
            drawn = sampler(index, rng(index))
            (image, way), (class_id,) = drawn.queries[0], drawn.classes
            assert way == 0 and class_id in IMAGES.shown[image]
            assert len(drawn.support[0]) == 5 and image not in drawn.support[0]
            assert all(class_id in IMAGES.shown[other] for other in drawn.support[0])

    def test_uniform_over_classes(self) -> None:
        sampler = HsnetSampler(IMAGES, (1, 4), query="uniform")
        counts = Counter(sampler(i, rng(i)).classes[0] for i in range(2000))
        assert 900 < counts[1] < 1100


class TestPatchSweep:
    queries = Shown([{1}, {2}, {3}])

    def test_fixed_support_covers_all_classes(self) -> None:
        sweep = PatchSweep(IMAGES, self.queries, (1, 2, 3), shot=3, seed=4)
        drawn = [sweep(index, rng(index)) for index in range(3)]
        assert [selection.queries for selection in drawn] == [((0, 0),), ((1, 0),), ((2, 0),)]
        assert len({selection.support for selection in drawn}) == 1
        assert set().union(*(IMAGES.shown[image] for image in drawn[0].support[0])) >= {1, 2, 3}
        assert len(drawn[0].support) == 3

    def test_redrawn(self) -> None:
        sweep = PatchSweep(IMAGES, self.queries, (1, 2, 3), shot=3, support="redrawn")
        assert len({sweep(0, rng(seed)).support for seed in range(20)}) > 1

    def test_covering_needs_the_one_image(self) -> None:
        shown = [frozenset({1})] * 500 + [frozenset({2, 3})]
        assert 500 in covering_images(shown, (1, 2, 3), 2, rng())
        with pytest.raises(DatasetError, match="No 1 images"):
            covering_images(shown, (1, 2, 3), 1, rng())
        with pytest.raises(DatasetError, match="cannot be drawn from"):
            covering_images(shown[:3], (1,), 5, rng())


@st.composite
def shown_images(draw: st.DrawFn) -> tuple[Shown, int]:
    """Images of which each shows some of up to 8 classes, and how many classes there are."""
    classes = draw(st.integers(4, 8))
    shown = draw(st.lists(st.sets(st.integers(1, classes)), min_size=1, max_size=30))
    return Shown(shown, classes), classes


@settings(deadline=None)
@given(shown_images(), st.data())
def test_any_episode_of_any_images(drawn: tuple[Shown, int], data: st.DataObject) -> None:
    """Whatever the images: classes of the one side of the fold, no image twice, each shows what it was drawn for."""
    images, classes = drawn
    pattern = data.draw(st.sampled_from(["contiguous", "interleaved"]))
    sides = fold(classes, 4, data.draw(st.integers(0, 3)), pattern)
    way, shot, queries = (data.draw(st.integers(1, 3)) for _ in range(3))
    for own, other in ((sides.train, sides.test), (sides.test, sides.train)):
        try:
            sampler = PanetSampler(images, own, way, shot, queries)
        except DatasetError as error:
            fewest = min((len(images_by_class(images, own)[number]) for number in own), default=0)
            assert way > len(own) or fewest < shot + queries, error
            continue
        for index in range(5):
            selection = sampler(index, rng(index))
            assert selection == sampler(index, rng(index))
            assert set(selection.classes) <= set(own) and not set(selection.classes) & set(other)
            assert len(set(selection.classes)) == way
            used = [image for image, _ in selection.queries]
            assert len(set(used)) == queries
            for image, asked in selection.queries:
                assert selection.classes[asked] in images.shown[image]
            for number, support in zip(selection.classes, selection.support, strict=True):
                assert len(set(support)) == shot and not set(support) & set(used)
                assert all(number in images.shown[image] for image in support)


@given(st.lists(st.sets(st.integers(1, 5)), min_size=1, max_size=25), st.integers(1, 8), st.integers(0, 99))
def test_any_covering_set(shown: list[set[int]], count: int, seed: int) -> None:
    classes = sorted(set().union(*shown))
    sets = [frozenset(own) for own in shown]
    try:
        chosen = covering_images(sets, classes, count, rng(seed))
    except DatasetError:
        assert count < len(classes) or count > len(shown)  # else one image a class would do
        return
    assert len(set(chosen)) == len(chosen) == count
    assert set().union(*(shown[image] for image in chosen)) >= set(classes)
