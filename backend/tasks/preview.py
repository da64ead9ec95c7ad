"""``preview``: what is in view, soon and then better."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..errors import Cancelled, OutputError
from ..preview.painting import Painter, ScoreField
from ..preview.patches import SIDE
from ..preview.request import Opened
from ..preview.tiles import RasterTiles
from ..preview.view import View, check_classes, corners
from ..preview.workbench import Workbench
from ..progress import CancelToken
from ..protocol import Partial, Preview, Reply
from ..rasters.grid import Tile
from ..refine.blocks import BlockLabels
from .options import extent_of, labeling_options

Send = Callable[[Reply], None]
_CACHE = 128 << 20  # bytes of GDAL's
_MOST_PATCHES = 250_000 // SIDE**2  # that one preview encodes
_INTERVAL = 1.0  # seconds between coarse answers
_SHARE = 10.0  # and their own time at least so often, so that they do not hold up what they wait for


def preview(task: Preview, send: Send, cancel: CancelToken, bench: Workbench) -> dict[str, Any]:
    """Do the task; the values of the result and of what is sent before are told by :class:`Preview`."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        return PreviewRun(task, send, cancel, bench).run()


class PreviewRun:
    """One preview, through its stages."""

    def __init__(self, task: Preview, send: Send, cancel: CancelToken, bench: Workbench) -> None:
        self._task, self._send, self._cancel, self._bench = task, send, cancel, bench
        self._options = labeling_options(task)
        self._opened = Opened.of(bench, task.raster, task.support, self._options, cancel)
        check_classes(len(self._opened.classes))
        extent = extent_of(task.extent, task.extent_crs)
        assert extent is not None  # nosec B101 # for the type checker
        margin = self._opened.crf.margin if self._opened.crf else 0
        size = task.width, task.height
        self._view, self._upside_down = View.asked(self._opened.source, extent, size, margin)
        self._painter: Painter = self._opened.painter(self._view)
        self._spectral = self._opened.spectral()
        self._tiles = self._total = 0
        self._answers = 0
        self._expected: dict[str, Any] | None = None

    def run(self) -> dict[str, Any]:
        """Send what can be shown meanwhile; the final answer is returned."""
        if not self._opened.encoder.done():
            self._show_coarse(None)
        tiles = self._opened.tiles()
        wanted = self._wanted(tiles[0])
        self._encode(tiles, wanted)
        field = self._match(tiles)
        assert field is not None  # nosec B101 # all that it needs is encoded
        # Without the spectral model nothing would be told of where the encoder has not been.
        spectral = self._spectral if self._options.spectral or not field.known.all() else None
        answer = self._write("features", self._painter.paint(field, spectral))
        crf = self._opened.crf
        if crf is None:
            return answer
        self._send(Partial(self._task.id, answer))
        try:
            labels = self._painter.refine(field, spectral, crf, self._bench.processes())
        except Cancelled:
            self._bench.stop_processes()
            raise
        return self._write("refined", labels)

    def _wanted(self, tiles: RasterTiles) -> list[Tile]:
        """The patches in view, as many as are encoded for one preview."""
        in_view = self._view.patches(tiles.grid)
        wanted = in_view[:_MOST_PATCHES]
        if not all(patch in tiles for patch in in_view[_MOST_PATCHES:]):
            text = "Zoom in for the whole view: its borders are labelled by their pixel values alone."
            self._opened.notes.append(text)
        self._total = len(wanted)
        return wanted

    def _encode(self, tiles: tuple[RasterTiles, ...], wanted: list[Tile]) -> None:
        """Encode what is missing, with answers meanwhile: for a first head, then for the view, then for the head."""
        own = tiles[0]
        first, rest = self._opened.missing(tiles)
        self._tiles = sum(patch in own for patch in wanted)
        if not first and not rest and self._tiles == len(wanted):
            return
        due = self._show_coarse(tiles)
        own_first, *other_first = ([patch for raster, patch in first if raster is at] for at in tiles)
        own_rest, *other_rest = ([patch for raster, patch in rest if raster is at] for at in tiles)
        work = [
            *((at, [patches]) for at, patches in zip(tiles[1:], other_first, strict=True)),
            (own, [own_first, wanted, own_rest]),
            *((at, [patches]) for at, patches in zip(tiles[1:], other_rest, strict=True)),
        ]
        for at, groups in work:
            for _ in at.encode(groups, self._cancel):
                self._tiles = sum(patch in own for patch in wanted)
                if time.monotonic() >= due:
                    due = self._show_coarse(tiles)

    def _show_coarse(self, tiles: tuple[RasterTiles, ...] | None) -> float:
        """Send what can be told by now, if it is more than before; returns when to do so again."""
        started = time.monotonic()
        field = self._match(tiles) if tiles else None
        if field is not None or not self._answers:
            labels = self._painter.paint(field, self._spectral)
            self._send(Partial(self._task.id, self._write("coarse", labels)))
        now = time.monotonic()
        return now + max(_INTERVAL, _SHARE * (now - started))

    def _match(self, tiles: tuple[RasterTiles, ...]) -> ScoreField | None:
        """Match the features that are at hand; None while there is no head to match them with."""
        features = self._opened.features(tiles)
        if features is None:
            return None
        head, self._expected = self._opened.head(features)
        return self._painter.match(head, tiles[0], _MOST_PATCHES)

    def _write(self, stage: str, labels: BlockLabels) -> dict[str, Any]:
        self._cancel.check()
        self._answers += 1
        stem = Path(self._task.folder) / f"preview-{os.getpid()}-{self._task.id}-{self._answers}"
        uncertainty = np.where(labels.margin == 255, 255, 100 - np.minimum(labels.margin, 100))
        paths = [stem.with_suffix(".labels"), stem.with_suffix(".uncertainty")]
        index = labels.index.astype(np.uint8)  # -1, where there are no data, becomes 255
        for path, values in zip(paths, (index, uncertainty.astype(np.uint8)), strict=True):
            write_whole(path, values)
        counts = np.bincount(index.ravel(), minlength=256) * self._view.step**2
        inner = self._view.inner
        return {
            "stage": stage,
            "labels": str(paths[0]),
            "uncertainty": str(paths[1]),
            "width": int(inner.width),
            "height": int(inner.height),
            "corners": corners(self._opened.source, self._view.pixels(inner), self._upside_down),
            "classes": [
                {"id": info.id, "name": info.name, "pixels": int(counts[position])}
                for position, info in enumerate(self._opened.classes)
            ],
            "tiles": self._tiles,
            "tiles_total": self._total,
            "expected": self._expected,
            "notes": list(self._opened.notes),
        }


def write_whole(path: Path, values: NDArray[np.uint8]) -> None:
    """Write bytes to a file that is there as a whole or not at all.

    Raises:
        OutputError: When it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            values.tofile(file)
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise OutputError(
            f"The preview cannot be written to {path.parent} ({error.strerror}); free some space."
        ) from error
