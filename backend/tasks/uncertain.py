"""``uncertain``: where one more polygon would help most."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window

from ..preview.patches import patches_over
from ..preview.places import choose_places
from ..preview.request import Opened
from ..preview.tiles import RasterTiles
from ..preview.view import View, corners
from ..preview.workbench import Workbench
from ..progress import CancelToken
from ..protocol import Uncertain
from ..rasters.grid import Tile
from .options import labeling_options

_CACHE = 128 << 20  # bytes of GDAL's
_SAMPLES = 1_000_000  # that the raster is looked at with
_MOST_TILES = 12  # whose area is encoded for it
_MOST_PATCHES = 1000  # that are read from the disk for it
_SHARE = 3  # of the raster's smaller side that a place may fill: one third
_SECONDS = 4.0  # that this may take
_POLYGONS = 20  # widths of a polygon that are shown around a place


def uncertain(task: Uncertain, cancel: CancelToken, bench: Workbench) -> dict[str, Any]:
    """Do the task; the result's values are told by :class:`Uncertain`."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        opened = Opened.of(bench, task.raster, task.support, labeling_options(task), cancel)
        return {"places": find_places(opened, task.count)}


def find_places(opened: Opened, count: int) -> list[dict[str, Any]]:
    """Look at the whole raster and choose places."""
    source = opened.source
    view = View.of(source, source.window, _SAMPLES, 0)
    painter = opened.painter(view)
    spectral = opened.spectral()
    rough = painter.paint(None, spectral).margin
    tiles = opened.tiles()
    encode_uncertain(opened, tiles, view, rough)
    margin = rough
    features = opened.features(tiles)
    if features is not None:
        head, _ = opened.head(features)
        field = painter.match(head, tiles[0], _MOST_PATCHES)
        margin = painter.paint(field, spectral).margin
    valid = margin != 255
    uncertainty = np.where(valid, 100.0 - np.minimum(margin, 100), 0.0).astype(np.float32)
    side = float(np.sqrt(np.median(opened.found.areas(source))))
    window = max(round(side / view.step), 3)
    shown = max(round(_POLYGONS * side), 8 * view.step)
    shown = max(min(shown, min(source.width, source.height) // _SHARE), 1)
    places = choose_places(
        uncertainty,
        valid & ~covered(opened, view),
        painter.spectral[: painter.colors],
        window,
        max(shown // (2 * view.step), 1),
        count,
    )
    # QGIS shows a raster without georeference at negative y.
    upside_down = source.transform.is_identity
    result = []
    for place in places:
        col, row = round((place.col + 0.5) * view.step), round((place.row + 0.5) * view.step)
        area = Window(col - shown // 2, row - shown // 2, shown, shown)
        xs, ys = zip(*corners(source, area, upside_down), strict=True)
        result.append(
            {"extent": [min(xs), min(ys), max(xs), max(ys)], "uncertainty": round(place.uncertainty, 1)}
        )
    return result


def encode_uncertain(
    opened: Opened, tiles: tuple[RasterTiles, ...], view: View, margin: NDArray[np.uint8]
) -> None:
    """Encode a few tiles: those that a first head needs, and where the spectral model knows least."""
    first, _ = opened.missing(tiles)
    ends = time.monotonic() + _SECONDS
    for own in tiles:
        for _ in own.encode([[patch for at, patch in first if at is own]], opened.cancel):
            pass
    grid, step = tiles[0].grid, view.step

    def doubt(tile: Tile) -> float:
        window = grid.pixels(tile)
        top, left = int(window.row_off) // step, int(window.col_off) // step
        part = margin[
            top : top + max(int(window.height) // step, 1), left : left + max(int(window.width) // step, 1)
        ]
        seen = part[part != 255]
        return float((100.0 - seen).mean()) * len(seen) / max(part.size, 1) if len(seen) else 0.0

    places = sorted(grid.tiles(), key=doubt, reverse=True)[:_MOST_TILES]
    cores = map(grid.core, places)
    patches = [patches_over(grid, (core.y0, core.y1), (core.x0, core.x1)) for core in cores]
    for _ in tiles[0].encode(patches, opened.cancel):
        if time.monotonic() > ends:
            break


def covered(opened: Opened, view: View) -> NDArray[np.bool_]:
    """Samples under support polygons, of the raster itself."""
    shape = int(view.inner.height), int(view.inner.width)
    polygons = opened.found.own.polygons
    if not polygons:
        return np.zeros(shape, bool)
    burnt = rasterize(polygons, shape, transform=Affine.scale(view.step), all_touched=True, dtype="uint8")
    result: NDArray[np.bool_] = burnt.astype(bool)
    return result
