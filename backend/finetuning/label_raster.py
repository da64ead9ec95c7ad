"""A label raster, read on the grid of the raster that it belongs to."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from ..rasters.class_ids import MAX_ID
from ..rasters.label_map import classes_of
from ..rasters.source import RasterSource
from .options import FinetuningError

_SPARE = {"uint8": 255, "uint16": 65_535}  # what means "no label" in files that do not say it


class LabelRaster:
    """Class ids on a raster's grid; of another grid, the nearest label counts. Use it as a context manager."""

    def __init__(self, path: str, source: RasterSource) -> None:
        """Open it.

        Args:
            path: Anything that GDAL reads with one band of whole numbers.
            source: The raster.

        Raises:
            FinetuningError: When it cannot be read, holds no class ids, or lies elsewhere.
        """
        self.path = path
        if not Path(path).exists() and not path.startswith("/vsi") and ":" not in path[2:]:
            raise FinetuningError(f"The labels {path} do not exist; check the path.")
        self._src = self._opened(path)
        try:
            self._prepare(source)
        except BaseException:
            self._src.close()
            raise

    def __enter__(self) -> LabelRaster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._view is not self._src:
            self._view.close()
        self._src.close()

    @property
    def says_nothing(self) -> bool:
        """Whether the file tells which pixels have no label."""
        return self._src.nodata is None and self._src.dtypes[0] not in _SPARE

    def read(self, window: Window) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Class ids and where there are any, both with the window's shape.

        Raises:
            FinetuningError: When it cannot be read, or a value can be no class id.
        """
        try:
            values = self._view.read(1, window=window).astype(np.int64)
            known = self._view.dataset_mask(window=window) > 0
        except (RasterioError, CRSError) as error:
            raise self._unreadable(error) from error
        if self._src.nodata is None and self._src.dtypes[0] in _SPARE:
            known &= values != _SPARE[self._src.dtypes[0]]
        wrong = values[known & ((values < 0) | (values > MAX_ID))]
        if len(wrong):
            raise FinetuningError(
                f"The labels {self.path} have the value {wrong[0]}; class ids are whole numbers from 0 to {MAX_ID}."
            )
        return values, known

    def _prepare(self, source: RasterSource) -> None:
        src = self._src
        if src.count != 1 or np.dtype(src.dtypes[0]).kind not in "iu":
            kinds = (
                f"{src.count} bands of {src.dtypes[0]}" if src.count != 1 else f"values of {src.dtypes[0]}"
            )
            raise FinetuningError(
                f"The labels {self.path} have {kinds}; one band of whole numbers is needed, the class ids."
            )
        self.names = {info.id: info.name for info in classes_of(src)}
        same_shape = (src.width, src.height) == (source.width, source.height)
        own = src.crs if src.crs and not src.transform.is_identity else None
        if own is None or source.crs is None:
            if not same_shape:
                raise FinetuningError(
                    f"The labels {self.path} are {src.width} x {src.height} pixels but the raster {source.path} is "
                    f"{source.width} x {source.height}, and one of them has no georeference; give labels of the same "
                    "pixels."
                )
            self._view = src
            return
        if same_shape and own == source.crs and src.transform.almost_equals(source.transform, 1e-6):
            self._view = src
            return
        self._check_overlap(source)
        mask = {"add_alpha": True} if src.nodata is None else {"nodata": src.nodata}
        self._view = WarpedVRT(
            src,
            crs=source.crs,
            transform=source.transform,
            width=source.width,
            height=source.height,
            resampling=Resampling.nearest,
            **mask,
        )

    def _check_overlap(self, source: RasterSource) -> None:
        try:
            left, bottom, right, top = transform_bounds(self._src.crs, source.crs, *self._src.bounds)
        except (RasterioError, CRSError) as error:
            raise self._unreadable(error) from error
        corners = [source.transform @ (x, y) for x in (0, source.width) for y in (0, source.height)]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        if left >= max(xs) or right <= min(xs) or bottom >= max(ys) or top <= min(ys):
            raise FinetuningError(
                f"The labels {self.path} lie elsewhere than the raster {source.path}; give labels of the same place, "
                "and check the coordinate system of both."
            )

    def _opened(self, path: str) -> rasterio.DatasetReader:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                return rasterio.open(path)
        except (RasterioError, CRSError, ValueError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> FinetuningError:
        lines = str(error).strip().splitlines()
        reason = lines[0].rstrip(".") if lines else type(error).__name__
        return FinetuningError(
            f"The labels {self.path} cannot be read ({reason}); check that the file is whole."
        )
