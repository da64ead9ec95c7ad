"""Reads labelled rasters into scenes, part by part, so that a raster of any size can be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from ..episodes.episode import IGNORE
from ..progress import CancelToken
from ..rasters.class_styles import ClassStyle
from ..rasters.imagery import fill_invalid
from ..rasters.source import RasterSource
from ..rasters.support import ClassInfo
from ..scale import choose_scale
from .label_raster import LabelRaster
from .material import Material, RasterInfo, Scene, Units
from .options import FinetuneOptions, FinetuningError, LabeledRaster
from .polygons import LayerPolygons, read_polygons

_WHOLE = 48 << 20  # pixels of all scenes together at most, which take 8 bytes each
_LARGE, _SMALL = 4096, 1024  # pixels; sides of the parts of rasters that are read whole, or in part
_STRIP = 512  # rows that are read at once
_CONTEXT = 40  # cells around the labels of a part
_BLOCK = (24, 128)  # cells; smallest and largest side of the parts of a label raster that are never divided
_MOST_CLASSES = 254
_NONE = -1  # the class id where there is no label


@dataclass
class _Numbers:
    """Gives units their numbers; a polygon has the same one on every raster."""

    polygon: list[bool]
    validation: list[bool]
    known: dict[tuple[object, ...], int]

    def of(self, key: tuple[object, ...], polygon: bool, validation: bool = False) -> int:
        """The number of a unit."""
        if key not in self.known:
            self.known[key] = len(self.polygon)
            self.polygon.append(polygon)
            self.validation.append(validation)
        return self.known[key]


class _OpenRaster:
    """A raster with all that is known of it."""

    def __init__(
        self, index: int, given: Sequence[LabeledRaster], options: FinetuneOptions, stack: ExitStack
    ) -> None:
        self.index = index
        self.source = stack.enter_context(RasterSource(given[0].raster, options.bands, options.stretch))
        self.labels = [
            stack.enter_context(LabelRaster(one.labels, self.source)) for one in given if one.labels
        ]
        self.layers: list[tuple[LabeledRaster, LayerPolygons]] = [
            (one, read_polygons(one, self.source)) for one in given if one.polygons
        ]
        areas = [polygon.area for _, layer in self.layers for polygon in layer.support.polygons]
        self.cell = choose_scale(self.source.pixel_size, areas).cell
        self.info = RasterInfo(given[0].raster, Path(given[0].raster).name, self.source.pixel_size)

    @property
    def names(self) -> Iterator[tuple[ClassInfo, str]]:
        """The classes that label maps and layers name, and where."""
        for labels in self.labels:
            yield from ((ClassInfo(number, name), labels.path) for number, name in labels.names.items())
        for given, layer in self.layers:
            yield from ((info, str(given.polygons)) for info in layer.support.classes)

    @property
    def notes(self) -> Iterator[str]:
        """What the user should know."""
        for _, layer in self.layers:
            yield from layer.support.warnings

    def parts(self, side: int) -> Iterator[Window]:
        """The raster in squares."""
        for row in range(0, self.source.height, side):
            for col in range(0, self.source.width, side):
                height, width = min(side, self.source.height - row), min(side, self.source.width - col)
                yield Window(col, row, width, height)

    def burn(
        self, window: Window, ignored: frozenset[int], numbers: _Numbers
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Class ids, -1 where there is none, and units; polygons lie above label rasters."""
        shape = int(window.height), int(window.width)
        ids, units = np.full(shape, _NONE, np.int64), np.zeros(shape, np.int32)
        for labels in self.labels:
            values, known = labels.read(window)
            ids[known] = values[known]
            units[known] = self._blocks(window, known, labels.path, numbers)
        for given, layer in self.layers:
            support = layer.support
            for index in support.touching(window):
                place = support.bounds(index, window)
                if place is None:
                    continue
                row, col = int(place.row_off - window.row_off), int(place.col_off - window.col_off)
                box = np.s_[row : row + int(place.height), col : col + int(place.width)]
                mask = support.mask(index, place)
                key = (given.polygons, layer.numbers[index])
                ids[box][mask] = support.classes[support.labels[index]].id
                units[box][mask] = numbers.of(key, polygon=True, validation=layer.validation[index])
        left_out = np.isin(ids, list(ignored)) if ignored else np.zeros(shape, bool)
        ids[left_out], units[left_out] = _NONE, 0
        return ids, units

    def image(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The encoder's three bands, (3, height, width), and where they are valid; elsewhere they are filled."""
        height, width = int(window.height), int(window.width)
        image, valid = np.zeros((3, height, width), np.uint8), np.zeros((height, width), bool)
        for top in range(0, height, _STRIP):
            strip = Window(window.col_off, window.row_off + top, width, min(_STRIP, height - top))
            spectral, known = self.source.read(strip)
            filled = fill_invalid(self.source.composite(spectral), known)
            image[:, top : top + _STRIP] = np.rint(filled)
            valid[top : top + _STRIP] = known
        return image, valid

    def _blocks(
        self, window: Window, known: NDArray[np.bool_], path: str, numbers: _Numbers
    ) -> NDArray[np.int32]:
        """The units of the labelled pixels of a window, which are squares of the raster."""
        short = min(self.source.width, self.source.height)
        low, high = (side * self.cell for side in _BLOCK)
        side = min(max(short // 4, low), high)
        rows, cols = np.nonzero(known)
        rows, cols = (rows + int(window.row_off)) // side, (cols + int(window.col_off)) // side
        across = -(-self.source.width // side)
        found, place = np.unique(rows * across + cols, return_inverse=True)
        of = [numbers.of((path, self.index, "block", block), polygon=False) for block in found.tolist()]
        units: NDArray[np.int32] = np.array(of, np.int32)[place]
        return units


def read_material(options: FinetuneOptions, cancel: CancelToken) -> Material:
    """Read all that is labelled.

    Args:
        options: Name the rasters.
        cancel: Looked at for every part.

    Raises:
        ProtolabelError: When a file cannot serve, nothing of a raster is labelled, or a label is none of the classes.
        Cancelled: When ``cancel`` was used.
    """
    by_raster: dict[str, list[LabeledRaster]] = {}
    for given in options.data:
        by_raster.setdefault(given.raster, []).append(given)
    with ExitStack() as stack:
        opened = [_OpenRaster(index, given, options, stack) for index, given in enumerate(by_raster.values())]
        numbers = _Numbers([False], [False], {})
        ignored = frozenset(options.ignored)
        whole = sum(raster.source.width * raster.source.height for raster in opened) <= _WHOLE
        side = _LARGE if whole else _SMALL
        plan: list[tuple[_OpenRaster, Window, frozenset[int]]] = []
        for raster in opened:
            before = len(plan)
            for window in raster.parts(side):
                cancel.check()
                ids, _ = raster.burn(window, ignored, numbers)
                found = frozenset(np.unique(ids).tolist()) - {_NONE}
                if found:
                    plan.append((raster, window, found))
            if len(plan) == before:
                raise FinetuningError(
                    f"Nothing that is labelled lies on the raster {raster.info.path}; leave it out, or check the "
                    "coordinate systems and class ids of its labels."
                )
        classes = _classes(opened, plan, options.classes)
        notes = list(dict.fromkeys(note for raster in opened for note in raster.notes))
        chosen = plan if whole else _fewer(plan, notes)
        table = {info.id: number for number, info in enumerate(classes, start=1)}
        scenes = []
        for raster, window, _ in chosen:
            cancel.check()
            scene = _scene(raster, window, ignored, numbers, table)
            if scene is not None:
                scenes.append(scene)
    for raster in opened:
        if all(scene.raster != raster.index for scene in scenes) and whole:
            raise FinetuningError(
                f"All that is labelled on the raster {raster.info.path} is nodata there; check its nodata value and "
                "mask, or leave it out."
            )
    return Material(
        tuple(raster.info for raster in opened),
        classes,
        tuple(scenes),
        Units(np.array(numbers.polygon), np.array(numbers.validation)),
        tuple(notes),
    )


def _classes(
    opened: Sequence[_OpenRaster],
    plan: Sequence[tuple[_OpenRaster, Window, frozenset[int]]],
    listed: Sequence[ClassStyle] | None,
) -> tuple[ClassInfo, ...]:
    """The classes that occur, with their names."""
    found: set[int] = set().union(*(ids for _, _, ids in plan))
    if listed is not None:
        known = {style.id: style.name for style in listed}
        for raster, _, ids in plan:
            unknown = sorted(ids - known.keys())
            if unknown:
                few = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
                raise FinetuningError(
                    f"The labels on {raster.info.path} have the value {few}, which is none of the classes; add it to "
                    "the class list, or leave it out."
                )
        return _few_enough(found, known)
    names: dict[int, tuple[str, str]] = {}
    for raster in opened:
        for info, where in raster.names:
            name, first = names.setdefault(info.id, (info.name, where))
            if name != info.name and info.id in found:
                raise FinetuningError(
                    f"The class {info.id} is called {name!r} in {first} but {info.name!r} in {where}; give the classes "
                    "the same ids everywhere, or a class list."
                )
    return _few_enough(found, {number: name for number, (name, _) in names.items()})


def _few_enough(found: set[int], names: Mapping[int, str]) -> tuple[ClassInfo, ...]:
    if len(found) > _MOST_CLASSES:
        raise FinetuningError(
            f"There are {len(found)} classes; a model can be fine-tuned on {_MOST_CLASSES} at most: leave some out."
        )
    return tuple(ClassInfo(number, names.get(number) or f"class {number}") for number in sorted(found))


def _fewer(
    plan: Sequence[tuple[_OpenRaster, Window, frozenset[int]]], notes: list[str]
) -> list[tuple[_OpenRaster, Window, frozenset[int]]]:
    """Of large rasters, the parts with the most classes, as many of each raster as fit into the memory."""
    most = max(_WHOLE // _SMALL**2, 1)
    if len(plan) <= most:
        return list(plan)
    ranks: dict[int, int] = {}
    ranked = []
    for entry in sorted(plan, key=lambda entry: -len(entry[2])):
        rank = ranks[entry[0].index] = ranks.get(entry[0].index, -1) + 1
        ranked.append((rank, entry))
    chosen = [entry for _, entry in sorted(ranked, key=lambda one: one[0])][:most]
    notes.append(
        f"The rasters are large: of {len(plan)} labelled parts of {_SMALL} pixels, the {most} with the most classes "
        "are used."
    )
    return sorted(chosen, key=lambda entry: (entry[0].index, entry[1].row_off, entry[1].col_off))


def _scene(
    raster: _OpenRaster,
    window: Window,
    ignored: frozenset[int],
    numbers: _Numbers,
    table: Mapping[int, int],
) -> Scene | None:
    """Read a part, cut to its labels and what is around them; None where all that is labelled is nodata."""
    ids, units = raster.burn(window, ignored, numbers)
    rows, cols = np.flatnonzero((ids != _NONE).any(axis=1)), np.flatnonzero((ids != _NONE).any(axis=0))
    margin = _CONTEXT * raster.cell
    top, left = max(int(rows[0]) - margin, 0), max(int(cols[0]) - margin, 0)
    box = np.s_[top : int(rows[-1]) + 1 + margin, left : int(cols[-1]) + 1 + margin]
    ids, units = ids[box], units[box]
    part = Window(window.col_off + left, window.row_off + top, ids.shape[1], ids.shape[0])
    image, valid = raster.image(part)
    ids[~valid] = _NONE
    labelled = ids != _NONE
    if not labelled.any():
        return None
    labels = np.full(ids.shape, IGNORE, np.uint8)
    for number, label in table.items():
        labels[ids == number] = label
    units = np.where(labelled, units, 0).astype(np.int32)
    return Scene(raster.index, torch.from_numpy(image), labels, units, raster.cell)
