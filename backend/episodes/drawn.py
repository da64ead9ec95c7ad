"""Episodes as the labelling tool meets them: a scene, a few small polygons of each class, the rest to be labelled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from .episode import IGNORE, Episode, LabeledImages, SegmentationSample
from .errors import DatasetError

_POOL = 20_000  # pixels of a class of a scene that windows are centred on
_TRIES = 20


@dataclass(frozen=True)
class DrawnOptions:
    """How episodes are drawn.

    Attributes:
        windows: Support windows of an episode, which all ways share.
        queries: Query windows.
        zoom: Lowest and highest enlargement from the scene to the encoder's input, drawn once an episode.
        polygons: Most polygons of a class.
        radii: Smallest and largest semi-axis of a polygon in pixels of the scene.
        color: Strength of the change of brightness, contrast, saturation and gamma, drawn once an episode: support
            and queries are of one raster, which was taken at one moment.
        swap: Probability that the bands are in another order.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # in a configuration

    windows: int = 4
    queries: int = 3
    zoom: tuple[float, float] = (1.4, 2.8)
    polygons: int = 5
    radii: tuple[float, float] = (2.0, 9.0)
    color: float = 0.3
    swap: float = 0.1

    def __post_init__(self) -> None:
        if min(self.windows, self.queries, self.polygons) < 1:
            raise DatasetError("An episode needs at least one support window, one query and one polygon.")
        for name, (low, high) in (("zoom", self.zoom), ("radii", self.radii)):
            if not 0 < low <= high:
                raise DatasetError(
                    f"The option {name} must be two numbers above 0 that rise, not {low}, {high}."
                )
        if not (0 <= self.color < 1 and 0 <= self.swap <= 1):
            raise DatasetError("The option color must be below 1, swap at most 1, both at least 0.")


