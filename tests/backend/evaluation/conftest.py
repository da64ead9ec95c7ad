"""A segmenter with behaviour of its own, and episodes whose colours tell the class, imperfectly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from backend.episodes.episode import Episode

SIDE = 24
COLORS = {1: (200, 60, 50), 2: (60, 180, 60), 3: (50, 70, 190), 4: (190, 180, 60), 5: (170, 60, 190)}


class NearestColor:
    """Labels every pixel with the class whose mean support colour is nearest."""

    def fit(self, support_images, support_masks):
        background, classes = [], []
        for images, masks in zip(support_images, support_masks, strict=True):
            pixels = images.movedim(1, -1)
            classes.append(pixels[masks == 1].mean(0))
            background.append(pixels[masks == 0])
        self.colors = torch.stack([torch.cat(background).mean(0), *classes])

    def predict(self, query_images):
        distance = query_images[:, None] - self.colors[None, :, :, None, None]
        return -distance.square().sum(dim=2)


class ColorEpisodes(Dataset):
    """Discs in the colour of their class on grey, with noise strong enough for mistakes; ring of ignored pixels."""

    def __init__(self, seed, length=120, classes=(1, 2, 3, 4, 5), way=1, shot=1, noise=45.0):
        self.seed, self.length, self.classes = seed, length, classes
        self.way, self.shot, self.noise = way, shot, noise

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError
        rng = np.random.default_rng((self.seed, index))
        ways = [int(c) for c in rng.choice(self.classes, self.way, replace=False)]
        support = [[self._image(rng, [c]) for _ in range(self.shot)] for c in ways]
        shown = ways[: max(1, self.way - 1)]  # the last way is absent from the query
        image, labels = self._image(rng, shown)
        return Episode(
            torch.stack([torch.stack([i for i, _ in shots]) for shots in support]),
            torch.stack(
                [torch.stack([m.clamp(max=1) if m.max() < 255 else m for _, m in shots]) for shots in support]
            ),
            image[None],
            labels[None],
            tuple(ways),
        )

    def _image(self, rng, classes):
        image = np.full((SIDE, SIDE, 3), 110.0)
        labels = np.zeros((SIDE, SIDE), np.uint8)
        rows, cols = np.mgrid[:SIDE, :SIDE]
        for label, class_id in enumerate(classes, start=1):
            row, col = rng.integers(5, SIDE - 5, 2)
            distance = np.hypot(rows - row, cols - col)
            labels[distance < 6] = 255
            labels[distance < 5] = label
            image[distance < 5] = COLORS[class_id]
        image += rng.normal(0, self.noise, image.shape)
        pixels = torch.from_numpy(np.clip(image, 0, 255)).float().permute(2, 0, 1)
        return pixels, torch.from_numpy(labels)


@pytest.fixture
def color_episodes():
    return ColorEpisodes


@pytest.fixture
def nearest_color():
    return NearestColor()
