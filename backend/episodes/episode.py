"""What training and evaluation work on: labelled images, and the episodes that are drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from .errors import DatasetError

IGNORE = 255

_DRAWS = 20  # of an episode, before it is given up

Boundary = Literal["ignore", "background"]


@dataclass(frozen=True)
class Episode:
    """A few-shot task: N ways (classes) with K support images each, and the queries to segment.

    Args:
        support_images: (way, shot, 3, height, width), float32 in 0..255, RGB. Where all ways have the same images, they
            are one set of images that was expanded, which is encoded once; see ``is_shared``.
        support_masks: (way, shot, height, width), uint8: 1 the way's class, 0 anything else, 255 ignore.
        query_images: (queries, 3, height, width), as the support images.
        query_labels: (queries, height, width), uint8: 0 background, 1..way the ways in order, 255 ignore.
        classes: Class ids of the ways.
    """

    support_images: Tensor
    support_masks: Tensor
    query_images: Tensor
    query_labels: Tensor
    classes: tuple[int, ...]

    @property
    def way(self) -> int:
        """Number of classes."""
        return self.support_images.shape[0]

    @property
    def shot(self) -> int:
        """Number of support images per class."""
        return self.support_images.shape[1]

    def to(self, device: torch.device | str) -> Episode:
        """The same episode on another device."""
        return Episode(
            _once(self.support_images).to(device, non_blocking=True).expand_as(self.support_images),
            self.support_masks.to(device, non_blocking=True),
            self.query_images.to(device, non_blocking=True),
            self.query_labels.to(device, non_blocking=True),
            self.classes,
        )

    def pin_memory(self) -> Episode:
        """The same episode in page-locked memory; a ``DataLoader`` calls it."""
        return Episode(
            _once(self.support_images).pin_memory().expand_as(self.support_images),
            self.support_masks.pin_memory(),
            self.query_images.pin_memory(),
            self.query_labels.pin_memory(),
            self.classes,
        )


def is_shared(images: Tensor) -> bool:
    """Whether all ways have the same images: a tensor that was expanded along its first dimension."""
    return images.shape[0] > 1 and images.stride(0) == 0


def _once(images: Tensor) -> Tensor:
    return images[:1] if is_shared(images) else images


@dataclass(frozen=True)
class SegmentationSample:
    """An image and the class of each of its pixels.

    Args:
        image: (3, height, width), uint8.
        labels: (height, width), uint8: class ids, 0 none of the classes, 255 ignore.
        hidden: Where objects overlap (COCO), one class per pixel is not enough: by class id, the pixels
            (height, width), bool, that belong to the class although ``labels`` gives them to another.
    """

    image: Tensor
    labels: Tensor
    hidden: Mapping[int, Tensor] = field(default_factory=dict)

    def mask(self, class_id: int) -> Tensor:
        """The mask of a class: (height, width), uint8: 1 the class, 0 anything else, 255 ignore."""
        mask = (self.labels == class_id).to(torch.uint8)
        mask[self.labels == IGNORE] = IGNORE
        if class_id in self.hidden:
            mask[self.hidden[class_id]] = 1
        return mask


class LabeledImages(Protocol):
    """A dataset of labelled images.

    ``classes`` are names; the class ids are 1..C in their order, and 0 is none of them, in every dataset.
    """

    @property
    def fingerprint(self) -> str:
        """Changes when the files do; see ``cache.fingerprint``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes 1..C."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int, /) -> SegmentationSample:
        """Read an image and its labels."""

    def present(self, index: int, /) -> frozenset[int]:
        """Ids of the classes in an image, without reading it."""


@dataclass(frozen=True)
class Selection:
    """Which images an episode is made of.

    Args:
        classes: Class ids of the ways.
        support: For each way, the indices of its support images.
        queries: For each query, the index of its image and the way it was drawn for.
    """

    classes: tuple[int, ...]
    support: tuple[tuple[int, ...], ...]
    queries: tuple[tuple[int, int], ...]


Sampler = Callable[[int, np.random.Generator], Selection]
"""From the index of an episode and random numbers to its images; see ``sampling``."""


