"""The papers' figures, looked at by their pixels."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from backend.evaluation.figures import overlay, prototype_map, prototypes_figure, results_figure
from backend.evaluation.segmenter import fitting


def picture(figure):
    return np.asarray(Image.open(io.BytesIO(figure.data)).convert("RGB"))


def test_overlay_leaves_the_background_as_it_is():
    image = torch.full((3, 2, 2), 100.0)
    mixed = overlay(image, torch.tensor([[0, 1], [255, 2]], dtype=torch.uint8))
    assert (mixed[0, 0] == 100).all()
    assert mixed[0, 1, 0] > 150 > mixed[0, 1, 1]
    assert (mixed[1, 0] == round(0.45 * 100 + 0.55 * 255)).all()
    assert len({tuple(pixel) for pixel in mixed.reshape(-1, 3)}) == 4


def test_results_figure_has_a_row_per_episode_and_headings(color_episodes, nearest_color):
    episodes = color_episodes(0)
    names = {i: f"class {i}" for i in range(1, 6)}
    methods = {"nearest colour": fitting(nearest_color)}
    one, three = (
        picture(results_figure([episodes[i] for i in range(count)], methods, names)) for count in (1, 3)
    )
    assert one.shape[1] == three.shape[1] and three.shape[0] > 2.3 * one.shape[0]
    assert (three[:22] < 128).any(), "the headings are at the top"


def test_prototypes_of_separate_classes_lie_apart():
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 1, (3, 32))
    classes = np.repeat([1, 2, 3], 15)
    vectors = centers[classes - 1] + rng.normal(0, 0.1, (45, 32))
    places = prototype_map(vectors)
    means = np.stack([places[classes == c].mean(0) for c in (1, 2, 3)])
    nearest = np.linalg.norm(places[:, None] - means, axis=2).argmin(1) + 1
    assert (nearest == classes).mean() > 0.95
    np.testing.assert_array_equal(places, prototype_map(vectors))
    figure = prototypes_figure({"one": vectors, "two": vectors}, classes.tolist(), {1: "a", 2: "b", 3: "c"})
    assert picture(figure).shape[1] > 800
