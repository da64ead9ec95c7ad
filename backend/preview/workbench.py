"""What requests leave for the next one: open rasters, the encoder on its device, features, processes."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from loky import ProcessPoolExecutor
from numpy.typing import NDArray
from rasterio.windows import Window

from ..encoders.catalogue import load_model, model_files
from ..encoders.runner import EncoderRunner, choose_device, cpu_count
from ..feature_cache import FeatureCache
from ..gathering import check_bands, same_raster
from ..labeling import LabelOptions
from ..rasters.grid import FeatureGrid
from ..rasters.source import RasterSource
from ..rasters.stretch import Stretch
from ..refine.processes import refining_processes
from .tiles import RasterTiles

_RASTERS = 2  # kept open beside those of a request
_VIEWS = 2  # whose pixels are kept, per raster
_STAMPED = 200  # files of a mosaic that are looked at for changes
_HARMLESS = (".aux.xml", ".ovr")  # statistics and pyramids, which QGIS adds, change no pixel

Stamp = tuple[tuple[str, int, int], ...]
Pixels = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(eq=False)
class OpenRaster:
    """A raster with what was read of it.

    Attributes:
        source: The raster.
        stamp: Its files' times and sizes when it was opened.
        tiles: Its features, by encoder and grid.
        samples: Pixel values of support polygons, by polygon.
        views: Pixels of the last views.
    """

    source: RasterSource
    stamp: Stamp
    tiles: dict[Hashable, RasterTiles] = field(default_factory=dict)
    samples: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)
    views: OrderedDict[Hashable, Pixels] = field(default_factory=OrderedDict)

    def read(self, window: Window, shape: tuple[int, int]) -> Pixels:
        """Read a window, averaged down to a shape, or take it from the last views."""
        key = (window.col_off, window.row_off, window.width, window.height, shape)
        if key not in self.views:
            full = shape == (int(window.height), int(window.width))
            self.views[key] = self.source.read(window, None if full else shape)
            while len(self.views) > _VIEWS:
                self.views.popitem(last=False)
        self.views.move_to_end(key)
        return self.views[key]


class Workbench:
    """Serves one request at a time; :meth:`close` ends its threads and processes."""

    def __init__(self) -> None:
        self.cache = FeatureCache()
        # One thread of torch each: several pieces of work side by side use the cores better than one on all.
        self.threads = ThreadPoolExecutor(cpu_count(), "preview", torch.set_num_threads, (1,))
        self._encoding = ThreadPoolExecutor(cpu_count(), "encoder")
        self._rasters: OrderedDict[Hashable, OpenRaster] = OrderedDict()
        self._encoder: tuple[Hashable, Future[EncoderRunner]] | None = None
        self._processes: ProcessPoolExecutor | None = None

    def rasters(self, path: str, options: LabelOptions) -> list[OpenRaster]:
        """The raster to be labelled and those that support polygons lie on beside it, as ``open_rasters`` does.

        Raises:
            RasterError: When one cannot be opened, or has not the same bands.
        """
        opened = self._open_together(path, options)
        unused = [key for key, raster in self._rasters.items() if raster not in opened]
        for key in unused[: max(len(unused) - _RASTERS, 0)]:
            self._drop(key)
        return opened

    def encoder(self, options: LabelOptions) -> Future[EncoderRunner]:
        """The encoder, which another thread loads when it is not the one of the last request."""
        files = [] if options.model is None else [Path(options.model)]
        stamp = _stamp([str(file) for file in (*files, *model_files())])
        key = options.model, options.layers, options.device, stamp
        if self._encoder is not None and self._encoder[0] == key:
            future = self._encoder[1]
            if not (future.done() and future.exception()):
                return future
        for raster in self._rasters.values():
            self._forget_features(raster)
        self._encoder = key, self.threads.submit(_load_encoder, options)
        return self._encoder[1]

    def tiles(self, raster: OpenRaster, runner: EncoderRunner, grid: FeatureGrid) -> RasterTiles:
        """The features of a raster on a grid."""
        key = id(runner), grid
        if key not in raster.tiles:
            raster.tiles[key] = RasterTiles(raster.source, runner, grid, self.cache, self._encoding)
        return raster.tiles[key]

    def processes(self) -> ProcessPoolExecutor:
        """Processes for DenseCRF."""
        if self._processes is None:
            self._processes = refining_processes(min(cpu_count(), 8))
        return self._processes

    def stop_processes(self) -> None:
        """End them in the middle of their work, which nobody waits for any more."""
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.shutdown(kill_workers=True)

    def release(self) -> None:
        """Give up what is kept, for want of memory; the next request starts anew."""
        for key in list(self._rasters):
            self._drop(key)
        self._encoder = None
        self.stop_processes()

    def close(self) -> None:
        """End threads and processes and remove files."""
        self.release()
        self.threads.shutdown(cancel_futures=True)
        self._encoding.shutdown(cancel_futures=True)
        self.cache.close()

    def _open_together(self, path: str, options: LabelOptions) -> list[OpenRaster]:
        bands, stretch = options.bands, options.stretch
        paths = [
            other for other in dict.fromkeys(options.support_rasters or ()) if not same_raster(other, path)
        ]
        own = self._raster(path, bands, stretch)
        wanted = (*own.source.bands.composite, *own.source.bands.extra)
        others = [self._raster(other, wanted, stretch) for other in paths]
        for other in others:
            check_bands(other.source, own.source)
        if others and stretch is None and len({each.source.dtypes for each in (own, *others)}) == 1:
            shared = others[0].source.stretch
            return [
                self._raster(path, bands, shared),
                *(self._raster(other, wanted, shared) for other in paths),
            ]
        return [own, *others]

    def _raster(
        self, path: str, bands: Sequence[int] | None = None, stretch: Stretch | None = None
    ) -> OpenRaster:
        """Open a raster, or take it as it is open; one whose files have changed since is opened anew.

        Raises:
            RasterError: When it cannot be opened.
        """
        key = path, None if bands is None else tuple(bands), stretch
        known = self._rasters.get(key)
        if known is not None and _stamp([name for name, _, _ in known.stamp]) != known.stamp:
            self._drop(key)
            known = None
        if known is None:
            source = RasterSource(path, bands, stretch)
            files = [str(file) for file in source.files[:_STAMPED] if not str(file).endswith(_HARMLESS)]
            known = self._rasters[key] = OpenRaster(source, _stamp(files))
        self._rasters.move_to_end(key)
        return known

    def _drop(self, key: Hashable) -> None:
        raster = self._rasters.pop(key)
        self._forget_features(raster)
        raster.source.close()

    def _forget_features(self, raster: OpenRaster) -> None:
        for tiles in raster.tiles.values():
            tiles.close()
        raster.tiles.clear()


def _load_encoder(options: LabelOptions) -> EncoderRunner:
    device = choose_device(options.device)
    return EncoderRunner(load_model(options.model, options.layers).encoder, device, rough=True)


def _stamp(files: Sequence[str]) -> Stamp:
    """Files with their times and sizes; those that are none, like addresses, are left out."""
    stamp = []
    for file in files:
        with suppress(OSError, ValueError):
            status = os.stat(file)
            stamp.append((file, status.st_mtime_ns, status.st_size))
    return tuple(stamp)
