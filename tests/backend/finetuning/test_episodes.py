"""Episodes of the training scenes: the same for a seed and index, at the scale of each raster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.errors import ProtolabelError
from backend.finetuning.episodes import SceneEpisodes
from backend.finetuning.material import Scene
from backend.rasters.support import ClassInfo

from .conftest import SIZE, colored, stripes

CLASSES = [ClassInfo(number, f"class {number}") for number in (4, 6, 9)]


def scene(cell: int, labels: np.ndarray | None = None) -> Scene:
    labels = stripes() + 1 if labels is None else labels
    image = torch.from_numpy(colored(stripes()))
    return Scene(0, image, labels.astype(np.uint8), np.ones((SIZE, SIZE), np.int32), cell)


def test_an_episode_depends_on_seed_and_index_alone() -> None:
    one, two, other = (SceneEpisodes([scene(4)], CLASSES, seed, 96) for seed in (1, 1, 2))
    for index in (3, 0):
        a, b = one[index], two[index]
        assert a.query_images.equal(b.query_images) and a.classes == b.classes
        assert a.query_images.shape[-1] == 96 and set(a.classes) <= {1, 2, 3}
    assert not one[0].query_images.equal(other[0].query_images)
    one[10**6]  # how many there will be need not be known


def test_windows_are_enlarged_as_for_labelling() -> None:
    """At 4 pixels a cell a crop of 96 shows 34 to 69 pixels of the raster; at 8, twice as much: more stripes."""

    def borders(cell: int) -> float:
        episodes = SceneEpisodes([scene(cell)], CLASSES, 0, 96)
        labels = torch.cat([episodes[index].query_labels for index in range(12)]).int()
        return float((labels.diff(dim=-1) != 0).float().mean())

    assert 1.6 < borders(8) / borders(4) < 2.4


def test_scenes_of_two_scales_take_turns() -> None:
    episodes = SceneEpisodes([scene(4), scene(8)], CLASSES, 0, 96)
    chosen = [int(np.random.default_rng((0, index, 1)).choice(2, p=episodes._chances)) for index in range(40)]
    assert 5 < sum(chosen) < 35
    for index in range(4):
        assert len(episodes[index].classes) > 1


def test_a_scene_of_one_class_is_passed_over() -> None:
    alone = scene(8, np.ones((SIZE, SIZE)))
    assert len(SceneEpisodes([scene(4), alone], CLASSES, 0, 96)._parts) == 1
    with pytest.raises(ProtolabelError, match="label several classes in one place"):
        SceneEpisodes([alone, replace(alone, cell=4)], CLASSES, 0, 96)
