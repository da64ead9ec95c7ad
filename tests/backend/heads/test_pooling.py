"""Masked average pooling over tiles against the papers' definition, and the store of features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from backend.errors import SupportError
from backend.rasters.grid import FeatureGrid, Tile
from backend.rasters.source import RasterSource
from backend.rasters.support import ClassInfo, SupportSet
from backend.support_features import CELLS_PER_POLYGON, FeatureStore, PolygonFeatures, SupportPooling

HEIGHT, WIDTH, CHANNELS = 203, 260, 5
POLYGONS = (
    shapely.Polygon([(20.2, 13.7), (190.1, 40.4), (120.9, 180.3)]),  # over many tiles
    shapely.box(30, 150, 33, 153),  # smaller than a cell
    shapely.box(250.2, 190.2, 250.6, 190.6),  # smaller than a pixel, and off every pixel's centre
    shapely.Point(200, 100).buffer(30),
    shapely.box(-5, 195, 12, 230),  # over the edge
)
LABELS = (0, 1, 2, 2, 1)


@pytest.fixture
def source(make_raster: Callable[..., Path]) -> Iterator[RasterSource]:
    image = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH), np.uint8)
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[60:90, 100:140] = False
    with RasterSource(make_raster(image, mask=mask)) as opened:
        yield opened


def _support(
    polygons: tuple[shapely.Geometry, ...] = POLYGONS, labels: tuple[int, ...] = LABELS
) -> SupportSet:
    classes = tuple(ClassInfo(10 + label, f"class {label}") for label in range(max(labels) + 1))
    return SupportSet(classes, polygons, labels)


def _grid(cell: int, tile_cells: int) -> FeatureGrid:
    return FeatureGrid(0, 0, WIDTH, HEIGHT, cell, 3.0 * cell / 8, tile_cells=tile_cells, trim=2, ramp=2)


def _pool(
    source: RasterSource, support: SupportSet, grid: FeatureGrid
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Pooled prototypes, and the blended features of the whole grid, shape (channels, rows, columns)."""
    generator = torch.Generator().manual_seed(0)
    blended = np.zeros((CHANNELS, grid.rows, grid.cols))
    pooling = SupportPooling(source, support, grid, CHANNELS)
    wanted = pooling.tiles()
    for tile in grid.tiles():
        # Tiles differ where they overlap, as those of an encoder do.
        features = torch.randn(CHANNELS, tile.y1 - tile.y0, tile.x1 - tile.x0, generator=generator)
        blended[:, tile.y0 : tile.y1, tile.x0 : tile.x1] += features.numpy() * grid.weights(tile)
        if tile in wanted:
            pooling.add(tile, features, source.read(grid.pixels(tile))[1])
    return pooling.finish(lambda text: None).prototypes, blended


def _upsample(features: NDArray[np.float64], grid: FeatureGrid) -> NDArray[np.float64]:
    """Bilinear interpolation to the centres of all pixels; cell k lies at ``first_center + k * cell``."""
    rows = (np.arange(HEIGHT) + 0.5 - grid.first_center) / grid.cell
    cols = (np.arange(WIDTH) + 0.5 - grid.first_center) / grid.cell
    places = np.meshgrid(rows, cols, indexing="ij")
    return np.stack([map_coordinates(channel, places, order=1, mode="nearest") for channel in features])


@pytest.mark.parametrize(
    ("cell", "tile_cells", "tiles"), [(8, 88, 1), (8, 14, 12), (4, 16, 30), (16, 13, 2)], ids=str
)
def test_pooling_is_the_mean_of_the_upsampled_features_under_the_mask(
    cell: int, tile_cells: int, tiles: int, source: RasterSource
) -> None:
    grid, support = _grid(cell, tile_cells), _support()
    assert grid.tile_count == tiles
    prototypes, blended = _pool(source, support, grid)
    upsampled, valid = _upsample(blended, grid), source.read(source.window)[1]
    assert not valid.all()
    for index in range(len(POLYGONS)):
        mask = support.mask(index, source.window) & valid
        assert mask.any()
        np.testing.assert_allclose(prototypes[index], upsampled[:, mask].mean(axis=1), rtol=1e-3, atol=1e-4)


def test_tiles_are_those_of_the_polygons(source: RasterSource) -> None:
    grid = _grid(8, 14)
    support = _support((shapely.box(5, 5, 20, 20), shapely.box(30, 5, 50, 20)), (0, 1))
    tiles = SupportPooling(source, support, grid, CHANNELS).tiles()
    assert [(tile.row, tile.col) for tile in tiles] == [(0, 0)]


def test_polygons_without_a_valid_pixel_are_left_out(source: RasterSource) -> None:
    said: list[str] = []
    polygons = (shapely.box(105, 65, 135, 85), shapely.box(20, 20, 40, 40), shapely.box(200, 20, 220, 40))
    pooling = SupportPooling(source, _support(polygons, (0, 0, 1)), _grid(8, 88), CHANNELS)
    for tile in pooling.tiles():
        pooling.add(tile, torch.ones(CHANNELS, 26, 33), source.read(source.window)[1])
    features = pooling.finish(said.append)
    assert features.labels.tolist() == [0, 1]
    assert len(said) == 1
    assert "1 polygon" in said[0]
    assert features.pixel_polygon.max() == 1
    assert len(features.pixels) == len(features.pixel_polygon)


