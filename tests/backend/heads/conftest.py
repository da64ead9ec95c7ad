"""Support sets of generated features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backend.heads.support import SupportFeatures


@pytest.fixture(scope="session")
def make_support() -> Callable[..., SupportFeatures]:
    """Classes as directions in space, each polygon with cells around its own mean.

    ``make_support([0, 0, 1], spread=0.2)``: polygon i is of class ``labels[i]``. ``modes`` gives each class so many
    directions, which its polygons take in turn.
    """

    def make(
        labels: list[int], spread: float = 0.2, modes: int = 1, size: int = 16, cells: int = 6, seed: int = 0
    ) -> SupportFeatures:
        rng = np.random.default_rng(seed)
        classes = max(labels) + 1
        centers = np.random.default_rng(99).normal(size=(classes, modes, size))
        seen = [labels[:index].count(label) for index, label in enumerate(labels)]
        means = np.array([centers[label, turn % modes] for label, turn in zip(labels, seen, strict=True)])
        means = means + spread * rng.normal(size=means.shape)
        around = means.repeat(cells, axis=0) + spread * rng.normal(size=(len(labels) * cells, size))
        return SupportFeatures(
            labels=np.array(labels, np.int64),
            prototypes=means.astype(np.float32),
            pixels=(100 + 20 * np.array(labels)[:, None] + rng.normal(size=(len(labels), 3))).astype(
                np.float32
            ),
            pixel_polygon=np.arange(len(labels)),
            classes=classes,
            cells=around.astype(np.float32),
            cell_polygon=np.arange(len(labels)).repeat(cells),
            cell_weights=rng.uniform(1, 16, len(around)).astype(np.float32),
        )

    return make
