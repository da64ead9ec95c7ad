"""What a labelling run would take, told before it is begun: one tile and one small block of the raster are timed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import rasterio
import shapely
import torch
from rasterio.windows import Window
from torch import Tensor

from .encoders.catalogue import load_model
from .encoders.runner import EncoderRunner, choose_device, cpu_count
from .errors import OutputError
from .gathering import GatheredSupport, gather_support, open_rasters
from .heads.spectral import SpectralModel
from .heads.support import SupportFeatures
from .labeling import (
    LabelOptions,
    choose_scale_for,
    chosen_part,
    feature_grid,
    refinement,
    score_weights,
    with_context,
)
from .outputs import check_outputs, support_files
from .progress import CancelToken
from .rasters.description import look_at_validity
from .rasters.grid import FeatureGrid, Tile
from .rasters.imagery import read_tile
from .rasters.source import RasterSource
from .refine.blocks import Block, label_block

_BLOCK = 768  # pixels; as the stream's
_SMALL_BLOCK = 256  # pixels a side that are timed
_LOOKS = 5  # by 5 tiles are tried to find one with valid pixels
_CACHE = 128 << 20  # bytes; as in a run
_START = 1.5  # seconds that helper processes take to start
# Measured on a machine with two cores, in pixels a second: what it takes to write an output and check it.
_LABELS_SPEED, _CONFIDENCE_SPEED = 30e6, 8e6
# Bytes, measured there too: a process with torch and a model; more for each tile that is encoded at once, per pixel of
# encoder input; each helper process; and per pixel and class of its block. With CUDA, a cautious guess.
_BASE, _PER_TILE_PIXEL, _HELPER, _PER_BLOCK_VALUE, _CUDA_BASE = 980e6, 250.0, 130e6, 60.0, 3000e6
# An output and its unfinished part lie beside each other for a while, one of them with overviews.
_COPIES = 1 + 4 / 3
# Bytes per pixel of both, as aerial imagery compresses.
_LABELS_PACKED, _CONFIDENCE_PACKED = 0.25, 2.5
_LONG = 3600.0  # seconds
_FAR, _LARGE = 100.0, 25e6  # times the polygons' extent, and pixels, from which the rest may look different


@dataclass(frozen=True)
class RunEstimate:
    """What a run would take.

    Attributes:
        width, height: Of the part that is labelled, in pixels.
        tiles: To encode.
        seconds: Wall time without the start of Python.
        memory: Of all processes of the run at their peak, in bytes.
        disk: In the output's folder, in bytes, with the unfinished parts, if nothing could be compressed.
        disk_expected: As it usually compresses; polygons are not counted.
        free_memory: Bytes.
        free_disk: Bytes, in the output's folder.
        warnings: What speaks against the run, in full sentences.
        possible: Whether the outputs can be written at all; else the first warning tells why not.
    """

    width: int
    height: int
    tiles: int
    seconds: float
    memory: int
    disk: int
    disk_expected: int
    free_memory: int
    free_disk: int
    warnings: tuple[str, ...]
    possible: bool = True


def estimate_run(
    raster: str | Path,
    support: str | Path,
    output: str | Path,
    options: LabelOptions | None = None,
    cancel: CancelToken | None = None,
) -> RunEstimate:
    """Estimate what :func:`backend.labeling.label_raster` would take with the same arguments; writes nothing.

    Raises:
        ProtolabelError: When raster, support or options cannot serve; what is wrong with the output is a warning.
        Cancelled: When ``cancel`` was used.
    """
    started = time.monotonic()
    options, cancel, output = options or LabelOptions(), cancel or CancelToken(), Path(output)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE))
        source, others = open_rasters(raster, options.support_rasters, options.bands, options.stretch, stack)
        found = gather_support(support, source, others, options.class_field, options.name_field)
        inputs = [file for each in (source, *others) for file in each.files]
        warnings = _output_warnings(output, options, [*inputs, *support_files(str(support))])
        runner = EncoderRunner(
            load_model(options.model, options.layers).encoder, choose_device(options.device)
        )
        scale = choose_scale_for(options, source, found)
        window, _ = chosen_part(options, source)
        whole = feature_grid(source.window, scale, runner, options)
        part = feature_grid(with_context(window, source, scale, options), scale, runner, options)
        cancel.check()
        share = _valid_share(source)
        opening = time.monotonic() - started

        options = replace(options, weights=score_weights(options), crf=refinement(options, scale))
        work = _Work(source, runner, part, window, options, len(found.classes))
        extra = _support_tiles(found, whole) if part != whole else 0
        seconds = opening + work.seconds(share, extra, cancel)
        memory = work.memory()

    pixels = int(window.width) * int(window.height)
    deep = 1 if all(info.id <= 254 for info in found.classes) else 2
    written = 2 if options.confidence else 0
    disk = int(pixels * _COPIES * (deep + written))
    expected = int(pixels * (_LABELS_PACKED * deep + (_CONFIDENCE_PACKED if written else 0)))
    seconds += pixels / _LABELS_SPEED + (pixels / _CONFIDENCE_SPEED if written else 0)
    estimate = RunEstimate(
        width=int(window.width),
        height=int(window.height),
        tiles=part.tile_count + extra,
        seconds=seconds,
        memory=memory,
        disk=disk,
        disk_expected=min(expected, disk),
        free_memory=int(psutil.virtual_memory().available),
        free_disk=_free_disk(output),
        warnings=tuple(warnings),
        possible=not warnings,
    )
    told = (*warnings, *_warnings(estimate, output.parent, found, window))
    return RunEstimate(**{**vars(estimate), "warnings": told})


class _Work:
    """The work of one run."""

    def __init__(
        self,
        source: RasterSource,
        runner: EncoderRunner,
        grid: FeatureGrid,
        window: Window,
        options: LabelOptions,
        classes: int,
    ) -> None:
        """Prepare; the options' refinement is already that of the scale."""
        self._source, self._runner, self._grid, self._window = source, runner, grid, window
        self._options, self._classes = options, classes
        self._cuda = runner.device.type == "cuda"
        self._blocks = -(-int(window.width) // _BLOCK) * -(-int(window.height) // _BLOCK)
        self._helpers = min(cpu_count(), self._blocks, 8) if options.crf and self._blocks > 1 else 0

    def seconds(self, share: float, extra: int, cancel: CancelToken) -> float:
        """Time for all tiles and blocks.

        Args:
            share: Of tiles that have valid pixels.
            extra: Tiles that are encoded for the support alone.
            cancel: Looked at between the steps.
        """
        cores = cpu_count()
        for tile in self._candidates():
            cancel.check()
            begun = time.monotonic()
            image = read_tile(self._source, self._grid, tile).image
            if image is None:
                continue
            reading = time.monotonic() - begun
            encoding = self._encoding(image)
            cancel.check()
            margin = 2 * (self._options.crf.margin if self._options.crf else 0)
            down, across = (
                int(side) + margin * (int(side) // _BLOCK)
                for side in (self._window.height, self._window.width)
            )
            blocks = share * down * across * self._block_seconds_per_pixel(tile)
            # Seconds of one core, or of the GPU, for all tiles; a run has few tiles that are not full.
            area = (image.shape[1] * image.shape[2]) / self._runner.stride**2
            cells = sum(y1 - y0 for y0, y1 in self._grid.row_spans) * sum(
                x1 - x0 for x0, x1 in self._grid.col_spans
            )
            tiles = share * cells / area + extra
            start = _START if self._helpers else 0.0
            if self._cuda:
                return start + max(tiles * (reading + encoding), blocks / max(self._helpers, 1))
            # With fewer tiles than cores, each takes several; the same for blocks.
            at_once = max(1, min(cores, self._helpers or self._blocks))
            return start + tiles * (reading + encoding) / cores + blocks / at_once
        return 0.0  # nothing to label

    def memory(self) -> int:
        """Bytes at the peak."""
        side = (
            max(*(stop - start for start, stop in (*self._grid.row_spans, *self._grid.col_spans)), 1)
            * self._runner.stride
        )
        at_once = min(self._runner.workers, self._grid.tile_count)
        encoder = _CUDA_BASE if self._cuda else _BASE + at_once * side**2 * _PER_TILE_PIXEL
        margin = 2 * (self._options.crf.margin if self._options.crf else 0)
        rows, cols = (min(int(size), _BLOCK + margin) for size in (self._window.height, self._window.width))
        block = rows * cols * self._classes * _PER_BLOCK_VALUE
        strip = 2 * 4 * (self._classes + 1) * self._grid.cols * self._grid.tile_cells
        return int(encoder + self._helpers * _HELPER + (self._helpers + 1) * block + strip)

    def _candidates(self) -> Iterator[Tile]:
        """Tiles spread over the part, the one in the middle first."""
        rows, cols = self._grid.row_spans, self._grid.col_spans
        places = [
            (row * (len(rows) - 1) // (_LOOKS - 1), col * (len(cols) - 1) // (_LOOKS - 1))
            for row in range(_LOOKS)
            for col in range(_LOOKS)
        ]
        middle = len(rows) // 2, len(cols) // 2
        for row, col in dict.fromkeys([middle, *places]):
            yield Tile(row, col, *rows[row], *cols[col])

    def _encoding(self, image: Tensor) -> float:
        """Seconds for one tile while all cores are busy."""
        self._runner.encode(image[:, :128, :128], 1)  # the first time, libraries prepare themselves
        at_once = min(self._runner.workers, self._grid.tile_count)
        threads = max(1, cpu_count() // at_once)
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(at_once) as pool:
                begun = time.monotonic()
                for features in pool.map(lambda _: self._runner.encode(image, threads), range(at_once)):
                    features[:1, :1, :1].cpu()  # a GPU has only been told what to do by now
                taken = time.monotonic() - begun
        finally:
            torch.set_num_threads(before)
        # In seconds of one core: a tile of several threads takes several cores.
        return taken if self._cuda else taken * threads

    def _block_seconds_per_pixel(self, tile: Tile) -> float:
        """Seconds of one core for each pixel of a block: scores to labels, with the spectral model and refinement."""
        pixels = self._grid.pixels(tile)
        window = Window(
            pixels.col_off,
            pixels.row_off,
            min(int(pixels.width), _SMALL_BLOCK),
            min(int(pixels.height), _SMALL_BLOCK),
        )
        spectral, valid = self._source.read(window)
        rows, cols = self._grid.cells_around(window)
        top, left = int(window.row_off) - self._grid.top, int(window.col_off) - self._grid.left
        rng = np.random.default_rng(0)
        block = Block(
            scores=rng.normal(size=(self._classes, rows[1] - rows[0], cols[1] - cols[0])).astype(np.float32),
            vertical=self._grid.interpolation((top, top + int(window.height)), rows),
            horizontal=self._grid.interpolation((left, left + int(window.width)), cols),
            spectral=spectral,
            colors=self._source.color_count,
            valid=valid,
            inner=(slice(None), slice(None)),
        )
        begun = time.monotonic()
        label_block(block, self._spectral(spectral), score_weights(self._options), self._options.crf)
        return (time.monotonic() - begun) / (int(window.width) * int(window.height))

    def _spectral(self, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> SpectralModel | None:
        """A spectral model of any content; it takes the same time."""
        if not self._options.spectral:
            return None
        labels = np.arange(self._classes)
        sample = np.resize(values.reshape(len(values), -1).T, (16 * self._classes, len(values)))
        nothing = np.zeros((self._classes, 1), np.float32)
        return SpectralModel(SupportFeatures(labels, nothing, sample, np.repeat(labels, 16), self._classes))


def _valid_share(source: RasterSource) -> float:
    """Share of tiles that have something to see; blocks of 8 x 8 of the coarse picture stand for them."""
    valid = look_at_validity(source)
    rows, cols = (np.arange(0, side, 8) for side in valid.shape)
    seen = np.logical_or.reduceat(np.logical_or.reduceat(valid, rows, axis=0), cols, axis=1)
    return max(float(seen.mean()), 0.01)


def _support_tiles(found: GatheredSupport, grid: FeatureGrid) -> int:
    """How many tiles the polygons touch."""
    touched: set[tuple[int, int]] = set()
    for polygon in found.own.polygons:
        left, top, right, bottom = (float(value) / grid.cell for value in polygon.bounds)
        rows = [row for row, (start, stop) in enumerate(grid.row_spans) if start < bottom and top < stop]
        cols = [col for col, (start, stop) in enumerate(grid.col_spans) if start < right and left < stop]
        touched.update((row, col) for row in rows for col in cols)
    return len(touched)


def _free_disk(output: Path) -> int:
    folder = next((path for path in output.absolute().parents if path.is_dir()), Path.cwd())
    return shutil.disk_usage(folder).free


def _output_warnings(output: Path, options: LabelOptions, inputs: list[Path]) -> list[str]:
    try:
        check_outputs(output, options.confidence, options.vector, inputs)
    except OutputError as error:
        return [str(error)]
    return []


def _warnings(estimate: RunEstimate, folder: Path, found: GatheredSupport, window: Window) -> Iterator[str]:
    if estimate.disk_expected > estimate.free_disk:
        yield (
            f"The outputs need about {size(estimate.disk_expected)} but {folder} has {size(estimate.free_disk)} free; "
            "free some space, choose another folder, or label a part of the raster."
        )
    elif estimate.disk > estimate.free_disk:
        yield (
            f"The outputs may need up to {size(estimate.disk)} where they do not compress, and {folder} has "
            f"{size(estimate.free_disk)} free; free some space or choose another folder."
        )
    if estimate.memory > estimate.free_memory:
        yield (
            f"The run needs about {size(estimate.memory)} of memory and {size(estimate.free_memory)} are free; close "
            "other programs or choose a smaller tile."
        )
    if estimate.seconds > _LONG:
        yield (
            f"The run takes about {duration(estimate.seconds)}; label a part of the raster first, choose a smaller "
            "scale, or use a GPU."
        )
    area = float(window.width) * float(window.height)
    if area > _LARGE and found.own.polygons and not found.others:
        left, top, right, bottom = shapely.total_bounds(np.array(found.own.polygons, object)).tolist()
        if area > _FAR * max((right - left) * (bottom - top), 1.0):
            share = 100 * (right - left) * (bottom - top) / area
            yield (
                f"The support polygons lie together in {share:.2g} % of what is to be labelled, and the rest may look "
                "different; draw polygons in other places too, or label a part of the raster."
            )


def size(count: float) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count / 1e3:.0f} kB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