def test_a_class_without_a_valid_pixel_is_an_error(source: RasterSource) -> None:
    polygons = (shapely.box(105, 65, 135, 85), shapely.box(20, 20, 40, 40))
    pooling = SupportPooling(source, _support(polygons, (0, 1)), _grid(8, 88), CHANNELS)
    for tile in pooling.tiles():
        pooling.add(tile, torch.ones(CHANNELS, 26, 33), source.read(source.window)[1])
    with pytest.raises(SupportError, match="class 0"):
        pooling.finish(lambda text: None)


def _tile(row: int, col: int) -> Tile:
    return Tile(row, col, 0, 4, 0, 6)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_store_keeps_features_once(temporary: Path) -> None:
    store, features = FeatureStore(), torch.randn(CHANNELS, 4, 6)
    store.put(_tile(0, 1), features)
    assert _tile(0, 1) in store
    assert _tile(1, 0) not in store
    assert store.get(_tile(1, 0)) is None
    back = store.get(_tile(0, 1))
    assert back is not None
    assert back.dtype == torch.float32
    torch.testing.assert_close(back, features, rtol=1e-3, atol=1e-3)
    assert _tile(0, 1) not in store
    assert store.get(_tile(0, 1)) is None
    assert not list(temporary.rglob("*.npy"))
    store.close()


def test_store_ends_with_its_folder(temporary: Path) -> None:
    store = FeatureStore()
    store.put(_tile(0, 0), torch.ones(CHANNELS, 4, 6))
    assert len(list(temporary.rglob("*.npy"))) == 1
    store.close()
    assert list(temporary.iterdir()) == []


def test_store_has_a_limit(temporary: Path) -> None:
    size = 2 * CHANNELS * 4 * 6  # bytes in half precision
    store = FeatureStore(limit=2 * size + 1)
    for col in range(4):
        store.put(_tile(0, col), torch.ones(CHANNELS, 4, 6))
    assert [_tile(0, col) in store for col in range(4)] == [True, True, False, False]
    store.close()


def test_store_that_is_closed_under_a_thread_leaves_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = FeatureStore()
    saved = np.save

    def slow_save(path, array) -> None:
        store.close()
        path.parent.mkdir(exist_ok=True)  # as when the file was opened before
        saved(path, array)

    monkeypatch.setattr(np, "save", slow_save)
    store.put(Tile(0, 0, 0, 2, 0, 2), torch.ones(3, 2, 2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("cell", "tile_cells"), [(8, 88), (8, 14), (4, 16)], ids=str)
def test_cells_are_those_of_the_blended_features_whatever_the_tiles(
    cell: int, tile_cells: int, source: RasterSource
) -> None:
    grid, support = _grid(cell, tile_cells), _support()
    generator = torch.Generator().manual_seed(0)
    blended = torch.zeros(CHANNELS, grid.rows, grid.cols)
    pooling = SupportPooling(source, support, grid, CHANNELS)
    for tile in grid.tiles():
        features = torch.randn(CHANNELS, tile.y1 - tile.y0, tile.x1 - tile.x0, generator=generator)
        blended[:, tile.y0 : tile.y1, tile.x0 : tile.x1] += features * torch.from_numpy(grid.weights(tile))
        pooling.add(tile, features, source.read(grid.pixels(tile))[1])
    found = pooling.finish(lambda text: None)
    rows = blended.flatten(1).T.numpy()
    assert len(found.cells) == len(found.cell_polygon) == len(found.cell_weights) > 0
    assert set(found.cell_polygon) <= set(range(len(POLYGONS)))
    assert (found.cell_weights > 0).all() and (found.cell_weights <= cell**2 + 1e-3).all()
    for feature in found.cells:
        # A polygon's pooling weights differ over a cell's tiles only where a tile shows less of the polygon.
        assert np.abs(rows - feature).max(axis=1).min() < 0.02
    counts = np.bincount(found.cell_polygon, minlength=len(POLYGONS))
    areas = np.array([polygon.area for polygon in POLYGONS]) / cell**2
    assert (counts[areas < 20] > 0).any() and (counts <= 2 * CELLS_PER_POLYGON).all()


def test_a_sample_of_cells_lies_evenly_and_is_bounded() -> None:
    pooled = PolygonFeatures(1, 4096.0)
    places = np.stack(np.divmod(np.arange(4096), 64), axis=1)
    pooled.add(places, np.ones(4096, np.float32), torch.from_numpy(places[:, :1]).float())
    cells, weights = pooled.sample()
    assert abs(len(cells) - CELLS_PER_POLYGON) <= 4 and len(weights) == len(cells)
    quarters = np.bincount(cells[:, 0].astype(int) // 16)
    assert quarters.min() >= CELLS_PER_POLYGON // 4 - 4
