"""Tiles reach the encoder filled, padded and resampled, whatever the raster lacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.rasters.grid import FeatureGrid
from backend.rasters.imagery import STRIDE, fill_invalid, pad_to, read_tile
from backend.rasters.source import RasterSource

from .conftest import MakeRaster

_SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


@settings(max_examples=200)
@given(st.data())
def test_filling_depends_on_valid_pixels_only(data: st.DataObject) -> None:
    valid = data.draw(arrays(bool, _SHAPES))
    random = np.random.default_rng(0)
    image = random.random((3, *valid.shape)).astype(np.float32)
    other = np.where(valid, image, random.random(image.shape).astype(np.float32))
    filled = fill_invalid(image, valid)
    assert filled.shape == image.shape
    if valid.any():
        assert (filled == fill_invalid(other, valid)).all()
        assert (filled[:, valid] == image[:, valid]).all()
        assert np.isin(filled[0], image[0][valid]).all()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 3))
def test_a_straight_edge_mirrors(size: int, missing: int, turns: int) -> None:
    image = np.random.default_rng(0).random((1, 5, size)).astype(np.float32)
    mirrored = np.pad(image, ((0, 0), (0, 0), (0, min(missing, size))), mode="symmetric")
    whole, valid = np.full((1, 5, size + missing), 9, np.float32), np.zeros((5, size + missing), bool)
    whole[..., :size], valid[:, :size] = image, True
    filled = fill_invalid(np.rot90(whole, turns, (1, 2)), np.rot90(valid, turns))
    filled = np.rot90(filled, -turns, (1, 2))
    assert (filled[..., : mirrored.shape[2]] == mirrored).all()
    # Beyond what there is to mirror, anything valid will do.
    assert (filled <= 1).all()


def test_a_corner_mirrors_both_ways() -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    whole, valid = np.full((1, 8, 8), -1, np.float32), np.zeros((8, 8), bool)
    whole[:, :4, :4], valid[:4, :4] = image, True
    assert (fill_invalid(whole, valid) == np.pad(image, ((0, 0), (0, 4), (0, 4)), mode="symmetric")).all()


def test_one_valid_pixel_fills_all() -> None:
    image, valid = np.zeros((2, 7, 9), np.float32), np.zeros((7, 9), bool)
    image[:, 3, 5], valid[3, 5] = (4, 6), True
    assert (fill_invalid(image, valid) == image[:, 3:4, 5:6]).all()


@given(_SHAPES, st.integers(0, 40), st.integers(0, 40))
def test_padding(shape: tuple[int, int], down: int, right: int) -> None:
    image = np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    padded = pad_to(image, shape[0] + down, shape[1] + right)
    assert padded.shape == (2, shape[0] + down, shape[1] + right)
    assert padded.flags.c_contiguous
    rows = np.abs((np.arange(shape[0] + down) + shape[0]) % (2 * shape[0]) - shape[0] + 0.5) - 0.5
    cols = np.abs((np.arange(shape[1] + right) + shape[1]) % (2 * shape[1]) - shape[1] + 0.5) - 0.5
    assert (padded == image[:, rows.astype(int)][:, :, cols.astype(int)]).all()


def _grid(width: int, height: int, cell: int) -> FeatureGrid:
    return FeatureGrid(0, 0, width, height, cell, cell / 2, tile_cells=12, trim=2, ramp=1)


@pytest.mark.parametrize("cell", [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 40, 64])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 90), (90, 1), (133, 71)])
def test_the_encoder_gets_8_pixels_per_cell(
    make_raster: MakeRaster, cell: int, width: int, height: int
) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (4, height, width)).astype(np.uint8)
    valid = np.random.default_rng(1).random((height, width)) < 0.9
    valid[0, 0] = True
    grid = _grid(width, height, cell)
    with RasterSource(make_raster(pixels, mask=valid), bands=(3, 2, 1, 4)) as source:
        for tile in grid.tiles():
            window = grid.pixels(tile)
            read = read_tile(source, grid, tile, pixels=True)
            assert read.valid is not None
            assert read.spectral is not None
            assert read.valid.shape == (window.height, window.width)
            assert read.spectral.shape == (4, window.height, window.width)
            assert (read.image is not None) == read.valid.any()
            again = read_tile(source, grid, tile)
            assert again.spectral is None
            assert again.valid is None
            if read.image is None or again.image is None:
                assert again.image is read.image
                continue
            assert read.image.shape == (3, STRIDE * (tile.y1 - tile.y0), STRIDE * (tile.x1 - tile.x0))
            assert read.image.dtype == torch.float32
            assert torch.equal(read.image, again.image)
            assert read.image.min() > 0
            assert read.image.max() <= 255


def test_scale_1_is_the_raster_itself(make_raster: MakeRaster) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 64, 72)).astype(np.uint8)
    with RasterSource(make_raster(pixels)) as source:
        grid = _grid(72, 64, 8)
        (tile,) = grid.tiles()
        image = read_tile(source, grid, tile).image
    assert image is not None
    assert (image.numpy() == pixels).all()


def test_scale_half_is_the_mean_of_four(make_raster: MakeRaster) -> None:
    pixels = (np.random.default_rng(0).integers(0, 60, (3, 64, 96)) * 4).astype(np.uint8)
    with RasterSource(make_raster(pixels)) as source:
        grid = _grid(96, 64, 16)
        (tile,) = grid.tiles()
        image = read_tile(source, grid, tile).image
    means = pixels.reshape(3, 32, 2, 48, 2).mean(axis=(2, 4))
    assert image is not None
    assert np.abs(image.numpy() - means).max() <= 0.5


def test_scale_2_keeps_a_slope(make_raster: MakeRaster) -> None:
    pixels = np.broadcast_to(np.arange(40, dtype=np.uint8) * 4, (3, 32, 40))
    with RasterSource(make_raster(pixels)) as source:
        grid = _grid(40, 32, 4)
        (tile,) = grid.tiles()
        image = read_tile(source, grid, tile).image
    assert image is not None
    expected = (np.arange(80) + 0.5) / 2 * 4 - 2
    assert image[0, 3, 1:-1].numpy() == pytest.approx(expected[1:-1])


def test_one_valid_pixel_under_a_coarse_scale_is_not_lost(make_raster: MakeRaster) -> None:
    pixels = np.zeros((3, 128, 128), np.uint8)
    pixels[:, 77, 45] = 200
    with RasterSource(make_raster(pixels, nodata=0)) as source:
        grid = _grid(128, 128, 64)
        (tile,) = grid.tiles()
        image = read_tile(source, grid, tile).image
    assert image is not None
    assert (image == 200).all()


def test_nothing_valid(make_raster: MakeRaster) -> None:
    with RasterSource(make_raster(np.zeros((3, 40, 40), np.uint8), nodata=0)) as source:
        for cell in (4, 8, 16):
            grid = _grid(40, 40, cell)
            assert all(read_tile(source, grid, tile, pixels=True).image is None for tile in grid.tiles())