class DrawnEpisodes(Dataset[Episode]):
    """Episodes within one scene: all its classes jointly, without a background.

    Support masks are a few small polygons inside objects, 1 in the way's own and 255 (nothing known) elsewhere; all
    ways share the support windows. An episode depends on the seed and its index alone.
    """

    def __init__(
        self,
        scenes: LabeledImages,
        length: int,
        seed: int,
        size: int = 256,
        options: DrawnOptions | None = None,
    ) -> None:
        """Look through the scenes.

        Args:
            scenes: Whole labelled rasters; class ids 1..C, anything else is not labelled.
            length: Number of episodes.
            seed: Any whole number that is not negative.
            size: Height and width of windows as the encoder gets them.
            options: How they are drawn.

        Raises:
            DatasetError: When no scene has two classes.
        """
        if size < 32 or size % 8:
            raise DatasetError(f"The size {size} of windows must be a multiple of 8 from 32 on.")
        self.scenes, self.length, self.seed, self.size = scenes, length, seed, size
        self.options = options or DrawnOptions()
        self._pixels = [_pixels_of_classes(scenes[index]) for index in range(len(scenes))]
        self._usable = [index for index, pixels in enumerate(self._pixels) if len(pixels) > 1]
        if not self._usable:
            raise DatasetError("No scene has labels of two classes; episodes within a scene need them.")
        areas = np.array([sum(map(len, self._pixels[index].values())) for index in self._usable])
        self._chances = np.sqrt(areas) / np.sqrt(areas).sum()

    def __len__(self) -> int:
        """Number of episodes."""
        return self.length

    def __getitem__(self, index: int) -> Episode:
        """Draw an episode."""
        if not 0 <= index < self.length:
            raise IndexError(f"episode {index} of {self.length}")
        rng = np.random.default_rng((self.seed, index))
        for _ in range(_TRIES):
            scene = int(rng.choice(self._usable, p=self._chances))
            episode = self._draw(self.scenes[scene], self._pixels[scene], rng)
            if episode is not None:
                return episode
        raise DatasetError("No episode with two classes was found; use smaller polygons or larger windows.")

    def _draw(
        self, scene: SegmentationSample, pixels: dict[int, NDArray[np.int32]], rng: np.random.Generator
    ) -> Episode | None:
        options = self.options
        zoom = math.exp(rng.uniform(math.log(options.zoom[0]), math.log(options.zoom[1])))
        side = round(self.size / zoom)
        left = {number: int(rng.integers(1, options.polygons + 1)) for number in pixels}
        drawn = dict.fromkeys(pixels, 0)
        support: list[tuple[Tensor, Tensor]] = []
        for _ in range(options.windows):
            fewest = min(drawn.values())
            wanted = int(rng.choice([number for number in drawn if drawn[number] == fewest]))
            center = rng.choice(pixels[wanted])
            image, labels, (row, col) = cut(scene, center, side, rng)
            polygons = torch.full_like(labels, IGNORE)
            for number in pixels:
                # What the window was not chosen for is drawn in only now and then, as a person would.
                if number != wanted and (left[number] < 1 or rng.random() < 0.4):
                    continue
                start = (row, col) if number == wanted else _any_pixel(labels, number, rng)
                if start is None:
                    continue
                polygons[draw_polygon(labels, number, start, options.radii, rng)] = number
                left[number] -= 1
                drawn[number] += 1
            support.append((image, polygons))
        ways = tuple(
            number for number in pixels if any((polygons == number).any() for _, polygons in support)
        )
        if len(ways) < 2:
            return None
        queries = []
        for _ in range(options.queries):
            image, labels, _ = cut(scene, rng.choice(pixels[int(rng.choice(ways))]), side, rng)
            queries.append((image, labels))
        images, maps = self._augment([*support, *queries], rng)
        support_maps, query_maps = maps[: len(support)], maps[len(support) :]
        masks = torch.stack([_ones(support_maps == number) for number in ways])
        labels = torch.full_like(query_maps, IGNORE)
        for way, number in enumerate(ways, start=1):
            labels[query_maps == number] = way
        shared = images[: len(support)][None].expand(len(ways), -1, -1, -1, -1)
        return Episode(shared, masks, images[len(support) :], labels, ways)

    def _augment(
        self, windows: list[tuple[Tensor, Tensor]], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Turn each window by itself, and change the colours of all together."""
        size = [self.size, self.size]
        images, maps = [], []
        for image, labels in windows:
            image = transforms.resize(image, size, InterpolationMode.BILINEAR, antialias=True)
            labels = transforms.resize(labels[None], size, InterpolationMode.NEAREST_EXACT)[0]
            turns, mirror = int(rng.integers(4)), bool(rng.random() < 0.5)
            image, labels = torch.rot90(image, turns, (-2, -1)), torch.rot90(labels, turns, (-2, -1))
            images.append(image.flip(-1) if mirror else image)
            maps.append(labels.flip(-1) if mirror else labels)
        return change_colors(torch.stack(images), self.options, rng), torch.stack(maps)


def change_colors(images: Tensor, options: DrawnOptions, rng: np.random.Generator) -> Tensor:
    """Change the colours of several images in the same way.

    Args:
        images: Shape (images, 3, height, width), uint8.
        options: How much.
        rng: Random numbers.

    Returns:
        The same shape, float32 in 0..255.
    """
    strength = options.color
    pixels = images.float() / 255
    if strength:
        brightness, contrast, saturation = np.exp(rng.uniform(-strength, strength, 3))
        pixels = transforms.adjust_brightness(pixels, float(brightness))
        pixels = transforms.adjust_contrast(pixels, float(contrast))
        pixels = transforms.adjust_saturation(pixels, float(saturation))
        gamma = np.exp(rng.uniform(-strength, strength))
        gains = np.exp(rng.uniform(-strength / 3, strength / 3, 3)).astype(np.float32)
        pixels = (pixels**gamma * torch.from_numpy(gains)[:, None, None]).clamp(0, 1)
        if rng.random() < strength / 2:
            pixels = transforms.gaussian_blur(pixels, [5, 5], [float(rng.uniform(0.3, 1.2))])
    if rng.random() < options.swap:
        pixels = pixels[:, rng.permutation(3).tolist()]
    return pixels * 255


def cut(
    scene: SegmentationSample, center: NDArray[np.int32], side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Cut a window that has a pixel somewhere inside; smaller where the scene is.

    Returns:
        Image, labels, and where the pixel is in them.
    """
    height, width = scene.labels.shape
    tops = _starts(int(center[0]), side, height, rng)
    lefts = _starts(int(center[1]), side, width, rng)
    rows, cols = slice(tops, tops + side), slice(lefts, lefts + side)
    place = (int(center[0]) - tops, int(center[1]) - lefts)
    return scene.image[:, rows, cols], scene.labels[rows, cols], place


def draw_polygon(
    labels: Tensor,
    number: int,
    start: tuple[int, int],
    radii: tuple[float, float],
    rng: np.random.Generator,
) -> Tensor:
    """An ellipse around a pixel, as far as it shows the pixel's class.

    Args:
        labels: Shape (height, width).
        number: The class id.
        start: Row and column of a pixel of the class.
        radii: Smallest and largest semi-axis in pixels.
        rng: Random numbers.

    Returns:
        Shape (height, width), bool.
    """
    first, second = np.exp(rng.uniform(math.log(radii[0]), math.log(radii[1]), 2))
    angle = rng.uniform(0, math.pi)
    y = torch.arange(labels.shape[0])[:, None] - start[0]
    x = torch.arange(labels.shape[1])[None] - start[1]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    inside = (along / first) ** 2 + (across / second) ** 2 <= 1
    return inside & (labels == number)


def _starts(center: int, side: int, length: int, rng: np.random.Generator) -> int:
    """First row or column of a window: the pixel is not at its very edge where that can be avoided."""
    if length <= side:
        return 0
    margin = side // 8
    low, high = center - side + 1 + margin, center - margin
    return int(np.clip(rng.integers(low, high + 1), 0, length - side))


def _any_pixel(labels: Tensor, number: int, rng: np.random.Generator) -> tuple[int, int] | None:
    found = torch.nonzero(labels == number)
    if len(found) < 12:
        return None
    row, col = found[int(rng.integers(len(found)))].tolist()
    return row, col


def _ones(mask: Tensor) -> Tensor:
    return torch.where(mask, 1, IGNORE).to(torch.uint8)


def _pixels_of_classes(scene: SegmentationSample) -> dict[int, NDArray[np.int32]]:
    """Rows and columns of each class's pixels, evenly thinned out; rare classes of a few pixels are left out."""
    labels = scene.labels.numpy()
    found = {}
    for number in np.unique(labels).tolist():
        if number in (0, IGNORE):
            continue
        pixels = np.argwhere(labels == number).astype(np.int32)
        if len(pixels) >= 50:
            found[number] = pixels[:: max(1, len(pixels) // _POOL)]
    return found
