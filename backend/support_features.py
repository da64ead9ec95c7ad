"""From support polygons to what a head is fitted on: the encoder runs over the tiles around the polygons only."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from .errors import SupportError
from .heads.support import SupportFeatures
from .rasters.grid import FeatureGrid, Tile
from .rasters.source import RasterSource
from .rasters.support import ClassInfo, SupportSet

PIXELS_PER_POLYGON = 400
CELLS_PER_POLYGON = 48
_LARGEST = 1e4  # of features in half precision
_CHUNK = 2048  # pixels; large polygons are sampled in windows of this side


class FeatureStore:
    """Features of tiles in a private temporary folder, in half precision, up to a number of bytes.

    The tiles around the support polygons are encoded before the head can be fitted and are needed again when the
    raster is labelled; this saves the second pass.
    """

    def __init__(self, limit: int = 4 << 30) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="protolabel-"))
        self._closed = False
        free = shutil.disk_usage(self._folder).free
        self._room = min(limit, free // 4)
        self._files: dict[tuple[int, int], Path] = {}
        self._lock = threading.Lock()

    def put(self, tile: Tile, features: Tensor) -> None:
        """Keep a tile's features when there is room; several threads may call this at once."""
        size = features.numel() * 2
        with self._lock:
            if size > self._room:
                return
            self._room -= size
        # Half precision ends at 65504; a cosine does not see the scale.
        lowest, highest = torch.aminmax(features)
        largest = max(-float(lowest), float(highest))
        # Channels last, as the encoder's memory lies: written straight out of it.
        channels_last = features.permute(1, 2, 0)
        if largest > _LARGEST:
            channels_last = channels_last * (_LARGEST / largest)
        stored = channels_last.half().cpu().numpy()
        path = self._folder / f"{tile.row}_{tile.col}.npy"
        try:
            np.save(path, stored)
        except OSError:  # the disk is full: do without
            path.unlink(missing_ok=True)
            return
        self._files[tile.row, tile.col] = path
        if self._closed:  # while this tile was still on its way
            self.close()

    def get(self, tile: Tile) -> Tensor | None:
        """A tile's features, or None; the file is given up with it."""
        path = self._files.pop((tile.row, tile.col), None)
        if path is None:
            return None
        features = torch.from_numpy(np.load(path)).float()
        path.unlink()
        return features.permute(2, 0, 1)

    def __contains__(self, tile: Tile) -> bool:
        return (tile.row, tile.col) in self._files

    def close(self) -> None:
        """Remove the folder; a thread that is still at work may come too late."""
        self._closed = True
        shutil.rmtree(self._folder, ignore_errors=True)


