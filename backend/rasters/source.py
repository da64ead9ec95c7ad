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
from rasterio._err import CPLE_BaseError  # what GDAL reports where rasterio does not translate it
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from ..errors import RasterError
from .bands import BandMapping, choose_bands, is_alpha
from .georeference import pixel_size
from .stretch import Stretch

_SAMPLE_SIDE = 128  # pixels; windows of this size are sampled for the stretch
_SAMPLE_GRID = 8  # by 8 of them, spread over the raster
_LARGEST = 1e30  # beyond are fill values, like -3.4e38, which files do not always declare


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
        self._src: DatasetReader = _open(self.path)
        with self._errors():
            try:
                self._prepare(bands, stretch)
            except BaseException:
                self._src.close()
                raise

    def _prepare(self, bands: Sequence[int] | None, stretch: Stretch | None) -> None:
        src = self._src
        if src.count == 0 and src.subdatasets:
            raise RasterError(
                f"The raster {self.path} holds no bands but {len(src.subdatasets)} subdatasets; give the name of one "
                f"of them, for example {src.subdatasets[0]}."
            )
        if src.count == 0:
            raise RasterError(f"The raster {self.path} holds no bands; choose another one.")
        if any(dtype.startswith("complex") for dtype in src.dtypes):
            raise RasterError(f"The raster {self.path} has complex values; convert it to amplitude first.")
        self.width, self.height = src.width, src.height
        self.transform: Affine = src.transform
        if not all(map(math.isfinite, self.transform)) or self.transform.is_degenerate:
            raise RasterError(f"The pixels of the raster {self.path} have no area; mend its georeference.")
        # Ground control points are not applied: a raster without a transform is worked on in pixels.
        self.crs: CRS | None = src.crs if src.crs and not src.transform.is_identity else None
        self.bands = choose_bands(src, bands)
        self._palette = self._read_palette()
        if self._palette is not None:
            self.bands = BandMapping(self.bands.composite, (), "colour table")
        self._choose_masks()
        self.stretch = stretch or self._estimate_stretch()
        if len(self.stretch.low) != self.spectral_count:
            raise RasterError(
                f"The stretch is meant for {len(self.stretch.low)} bands but {self.spectral_count} of the raster "
                f"{self.path} are in use; choose other bands."
            )

    def __enter__(self) -> RasterSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, after what is being read."""
        with self._lock:
            self._src.close()

    @property
    def files(self) -> list[Path]:
        """Every file that the raster is read from: sidecars, and the sources of a mosaic."""
        return [Path(self.path), *(Path(name) for name in self._src.files)]

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
        """Side of a pixel in metres on the ground at the raster's centre, or None where that is not known."""
        return pixel_size(self.crs, self.transform, self.width, self.height)

    def read(
        self, window: Window, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read every band in use, stretched.

        Args:
            window: In pixels, inside the raster.
            shape: (height, width) to average down to, for windows that are wanted coarser; else full resolution.

        Returns:
            Values 0..255 with shape (spectral_count, height, width), and validity with shape (height, width).
            Invalid pixels hold 0; one that stands for several is valid when any of them is, and their mean.

        Raises:
            RasterError: When the file cannot be read there.
        """
        with self._errors(), self._lock:
            values, valid = self._read(window, shape)
        if self._palette is not None:
            index = np.clip(values[0], 0, self._palette.shape[1] - 1)
            valid &= self._palette[3][index] > 0
            values = self._palette[:3, index]
        if values.dtype.kind == "f":
            values = np.where(valid, values, 0)
        stretched = self.stretch.apply(values)
        stretched[:, ~valid] = 0.0
        return stretched, valid

    def composite(self, spectral: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pick the encoder's three bands, in red, green, blue order, out of what :meth:`read` returned."""
        if self._palette is not None:
            return spectral[:3]
        positions = [self.bands.all.index(band) for band in self.bands.composite]
        return spectral[positions]

    def _read(
        self, window: Window, shape: tuple[int, int] | None = None, average: bool = True
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """The raster's own values and their validity; a pixel that is averaged is valid when any part of it is."""
        height, width = shape or (int(window.height), int(window.width))
        average = average and shape is not None and self._palette is None
        resampling = Resampling.average if average else Resampling.nearest
        options = {"window": window, "out_shape": (height, width), "resampling": resampling}
        # Band by band, since bands may differ in their data type.
        values = np.stack([self._src.read(band, **options) for band in self.bands.all])
        valid = np.ones((height, width), bool)
        for band in self._masked:
            valid &= self._src.read_masks(band, **options) != 0
        for band in self._alpha:
            valid &= self._src.read(band, **options) != 0
        if values.dtype.kind == "f":
            # A value that is not a number makes this comparison false.
            valid &= (np.abs(values) < _LARGEST).all(axis=0)
        return values, valid

    def _choose_masks(self) -> None:
        """Choose what tells validity: GDAL's masks, and alpha bands that GDAL does not take for masks."""
        src, used = self._src, self.bands.all
        flags = [src.mask_flag_enums[band - 1] for band in used]
        alpha_is_data = any(src.colorinterp[band - 1] == ColorInterp.alpha for band in used)
        unmasked = (MaskFlags.all_valid, *((MaskFlags.alpha,) if alpha_is_data else ()))
        masks = zip(used, flags, strict=True)
        self._masked = [band for band, own in masks if not any(flag in own for flag in unmasked)]
        transparency = [band for band in src.indexes if band not in used and is_alpha(src, band)]
        self._alpha = [] if any(MaskFlags.alpha in own for own in flags) else transparency
        if MaskFlags.per_dataset in flags[0]:
            self._masked = self._masked[:1]  # one mask for all

    def _read_palette(self) -> NDArray[np.uint8] | None:
        """Red, green, blue and alpha by value, shape (4, values), of a raster of indices into a colour table."""
        band = self.bands.composite[0]
        if len(self.bands.all) != 1 or self._src.colorinterp[band - 1] != ColorInterp.palette:
            return None
        if self._src.dtypes[band - 1] not in ("uint8", "uint16"):
            return None
        try:
            colors = self._src.colormap(band)
        except ValueError:
            return None  # called a palette, but there is no table: grey will do
        table = np.zeros(
            (4, max(colors, default=0) + 2), np.uint8
        )  # the last one, for values beyond, is transparent
        for value, color in colors.items():
            table[:, value] = color
        return table

    def _estimate_stretch(self) -> Stretch:
        """8-bit bands keep their values; of others, percentiles over windows that are spread over the raster."""
        if self._palette is not None or all(dtype == "uint8" for dtype in self.dtypes):
            return Stretch.identity(self.spectral_count)
        sample, valid = self._sample()
        estimated = Stretch.from_sample(sample, valid)
        low, high = list(estimated.low), list(estimated.high)
        for position, dtype in enumerate(self.dtypes):
            if dtype == "uint8":
                low[position], high[position] = 0.0, 255.0
        return Stretch(tuple(low), tuple(high))

    def _sample(self) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Values of shape (bands, n) for the stretch, and their validity."""
        whole = self.width * self.height <= (_SAMPLE_SIDE * _SAMPLE_GRID) ** 2
        parts = [self._read(window) for window in ([self.window] if whole else self._sample_windows())]
        if sum(int(valid.sum()) for _, valid in parts) < 10_000 and not whole:
            # Mostly nodata: look at all of it, decimated, to find what there is.
            shape = min(self.height, 2048), min(self.width, 2048)
            parts = [self._read(self.window, shape, average=False)]
        values = np.concatenate([part.reshape(len(part), -1) for part, _ in parts], axis=1)
        return values, np.concatenate([valid.ravel() for _, valid in parts])

    def _sample_windows(self) -> Iterator[Window]:
        for row in np.linspace(0, max(self.height - _SAMPLE_SIDE, 0), _SAMPLE_GRID).astype(int).tolist():
            for col in np.linspace(0, max(self.width - _SAMPLE_SIDE, 0), _SAMPLE_GRID).astype(int).tolist():
                yield Window(col, row, min(_SAMPLE_SIDE, self.width), min(_SAMPLE_SIDE, self.height))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (RasterioError, CPLE_BaseError, CRSError) as error:
            raise RasterError(
                f"The raster {self.path} cannot be read ({_first_line(error)}); check that the file is whole."
            ) from error


def _open(path: str) -> DatasetReader:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except (RasterioError, CPLE_BaseError, CRSError, ValueError) as error:
        # Only now, since much that GDAL opens is no path: subdatasets, addresses, databases.
        if Path(path).is_dir():
            raise RasterError(f"The raster {path} is a folder; choose a file in it.") from error
        if not Path(path).exists() and not path.startswith("/vsi") and ":" not in path[2:]:
            raise RasterError(f"The raster {path} does not exist; check the path.") from error
        raise RasterError(
            f"The raster {path} cannot be opened ({_first_line(error)}); choose a file that GDAL reads as a raster."
        ) from error


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    text = str(cause).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