class EpisodeDataset(Dataset[Episode]):
    """Episodes drawn from labelled images.

    An episode depends on the seed and its index alone: the number of loader workers, their order and episodes
    drawn before change nothing, and an interrupted run continues at any index.

    Pixels of other ways in a support image are ignored, neither foreground nor background, as PANet's getMask.

    Small objects can vanish when their labels are resized. An episode in which a way has lost its object in all of its
    support images, or a query all pixels that count, is drawn again.

    Args:
        images: Where the images come from.
        sampler: Which images make an episode: ``PanetSampler``, ``HsnetSampler``.
        length: Number of episodes.
        seed: Any whole number that is not negative.
        size: Height and width all images are resized to, aspect broken, as PANet does (417; DPCL 473, whose
            "cropped" is read as resized).
        boundary: What the 255 of support labels (VOC's outlines of objects) are. ``ignore``; or
            ``background``, as in the code of PANet and HSNet, where they enter the background prototype.
            The 255 of query labels are ignored always.
        mirror: Whether each image is mirrored with probability 0.5: PANet's RandomMirror, for training.
        query_images: Where the images of queries come from, when not from ``images``: tiles that are tested on,
            or another domain.
    """

    def __init__(
        self,
        images: LabeledImages,
        sampler: Sampler,
        length: int,
        seed: int,
        size: int | tuple[int, int] = 473,
        boundary: Boundary = "ignore",
        mirror: bool = False,
        query_images: LabeledImages | None = None,
    ) -> None:
        self.images = images
        self.query_images = images if query_images is None else query_images
        self.sampler = sampler
        self.length = length
        self.seed = seed
        self.size = [size, size] if isinstance(size, int) else list(size)
        self.boundary = boundary
        self.mirror = mirror

    def __len__(self) -> int:
        """Number of episodes."""
        return self.length

    def __getitem__(self, index: int) -> Episode:
        """Draw an episode.

        Raises:
            DatasetError: When an image is missing or malformed, or no episode has pixels of all that it needs.
        """
        if not 0 <= index < self.length:
            raise IndexError(f"episode {index} of {self.length}")
        rng = np.random.default_rng((self.seed, index))
        for _ in range(_DRAWS):
            episode = self._read(self.sampler(index, rng), rng)
            shown = (episode.support_masks == 1).flatten(1).any(dim=1)
            counted = (episode.query_labels != IGNORE).flatten(1).any(dim=1)
            if shown.all() and counted.all():
                return episode
        raise DatasetError(self._lost(index, episode, shown, counted))

    def _lost(self, index: int, episode: Episode, shown: Tensor, counted: Tensor) -> str:
        """What an episode lacks; by way and by query, what is there."""
        if counted.all():
            class_id = episode.classes[int(shown.int().argmin())]
            what = f"no pixel of the class {self.images.classes[class_id - 1]!r} is left in the support"
        else:
            what = "all pixels of a query are to be ignored"
        return (
            f"In episode {index}, {what} at {self.size[1]} x {self.size[0]} pixels; use a larger size, or leave "
            "out small objects by the option min_pixels."
        )

    def _read(self, selection: Selection, rng: np.random.Generator) -> Episode:
        ways = selection.classes
        images, masks = self._read_support(selection, rng)
        queries = []
        for image, way in selection.queries:
            sample = self.query_images[image]
            queries.append(self._fit(sample.image, query_labels(sample, way, ways), rng))

        return Episode(
            images,
            masks,
            torch.stack([image for image, _ in queries]),
            torch.stack([labels for _, labels in queries]),
            ways,
        )

    def _read_support(self, selection: Selection, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images and masks of the support; images that all ways list are read once and shared."""
        ways = selection.classes
        if len(ways) > 1 and len(set(selection.support)) == 1 and not self.mirror:
            samples = [self.images[image] for image in selection.support[0]]
            fitted = [
                self._fit(sample.image, support_mask(sample, way, ways, self.boundary), rng)
                for way in range(len(ways))
                for sample in samples
            ]
            once = torch.stack([image for image, _ in fitted[: len(samples)]])
            masks = torch.stack([mask for _, mask in fitted]).view(len(ways), len(samples), *self.size)
            return once.expand(len(ways), -1, -1, -1, -1), masks
        support = [
            self._fit(sample.image, support_mask(sample, way, ways, self.boundary), rng)
            for way, indices in enumerate(selection.support)
            for sample in (self.images[image] for image in indices)
        ]
        shape = (len(ways), len(selection.support[0]))
        return (
            torch.stack([image for image, _ in support]).view(*shape, 3, *self.size),
            torch.stack([mask for _, mask in support]).view(*shape, *self.size),
        )

    def _fit(self, image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        # "Nearest exact" and antialiasing are what Pillow does, with which PANet and HSNet resize.
        image = transforms.resize(image, self.size, InterpolationMode.BILINEAR, antialias=True)
        mask = transforms.resize(mask[None], self.size, InterpolationMode.NEAREST_EXACT)[0]
        if self.mirror and rng.random() < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        return image.float(), mask


def support_mask(sample: SegmentationSample, way: int, ways: tuple[int, ...], boundary: Boundary) -> Tensor:
    """The mask of a support image: (height, width), uint8: 1 the way's class, 0 anything else, 255 ignore.

    Args:
        sample: The image.
        way: The way it supports.
        ways: Class ids of all ways.
        boundary: As in ``EpisodeDataset``.
    """
    mask = sample.mask(ways[way])
    if boundary == "background":
        mask[mask == IGNORE] = 0
    for other in ways[:way] + ways[way + 1 :]:
        mask[(mask == 0) & (sample.mask(other) == 1)] = IGNORE
    return mask


def query_labels(sample: SegmentationSample, way: int, ways: tuple[int, ...]) -> Tensor:
    """The labels of a query: (height, width), uint8: 0 background, 1..N the ways, 255 ignore.

    All ways are labelled in every query. Where their masks overlap (COCO), the way that the query was drawn for
    wins. (PANet's COCO code labels that way alone, which is the same with one way.)
    """
    labels = torch.zeros_like(sample.labels, dtype=torch.uint8)
    labels[sample.labels == IGNORE] = IGNORE
    for other in sorted(range(len(ways)), key=lambda other: other == way):
        labels[sample.mask(ways[other]) == 1] = other + 1
    return labels