class PolygonFeatures:
    """What the features of one polygon add up to, and a sample of its cells.

    Attributes:
        sum: Weighted sum of its features, shape (D,).
        area: Sum of the weights; 0 when no pixel of it is valid.
    """

    def __init__(self, channels: int, cells: float) -> None:
        """Start at nothing.

        Args:
            channels: D.
            cells: About how many the polygon has, of which a part is kept.
        """
        self.sum, self.area = np.zeros(channels), 0.0
        self._share = min(1.0, CELLS_PER_POLYGON / max(cells, 1.0))
        self._cells: dict[tuple[int, int], tuple[NDArray[np.float32], float]] = {}

    def add(self, places: NDArray[np.int64], weights: NDArray[np.float32], features: Tensor) -> None:
        """Add cells; a cell that several tiles show is given by each of them with its part of the weight.

        Args:
            places: Row and column of each cell in the grid, shape (cells, 2).
            weights: Pixels of the polygon that each stands for, shape (cells,), above 0.
            features: Shape (cells, D).
        """
        weight = torch.from_numpy(weights).to(features)
        self.sum += (weight @ features).cpu().numpy()
        self.area += float(weights.sum())
        kept = np.flatnonzero(_spread(places) < self._share)
        for (row, col), own, at in zip(
            places[kept].tolist(),
            features[torch.from_numpy(kept).to(features.device)].float().cpu().numpy(),
            weights[kept].tolist(),
            strict=True,
        ):
            before, total = self._cells.get((row, col), (0.0, 0.0))
            self._cells[row, col] = (before + at * own, total + at)

    def sample(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features of the cells that were kept, shape (M, D), and their weights, shape (M,)."""
        order = sorted(self._cells)
        weights = np.array([self._cells[place][1] for place in order], np.float32)
        sums = [self._cells[place][0] for place in order]
        cells = np.array(sums, np.float32).reshape(len(order), len(self.sum))
        return cells / weights[:, None], weights


def cell_places(cells: NDArray[np.int64], tile: Tile) -> NDArray[np.int64]:
    """Row and column in the grid of cells that are counted row by row within a tile, shape (cells, 2)."""
    rows, cols = np.divmod(cells, tile.x1 - tile.x0)
    return np.stack([rows + tile.y0, cols + tile.x0], axis=1)


def _spread(places: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number from 0 to 1 for each cell of which those below any limit lie evenly (Roberts's sequence R2)."""
    numbers: NDArray[np.float64] = np.modf(places @ np.array([0.7548776662466927, 0.5698402909980532]))[0]
    return numbers


class SupportPooling:
    """Pools the features of support polygons over tiles, exactly as over the whole blended feature map."""

    def __init__(self, source: RasterSource, support: SupportSet, grid: FeatureGrid, channels: int) -> None:
        self._source, self._support, self._grid = source, support, grid
        self._polygons = [PolygonFeatures(channels, p.area / grid.cell**2) for p in support.polygons]

    def tiles(self) -> list[Tile]:
        """The tiles that touch a polygon."""
        return [tile for tile in self._grid.tiles() if self._support.touching(self._grid.pixels(tile))]

    def add(self, tile: Tile, features: Tensor, valid: NDArray[np.bool_]) -> None:
        """Add what a tile shows of the polygons.

        The polygons' full-resolution masks are taken to the feature grid by the adjoint of the interpolation
        (:meth:`FeatureGrid.interpolation`); upsampling the features instead gives the same sums at many times the
        cost. The tile's blending weights make the sum over overlapping tiles a weighted mean.

        Args:
            tile: The tile.
            features: Shape (channels, tile rows, tile columns).
            valid: Shape (height, width) of the tile's pixels.
        """
        grid, window = self._grid, self._grid.pixels(tile)
        blend = grid.weights(tile)
        rows = features.permute(1, 2, 0).reshape(-1, features.shape[0])
        for index in self._support.touching(window):
            box = self._support.bounds(index, window)
            if box is None:
                continue
            row, col = int(box.row_off - window.row_off), int(box.col_off - window.col_off)
            seen = valid[row : row + int(box.height), col : col + int(box.width)]
            weights = pooling_weights(grid, tile, box, self._support.mask(index, box) & seen) * blend
            cells = np.flatnonzero(weights)
            if len(cells):
                places = cell_places(cells, tile)
                chosen = rows[torch.from_numpy(cells).to(rows.device)]
                self._polygons[index].add(places, weights.ravel()[cells], chosen)

    def finish(self, say: Callable[[str], None], alone: bool = True) -> SupportFeatures:
        """The pooled features and a sample of pixel values.

        Args:
            say: Told of polygons that hold no usable pixel and are left out.
            alone: Whether this is all the support; else other rasters may hold what is missing here.

        Raises:
            SupportError: When a class is left with no polygon.
        """
        polygons = range(len(self._support.polygons))
        samples = [sample_polygon(self._source, self._support, index) for index in polygons]
        return collect_features(self._support, self._source.path, self._polygons, samples, say, alone)


def pooling_weights(
    grid: FeatureGrid, tile: Tile, box: Window, mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """What each cell of a tile counts for the features of a mask over a box of pixels inside the tile."""
    y, x = int(box.row_off) - grid.top, int(box.col_off) - grid.left
    vertical = grid.interpolation((y, y + mask.shape[0]), (tile.y0, tile.y1))
    horizontal = grid.interpolation((x, x + mask.shape[1]), (tile.x0, tile.x1))
    return vertical.T @ mask.astype(np.float32) @ horizontal


def collect_features(
    support: SupportSet,
    raster: str,
    polygons: Sequence[PolygonFeatures | None],
    samples: Sequence[NDArray[np.float32]],
    say: Callable[[str], None],
    alone: bool = True,
) -> SupportFeatures:
    """What a head is fitted on, from what was pooled and sampled of each polygon.

    Args:
        support: The polygons.
        raster: Its path.
        polygons: What is known of each; None counts as nothing.
        samples: Pixel values of each polygon, shape (bands, n).
        say: Told of polygons that hold no usable pixel and are left out.
        alone: Whether this is all the support; else other rasters may hold what is missing here.

    Raises:
        SupportError: When a class is left with no polygon.
    """
    used = [
        i
        for i, (sample, own) in enumerate(zip(samples, polygons, strict=True))
        if sample.shape[1] and own is not None and own.area > 0
    ]
    if alone:
        check_support([support.labels[i] for i in used], support.classes, raster)
    if len(used) < len(samples):
        say(f"{len(samples) - len(used)} polygons cover no valid pixel of their own and were left out.")
    pixels = [samples[i].T for i in used]
    known = [own for i in used if (own := polygons[i]) is not None]
    cells = [own.sample() for own in known]
    return SupportFeatures(
        labels=np.array([support.labels[i] for i in used], np.int64),
        prototypes=np.array([own.sum / own.area for own in known] or np.zeros((0, 0)), np.float32),
        pixels=np.concatenate(pixels or [np.zeros((0, 0))]).astype(np.float32),
        pixel_polygon=np.repeat(np.arange(len(used)), [len(values) for values in pixels]),
        classes=len(support.classes),
        cells=np.concatenate([own for own, _ in cells] or [np.zeros((0, 0), np.float32)]),
        cell_polygon=np.repeat(np.arange(len(used)), [len(own) for own, _ in cells]),
        cell_weights=np.concatenate([own for _, own in cells] or [np.zeros(0, np.float32)]),
    )


def check_support(labels: Iterable[int], classes: Sequence[ClassInfo], rasters: str) -> None:
    """Check that every class has a polygon that can be used.

    Args:
        labels: Class index of each polygon in use.
        classes: All of them.
        rasters: Where the polygons lie, for the message.

    Raises:
        SupportError: When a class has none.
    """
    found = set(labels)
    if not found:
        raise SupportError(
            f"No support polygon covers a valid pixel of {rasters}, which is nodata there; check the raster's "
            "nodata value and mask, or draw where it has data."
        )
    for label, info in enumerate(classes):
        if label not in found:
            raise SupportError(
                f"No polygon of the class {info.name!r} covers a valid pixel of {rasters} of its own; draw one "
                "where the raster has data and no other class overlaps it."
            )


def sample_polygon(source: RasterSource, support: SupportSet, index: int) -> NDArray[np.float32]:
    """Valid pixel values of a polygon with shape (bands, n), on a lattice that does not depend on any tiling."""
    whole = support.bounds(index, source.window)
    if whole is None:
        return np.zeros((source.spectral_count, 0), np.float32)
    area = max(support.polygons[index].area, 1.0)
    step = max(1, int(np.sqrt(area / PIXELS_PER_POLYGON)))
    values = []
    for window in _chunks(whole):
        mask = support.mask(index, window)
        rows, cols = np.ogrid[: mask.shape[0], : mask.shape[1]]
        lattice = ((rows + int(window.row_off)) % step == 0) & ((cols + int(window.col_off)) % step == 0)
        # A slim polygon may slip between the lattice's lines.
        chosen = mask & lattice if (mask & lattice).sum() >= 16 else mask
        spectral, valid = source.read(window)
        values.append(spectral[:, chosen & valid])
    sample = np.concatenate(values, axis=1)
    thin = max(1, sample.shape[1] // (2 * PIXELS_PER_POLYGON))
    return sample[:, ::thin]


def _chunks(window: Window) -> list[Window]:
    right, bottom = int(window.col_off + window.width), int(window.row_off + window.height)
    return [
        Window(col, row, min(_CHUNK, right - col), min(_CHUNK, bottom - row))
        for row in range(int(window.row_off), bottom, _CHUNK)
        for col in range(int(window.col_off), right, _CHUNK)
    ]
