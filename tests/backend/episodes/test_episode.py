"""Masks of support and query, and episodes that depend on nothing but seed and index."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from backend.episodes.episode import (
    Episode,
    EpisodeDataset,
    SegmentationSample,
    Selection,
    is_shared,
    query_labels,
    support_mask,
)
from backend.episodes.errors import DatasetError
from backend.episodes.loading import Telling, told
from backend.episodes.sampling import PanetSampler, PatchSweep


class Memory:
    """Images in memory; image i shows the classes it is given, in stripes."""

    def __init__(self, shown: list[set[int]], classes: int = 4, side: int = 16) -> None:
        self.classes = tuple(f"class {number}" for number in range(1, classes + 1))
        self.shown = shown
        self.side = side

    def __len__(self) -> int:
        return len(self.shown)

    def present(self, index: int) -> frozenset[int]:
        return frozenset(self.shown[index])

    def __getitem__(self, index: int) -> SegmentationSample:
        labels = torch.zeros(self.side, self.side, dtype=torch.uint8)
        for row, number in enumerate(sorted(self.shown[index])):
            labels[3 * row : 3 * row + 2] = number
        labels[-1] = 255
        image = torch.full((3, self.side, self.side), index, dtype=torch.uint8)
        image[:, :, : self.side // 2] += 100
        return SegmentationSample(image, labels)


IMAGES = Memory([{1, 2}, {1}, {2, 3}, {3}, {1, 3}, {2}, {4}, {4, 1}, {2}, {3, 4}])


def labeled(rows: list[list[int]]) -> SegmentationSample:
    labels = torch.tensor(rows, dtype=torch.uint8)
    return SegmentationSample(torch.zeros(3, *labels.shape, dtype=torch.uint8), labels)


class TestMasks:
    sample = labeled([[0, 5, 7, 9, 255]])

    def test_support_ignores_boundary_and_other_ways(self) -> None:
        assert support_mask(self.sample, 0, (5, 7), "ignore").tolist() == [[0, 1, 255, 0, 255]]
        assert support_mask(self.sample, 1, (5, 7), "ignore").tolist() == [[0, 255, 1, 0, 255]]

    def test_boundary_as_background_is_what_panet_does(self) -> None:
        """getMask: the background is all but the classes of the episode, 255 included."""
        labels = self.sample.labels.long()
        for way, ways in ((0, (5,)), (0, (5, 7)), (1, (5, 7))):
            foreground = labels == ways[way]
            background = labels != ways[way]
            for class_id in ways:
                background[labels == class_id] = False
            mask = support_mask(self.sample, way, ways, "background")
            torch.testing.assert_close(mask == 1, foreground)
            torch.testing.assert_close(mask == 0, background)

    def test_query_labels(self) -> None:
        assert query_labels(self.sample, 0, (7, 5)).tolist() == [[0, 2, 1, 0, 255]]

    def test_overlapping_classes(self) -> None:
        sample = SegmentationSample(
            torch.zeros(3, 1, 4, dtype=torch.uint8),
            torch.tensor([[5, 7, 7, 0]], dtype=torch.uint8),
            {5: torch.tensor([[False, True, False, False]])},
        )
        assert sample.mask(5).tolist() == [[1, 1, 0, 0]]
        assert sample.mask(7).tolist() == [[0, 1, 1, 0]]
        assert support_mask(sample, 0, (5, 7), "ignore").tolist() == [[1, 1, 255, 0]]
        assert query_labels(sample, 0, (5, 7)).tolist() == [[1, 1, 2, 0]]
        assert query_labels(sample, 1, (5, 7)).tolist() == [[1, 2, 2, 0]]


def equal(a: Episode, b: Episode) -> bool:
    tensors = ("support_images", "support_masks", "query_images", "query_labels")
    return a.classes == b.classes and all(torch.equal(getattr(a, t), getattr(b, t)) for t in tensors)


class TestEpisodeDataset:
    def dataset(self, seed: int = 5, **options: object) -> EpisodeDataset:
        sampler = PanetSampler(IMAGES, (1, 2, 3), way=2, shot=2, queries=2)
        return EpisodeDataset(IMAGES, sampler, 12, seed, size=(8, 10), mirror=True, **options)

    def test_shapes_and_ranges(self) -> None:
        episode = self.dataset()[0]
        assert (episode.way, episode.shot) == (2, 2)
        assert episode.support_images.shape == (2, 2, 3, 8, 10)
        assert episode.support_images.dtype == episode.query_images.dtype == torch.float32
        assert episode.support_masks.shape == (2, 2, 8, 10)
        assert episode.query_images.shape == (2, 3, 8, 10)
        assert episode.query_labels.shape == (2, 8, 10)
        assert episode.support_masks.dtype == episode.query_labels.dtype == torch.uint8
        assert episode.query_images.max() > 90
        assert set(episode.support_masks.unique().tolist()) <= {0, 1, 255}
        assert set(episode.query_labels.unique().tolist()) <= {0, 1, 2, 255}
        assert (episode.support_masks == 1).flatten(2).any(2).all()
        assert equal(episode.to("cpu"), episode)

    def test_depends_on_seed_and_index_alone(self) -> None:
        first = self.dataset()
        later = self.dataset()
        assert equal(first[7], later[7])  # without the seven before
        assert not all(equal(first[i], self.dataset(seed=6)[i]) for i in range(4))
        assert len({first[i].classes for i in range(12)}) > 1
        with pytest.raises(IndexError):
            first[12]

    @pytest.mark.parametrize("workers", [0, 1, 2])
    def test_is_independent_of_loader_workers(self, workers: int) -> None:
        dataset = self.dataset()
        loader = DataLoader(Telling(dataset), batch_size=2, num_workers=workers, collate_fn=list)
        loaded = [episode for batch in loader for episode in batch]
        assert len(loaded) == 12
        assert all(equal(episode, dataset[index]) for index, episode in enumerate(loaded))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_errors_of_workers_are_one_sentence(self, workers: int) -> None:
        class Broken(Memory):
            def __getitem__(self, index: int) -> SegmentationSample:
                raise DatasetError(f"The file {index}.png is missing; complete the dataset.")

        images = Broken([{1}] * 4)
        dataset = EpisodeDataset(images, PanetSampler(images, (1,)), 4, 0)
        with pytest.raises(DatasetError, match=r"^The file \d.png is missing; complete the dataset.$"):
            for loaded in DataLoader(Telling(dataset), batch_size=None, num_workers=workers):
                told(loaded)

    def test_objects_that_vanish_are_drawn_again(self) -> None:
        class Dots(Memory):
            """Class 1 is one pixel in odd images and half of the others."""

            def __getitem__(self, index: int) -> SegmentationSample:
                labels = torch.zeros(16, 16, dtype=torch.uint8)
                labels[0 if index % 2 else slice(8), 0 if index % 2 else slice(None)] = 1
                return SegmentationSample(torch.full((3, 16, 16), index, dtype=torch.uint8), labels)

        images = Dots([{1}] * 6)
        dataset = EpisodeDataset(images, PanetSampler(images, (1,)), 20, 0, size=8)
        for index in range(20):
            episode = dataset[index]
            assert (episode.support_masks == 1).any()
            assert episode.support_images.max() % 2 == 0
            assert equal(episode, dataset[index])
        small = EpisodeDataset(images, lambda i, r: Selection((1,), ((1,),), ((0, 0),)), 1, 0, size=8)
        with pytest.raises(
            DatasetError, match="no pixel of the class 'class 1' is left in the support at 8 x 8"
        ):
            small[0]

    def test_queries_without_a_pixel_that_counts(self) -> None:
        class Unlabeled(Memory):
            def __getitem__(self, index: int) -> SegmentationSample:
                sample = super().__getitem__(index)
                if index:
                    sample.labels[:] = 255
                return sample

        images = Unlabeled([{1}, {1}])
        dataset = EpisodeDataset(images, lambda i, r: Selection((1,), ((0,),), ((1, 0),)), 1, 0, size=16)
        with pytest.raises(DatasetError, match="In episode 0, all pixels of a query are to be ignored"):
            dataset[0]

    def test_mirrors_image_and_mask_together(self) -> None:
        class Half(Memory):
            def __getitem__(self, index: int) -> SegmentationSample:
                labels = torch.zeros(8, 8, dtype=torch.uint8)
                labels[:, :4] = 1
                image = (labels * 200)[None].repeat(3, 1, 1)
                return SegmentationSample(image, labels)

        images = Half([{1}] * 4)
        dataset = EpisodeDataset(images, PanetSampler(images, (1,)), 16, 0, size=8, mirror=True)
        sides = set()
        for index in range(16):
            episode = dataset[index]
            assert torch.equal(episode.query_images[0, 0] > 0, episode.query_labels[0] == 1)
            assert torch.equal(episode.support_images[0, 0, 0] > 0, episode.support_masks[0, 0] == 1)
            sides.add(bool(episode.query_labels[0, 0, 0]))
        assert sides == {True, False}

    def test_resizes_like_pillow(self) -> None:
        from PIL import Image

        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (37, 53, 3), np.uint8)
        ids = rng.integers(0, 3, (37, 53), np.uint8)

        class One(Memory):
            def __getitem__(self, index: int) -> SegmentationSample:
                return SegmentationSample(torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(ids))

        dataset = EpisodeDataset(
            One([{1}] * 2), lambda i, r: Selection((1,), ((0,),), ((1, 0),)), 1, 0, size=(20, 24)
        )
        episode = dataset[0]
        image = np.asarray(Image.fromarray(pixels).resize((24, 20), Image.Resampling.BILINEAR)).transpose(
            2, 0, 1
        )
        labels = np.asarray(Image.fromarray(ids).resize((24, 20), Image.Resampling.NEAREST))
        assert np.abs(episode.query_images[0].numpy() - image).max() <= 1
        assert np.array_equal(episode.query_labels[0].numpy(), labels == 1)

    def test_queries_of_another_dataset(self) -> None:
        other = Memory([{2}], side=8)
        dataset = EpisodeDataset(
            IMAGES, lambda i, r: Selection((2,), ((0,),), ((0, 0),)), 1, 0, size=8, query_images=other
        )
        labels: Tensor = dataset[0].query_labels
        assert torch.equal(
            labels[0], (other[0].labels == 2) + (other[0].labels == 255) * torch.uint8.itemsize * 255
        )


def test_ways_that_list_the_same_images_share_them() -> None:
    queries = Memory([{1}, {2}])
    sweep = PatchSweep(IMAGES, queries, (1, 2, 3), shot=3)
    drawn = sweep.fixed
    episode = EpisodeDataset(IMAGES, sweep, 2, 0, 24, query_images=queries)[1]
    assert is_shared(episode.support_images) and episode.support_images.shape == (3, 3, 3, 24, 24)
    for shot, image in enumerate(drawn):
        for way in range(3):
            alone = EpisodeDataset(IMAGES, Fixed(image, way + 1), 1, 0, 24)[0]
            torch.testing.assert_close(episode.support_images[way, shot], alone.query_images[0])
            own = episode.support_masks[way, shot] == 1
            assert torch.equal(own, alone.query_labels[0] == 1)
    assert is_shared(episode.to("cpu").support_images)
    mirrored = EpisodeDataset(IMAGES, sweep, 2, 0, 24, mirror=True, query_images=queries)[0]
    assert not is_shared(mirrored.support_images)  # each is mirrored by itself


def test_ways_of_different_images_keep_their_own() -> None:
    def sampler(index: int, rng: np.random.Generator) -> Selection:
        return Selection((1, 3), ((1,), (3,)), ((4, 0),))

    episode = EpisodeDataset(IMAGES, sampler, 1, 0, 16)[0]
    assert not is_shared(episode.support_images)
    assert [int(images.min()) for images in episode.support_images] == [1, 3]


class Fixed:
    """One image as support and query of a class, which it may lack."""

    def __init__(self, image: int, class_id: int) -> None:
        self.image, self.class_id = image, class_id

    def __call__(self, index: int, rng: np.random.Generator) -> Selection:
        own = next(i for i in range(len(IMAGES)) if self.class_id in IMAGES.shown[i])
        return Selection((self.class_id,), ((own,),), ((self.image, 0),))
