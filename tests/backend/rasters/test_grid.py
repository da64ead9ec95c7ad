"""Tiles cover the grid and blend to one; interpolation is linear and its transpose is pooling."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from backend.rasters.grid import FeatureGrid, cover


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int, int]:
    """Length, size, overlap."""
    overlap = draw(st.integers(0, 24))
    size = draw(st.integers(2 * overlap + 1, 2 * overlap + 100))
    return draw(st.integers(1, 1500)), size, overlap


@st.composite
def grids(draw: st.DrawFn, largest: int = 160) -> FeatureGrid:
    trim, ramp = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    cell = draw(st.integers(1, 12))
    return FeatureGrid(
        left=draw(st.integers(0, 50)),
        top=draw(st.integers(0, 50)),
        width=draw(st.integers(1, largest)),
        height=draw(st.integers(1, largest)),
        cell=cell,
        first_center=draw(st.floats(0, 1)) * cell,
        tile_cells=draw(st.integers(4 * trim + 2 * ramp + 4, 60)),
        trim=trim,
        ramp=ramp,
    )


@given(spans())
def test_cover(given_spans: tuple[int, int, int]) -> None:
    length, size, overlap = given_spans
    found = cover(length, size, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == length
    lengths = {stop - start for start, stop in found}
    assert len(lengths) == 1
    assert lengths.pop() <= size
    assert all(before[1] - after[0] >= overlap for before, after in pairwise(found))
    assert all(before[0] < after[0] for before, after in pairwise(found))
    # One span less, however it is placed, is too few.
    assert len(found) == 1 or (len(found) - 1) * (size - overlap) + overlap < length


@pytest.mark.parametrize(("size", "overlap"), [(12, 6), (5, 12), (0, 0)])
def test_cover_with_spans_that_cannot_advance(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="too small"):
        cover(100, size, overlap)


@settings(max_examples=150, deadline=None)
@given(grids())
def test_tiles_cover_the_part_and_weights_add_up_to_one(grid: FeatureGrid) -> None:
    total, times = np.zeros((grid.rows, grid.cols)), np.zeros((grid.height, grid.width), int)
    tiles = list(grid.tiles())
    assert len(tiles) == grid.tile_count
    for tile in tiles:
        assert tile.y1 - tile.y0 <= grid.tile_cells
        assert tile.x1 - tile.x0 <= grid.tile_cells
        weights = grid.weights(tile)
        assert weights.shape == (tile.y1 - tile.y0, tile.x1 - tile.x0)
        assert (weights >= 0).all()
        total[tile.y0 : tile.y1, tile.x0 : tile.x1] += weights
        place = grid.pixels(tile)
        assert place.width > 0
        assert place.height > 0
        rows, cols = slice(place.row_off - grid.top, None), slice(place.col_off - grid.left, None)
        times[rows, cols][: place.height, : place.width] += 1
        # What the padding at inner edges spoils counts for nothing.
        if tile.row > 0:
            assert not weights[: grid.trim].any()
        if tile.y1 < grid.rows:
            assert not weights[weights.shape[0] - grid.trim :].any()
        if tile.col > 0:
            assert not weights[:, : grid.trim].any()
        if tile.x1 < grid.cols:
            assert not weights[:, weights.shape[1] - grid.trim :].any()
    assert total == pytest.approx(1, abs=1e-6)
    assert (times > 0).all()


@settings(max_examples=100, deadline=None)
@given(grids())
def test_final_rows_are_not_changed_by_later_tiles(grid: FeatureGrid) -> None:
    for row in range(len(grid.row_spans)):
        final = grid.final_rows(row)
        for tile in grid.tiles():
            if tile.row > row:
                assert not grid.weights(tile)[: max(final - tile.y0, 0)].any()
    assert grid.final_rows(len(grid.row_spans) - 1) == grid.rows


@settings(max_examples=100, deadline=None)
@given(grids(), st.data())
def test_interpolation_is_linear_between_centres(grid: FeatureGrid, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, grid.cols - 1))
    last = data.draw(st.integers(first + 1, grid.cols))
    start = data.draw(st.integers(0, grid.width - 1))
    stop = data.draw(st.integers(start, grid.width))
    matrix = grid.interpolation((start, stop), (first, last))
    assert matrix.shape == (stop - start, last - first)
    assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (matrix >= 0).all()
    values = np.random.default_rng(0).random(last - first)
    where = (np.arange(start, stop) + 0.5 - grid.first_center) / grid.cell - first
    plain = map_coordinates(values, where[None], order=1, mode="nearest")
    assert matrix @ values == pytest.approx(plain, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(grids(60), st.integers(0, 99))
def test_pooling_upsampled_features_is_pooling_with_the_transpose(grid: FeatureGrid, seed: int) -> None:
    random = np.random.default_rng(seed)
    features = random.random((3, grid.rows, grid.cols))
    mask = random.random((grid.height, grid.width)) < 0.3
    vertical = grid.interpolation((0, grid.height), (0, grid.rows))
    horizontal = grid.interpolation((0, grid.width), (0, grid.cols))
    upsampled = np.stack([vertical @ feature @ horizontal.T for feature in features])
    weights = vertical.T @ mask @ horizontal
    assert weights.sum() == pytest.approx(mask.sum(), rel=1e-5)
    assert (features * weights).sum(axis=(1, 2)) == pytest.approx(upsampled[:, mask].sum(axis=1), rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(grids(), st.integers(0, 99))
def test_tiles_pool_like_the_whole_grid(grid: FeatureGrid, seed: int) -> None:
    # A tile interpolates at its inner edges without its neighbours, so these must be trimmed.
    assume(grid.trim >= 1)
    mask = np.random.default_rng(seed).random((grid.height, grid.width)).astype(np.float32)
    vertical = grid.interpolation((0, grid.height), (0, grid.rows))
    horizontal = grid.interpolation((0, grid.width), (0, grid.cols))
    whole, total = vertical.T @ mask @ horizontal, np.zeros((grid.rows, grid.cols))
    for tile in grid.tiles():
        place = grid.pixels(tile)
        top, left = place.row_off - grid.top, place.col_off - grid.left
        vertical = grid.interpolation((top, top + place.height), (tile.y0, tile.y1))
        horizontal = grid.interpolation((left, left + place.width), (tile.x0, tile.x1))
        part = mask[top : top + place.height, left : left + place.width]
        total[tile.y0 : tile.y1, tile.x0 : tile.x1] += (vertical.T @ part @ horizontal) * grid.weights(tile)
    assert total == pytest.approx(whole, rel=1e-4, abs=1e-4)
