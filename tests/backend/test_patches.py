"""Windows hold every wanted patch, fit closely, and are no larger than asked for."""

from __future__ import annotations

import numpy as np
import pytest

from backend.preview.patches import SIDE, merged, patch_at, patches_in, patches_over, plan, rectangles, split
from backend.rasters.grid import FeatureGrid, Tile

GRID = FeatureGrid(0, 0, 1203, 901, 4, 1.5)


def covered(windows: list[Tile], grid: FeatureGrid = GRID) -> set[Tile]:
    return {patch for window in windows for patch in patches_in(grid, window)}


def cells(windows: list[Tile]) -> int:
    return sum((window.y1 - window.y0) * (window.x1 - window.x0) for window in windows)


def test_patches_cover_the_grid_once() -> None:
    seen = np.zeros((GRID.rows, GRID.cols), int)
    for patch in patches_over(GRID, (0, GRID.rows), (0, GRID.cols)):
        assert patch == patch_at(GRID, patch.row, patch.col)
        seen[patch.y0 : patch.y1, patch.x0 : patch.x1] += 1
    assert (seen == 1).all()


def test_patches_over_cells() -> None:
    found = patches_over(GRID, (7, 9), (16, 17))
    assert [(patch.row, patch.col) for patch in found] == [(0, 2), (1, 2)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tile", [48, 88])
def test_windows_hold_all_that_is_wanted(seed: int, tile: int) -> None:
    grid = FeatureGrid(0, 0, 1203, 901, 4, 1.5, tile_cells=tile)
    every = patches_over(grid, (0, grid.rows), (0, grid.cols))
    rng = np.random.default_rng(seed)
    wanted = [every[i] for i in rng.permutation(len(every))[: 3 ** (seed % 6) + 1]]
    windows = plan(grid, wanted)
    assert covered(windows, grid) >= set(wanted)
    for window in windows:
        assert window.y1 - window.y0 <= tile and window.x1 - window.x0 <= tile
        assert 0 <= window.y0 < window.y1 <= grid.rows and 0 <= window.x0 < window.x1 <= grid.cols


def test_margin_but_not_at_the_rasters_edge() -> None:
    (window,) = plan(GRID, [patch_at(GRID, 10, 20)])
    assert (window.y0, window.y1, window.x0, window.x1) == (72, 96, 152, 176)
    (corner,) = plan(GRID, [patch_at(GRID, 0, 0)])
    assert (corner.y0, corner.y1, corner.x0, corner.x1) == (0, 16, 0, 16)


def test_far_apart_stays_apart_and_near_comes_together() -> None:
    far = [patch_at(GRID, 3, 3), patch_at(GRID, 20, 30)]
    near = [patch_at(GRID, 3, 3), patch_at(GRID, 4, 4)]
    assert len(plan(GRID, far)) == 2
    assert len(plan(GRID, near)) == 1
    assert cells(plan(GRID, far)) == 2 * 24**2


def test_a_hole_is_not_worth_a_cut() -> None:
    view = patches_over(GRID, (40, 104), (40, 104))
    hole = [patch for patch in view if (patch.row, patch.col) not in {(8, 8), (8, 9), (9, 8), (9, 9)}]
    assert plan(GRID, hole) == plan(GRID, view)


def test_first_wanted_first() -> None:
    wanted = [patch_at(GRID, row, col) for row, col in ((20, 30), (3, 3), (20, 5))]
    windows = plan(GRID, wanted)
    assert [set(patches_in(GRID, window)) >= {patch} for window, patch in zip(windows, wanted, strict=True)]
    assert [(window.row, window.col) for window in windows] == [(20, 30), (3, 3), (20, 5)]


def test_nothing() -> None:
    assert plan(GRID, []) == []


def test_rectangles() -> None:
    corner = {(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (4, 0)}
    assert sorted(rectangles(corner)) == [(0, 0, 2, 2), (2, 0, 3, 1), (4, 0, 5, 1)]
    assert merged([(0, 0, 2, 2), (2, 0, 3, 1)], 1) == [(0, 0, 3, 2)]
    assert split((0, 0, 10, 5), 4) == [
        (0, 0, 3, 2), (0, 2, 3, 5), (3, 0, 6, 2), (3, 2, 6, 5), (6, 0, 10, 2), (6, 2, 10, 5),
    ]  # fmt: skip
    assert SIDE == 8
