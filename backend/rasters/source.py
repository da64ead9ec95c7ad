"""The raster as the tool sees it: chosen bands, one stretch, and which pixels are valid."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from ..errors import RasterError
from .bands import BandMapping, choose_bands
from .stretch import Stretch

_SAMPLE_SIDE = 128  # pixels; windows of this size are sampled for the stretch
_SAMPLE_GRID = 8  # by 8 of them, spread over the raster


class RasterSource:
    """An open raster, read by windows; use it as a context manager.

    Attributes:
        path: As given.
        bands: The bands in use.
        stretch: From raster values to 0..255, one pair per band of ``bands.all``.
        width, height: In pixels.
        crs: Coordinate reference system, or None: then coordinates are pixels.
        transform: From (column, row) to coordinates; may be rotated.
    """

    def __init__(
        self, path: str | Path, bands: Sequence[int] | None = None, stretch: Stretch | None = None
    ) -> None:
        """Open a raster.

        Args:
            path: Anything that GDAL reads.
            bands: Band numbers from 1, see :func:`choose_bands`.
            stretch: One that was estimated before, else it is estimated here.

        Raises:
            RasterError: When it is missing, cannot be read, or has bands that cannot be used.
        """
        self.path = str(path)
        self._lock = threading.Lock()  # one GDAL handle must not be read by two threads at once
        if "://" not in self.path and not self.path.startswith("/vsi") and not Path(self.path).exists():
            raise RasterError(f"The raster {self.path} does not exist; check the path.")
        with self._errors():
            self._src: DatasetReader = _open(self.path)
            try:
                self._prepare(bands, stretch)
            except BaseException:
                self._src.close()
                raise

    def _prepare(self, bands: Sequence[int] | None, stretch: Stretch | None) -> None:
        src = self._src
        if src.count == 0:
            raise RasterError(f"{self.path} holds no bands but {len(src.subdatasets)} subdatasets; name one of them.")
        if any(dtype.startswith("complex") for dtype in src.dtypes):
            raise RasterError(f"{self.path} has complex values; convert it to amplitude first.")
        self.width, self.height = src.width, src.height
        self.transform: Affine = src.transform
        # Ground control points are not applied: a raster without a transform is worked on in pixels.
        self.crs: CRS | None = src.crs if src.crs and not src.transform.is_identity else None
        self._palette = self._read_palette()
        if self._palette is not None:
            self.bands = BandMapping((1, 1, 1), (), "colour table")
        else:
            self.bands = choose_bands(src, bands)
        self.stretch = stretch or self._estimate_stretch()

    def __enter__(self) -> RasterSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._src.close()

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Data type of each band in use."""
        return tuple(self._src.dtypes[band - 1] for band in self.bands.all)

    @property
    def window(self) -> Window:
        """The whole raster."""
        return Window(0, 0, self.width, self.height)

    @property
    def spectral_count(self) -> int:
        """How many different bands :meth:`read` returns."""
        return 3 if self._palette is not None else len(self.bands.all)

    @property
    def color_count(self) -> int:
        """How many different bands the composite has; they come first in what :meth:`read` returns."""
        return 3 if self._palette is not None else len(set(self.bands.composite))

    @property
    def pixel_size(self) -> float | None:
        """Side of a pixel in metres on the ground at the raster's centre, or None without a CRS."""
        if self.crs is None:
            return None
        a, b, _, d, e, _ = tuple(self.transform)[:6]
        area = abs(a * e - b * d)
        if self.crs.is_geographic:
            _, latitude = self.transform * (self.width / 2, self.height / 2)
            per_degree = 111_320.0
            return math.sqrt(area * per_degree**2 * max(math.cos(math.radians(latitude)), 0.01))
        return math.sqrt(area) * self.crs.linear_units_factor[1]

    def read(
        self, window: Window, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read every band in use, stretched.

        Args:
            window: In pixels, inside the raster.
            shape: (height, width) to average down to, for windows that are wanted coarser; else full resolution.

        Returns:
            Values 0..255 with shape (spectral_count, height, width), and validity with shape (height, width).
            Invalid pixels hold 0.

        Raises:
            RasterError: When the file cannot be read there.
        """
        height, width = shape or (int(window.height), int(window.width))
        bands = list(self.bands.all)
        resampling = Resampling.average if shape and self._palette is None else Resampling.nearest
        with self._errors(), self._lock:
            values = self._src.read(bands, window=window, out_shape=(len(bands), height, width), resampling=resampling)
            masks = self._src.read_masks(bands, window=window, out_shape=(len(bands), height, width))
        valid = (masks != 0).all(axis=0)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
            values = np.where(valid, values, 0)
        if self._palette is not None:
            valid &= self._palette[3][values[0]] > 0
            values = self._palette[:3, values[0]]
        stretched = self.stretch.apply(values)
        stretched[:, ~valid] = 0.0
        return stretched, valid

    def composite(self, spectral: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pick the encoder's three bands, in red, green, blue order, out of what :meth:`read` returned."""
        if self._palette is not None:
            return spectral[:3]
        positions = [self.bands.all.index(band) for band in self.bands.composite]
        return spectral[positions]

    def _read_palette(self) -> NDArray[np.uint8] | None:
        if self._src.count != 1 or self._src.colorinterp[0] != ColorInterp.palette:
            return None
        if self._src.dtypes[0] != "uint8":
            return None
        table = np.zeros((4, 256), np.uint8)
        for value, color in self._src.colormap(1).items():
            table[:, value] = color
        return table

    def _estimate_stretch(self) -> Stretch:
        """8-bit bands keep their values; of others, percentiles over windows that are spread over the raster."""
        if all(dtype == "uint8" for dtype in self.dtypes):
            return Stretch.identity(self.spectral_count)
        sample, valid = self._sample()
        estimated = Stretch.from_sample(sample, valid)
        low, high = list(estimated.low), list(estimated.high)
        for position, dtype in enumerate(self.dtypes):
            if dtype == "uint8":
                low[position], high[position] = 0.0, 255.0
        return Stretch(tuple(low), tuple(high))

    def _sample(self) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        bands = list(self.bands.all)
        whole = self.width * self.height <= (_SAMPLE_SIDE * _SAMPLE_GRID) ** 2
        windows = [self.window] if whole else list(self._sample_windows())
        values, masks = [], []
        for window in windows:
            values.append(self._src.read(bands, window=window).reshape(len(bands), -1))
            masks.append((self._src.read_masks(bands, window=window) != 0).all(axis=0).ravel())
        sample, valid = np.concatenate(values, axis=1), np.concatenate(masks)
        if sample.dtype.kind == "f":
            valid &= np.isfinite(sample).all(axis=0)
        if valid.sum() < 10_000 and not whole:
            # Mostly nodata: look at all of it, decimated, to find what there is.
            shape = (len(bands), min(self.height, 2048), min(self.width, 2048))
            sample = self._src.read(bands, out_shape=shape).reshape(len(bands), -1)
            valid = (self._src.read_masks(bands, out_shape=shape) != 0).all(axis=0).ravel()
            if sample.dtype.kind == "f":
                valid &= np.isfinite(sample).all(axis=0)
        return sample, valid

    def _sample_windows(self) -> Iterator[Window]:
        for row in np.linspace(0, max(self.height - _SAMPLE_SIDE, 0), _SAMPLE_GRID).astype(int).tolist():
            for col in np.linspace(0, max(self.width - _SAMPLE_SIDE, 0), _SAMPLE_GRID).astype(int).tolist():
                yield Window(col, row, min(_SAMPLE_SIDE, self.width), min(_SAMPLE_SIDE, self.height))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except RasterioError as error:
            raise RasterError(
                f"The raster {self.path} cannot be read ({_first_line(error)}); check that the file is whole."
            ) from error


def _open(path: str) -> DatasetReader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(error).__name__
