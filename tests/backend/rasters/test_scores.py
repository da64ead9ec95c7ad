"""The strip of scores blends like one whole array, while it forgets the rows that are done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.rasters.grid import FeatureGrid
from backend.rasters.scores import ScoreStrip


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 120),
    cols=st.integers(1, 60),
    trim=st.integers(0, 8),
    ramp=st.integers(0, 4),
    step=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_strip_is_the_whole(rows: int, cols: int, trim: int, ramp: int, step: int, seed: int) -> None:
    grid = FeatureGrid(0, 0, cols, rows, 1, 0.5, tile_cells=4 * trim + 2 * ramp + 8, trim=trim, ramp=ramp)
    random = np.random.default_rng(seed)
    scores = {tile: random.random((2, tile.y1 - tile.y0, tile.x1 - tile.x0)) for tile in grid.tiles()}
    whole = np.zeros((2, rows, cols))
    for tile, values in scores.items():
        whole[:, tile.y0 : tile.y1, tile.x0 : tile.x1] += values * grid.weights(tile)

    strip, done = ScoreStrip(grid, 2), 0
    for tile, values in scores.items():
        strip.add(tile, values.astype(np.float32))
        if tile.x1 < cols:
            continue
        final = grid.final_rows(tile.row)
        # Released rows may reach beyond the first row of the next tiles, which they spoil.
        while min(done + step, rows) <= final and done < rows:
            stop = min(done + step, rows)
            assert strip.window((done, stop), (0, cols)) == pytest.approx(whole[:, done:stop], abs=1e-5)
            done = stop
        strip.release(done)
    assert done == rows


def test_cells_without_a_tile_are_zero() -> None:
    grid = FeatureGrid(0, 0, 300, 300, 1, 0.5)
    strip = ScoreStrip(grid, 3)
    first = next(iter(grid.tiles()))
    strip.add(first, np.full((3, first.y1, first.x1), 5, np.float32))
    scores = strip.window((0, 200), (0, 300))
    assert scores.shape == (3, 200, 300)
    assert scores.dtype == np.float32
    assert (scores[:, :60, :60] == 5).all()
    assert not scores[:, 150:, 150:].any()


def test_a_tile_that_was_left_out_does_not_darken_its_neighbours() -> None:
    grid = FeatureGrid(0, 0, 150, 20, 1, 0.5)
    strip = ScoreStrip(grid, 1)
    first, second = grid.tiles()
    strip.add(first, np.full((1, 20, first.x1), 5, np.float32))
    # Where the left-out tile has some weight, too, the score is that of the other one.
    blended = strip.window((0, 20), (second.x0 + grid.trim, first.x1 - grid.trim))
    assert blended == pytest.approx(5)
