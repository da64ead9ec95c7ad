"""The hold-out as it is labelled: windows of it, and supports of a few small polygons, drawn once for all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..encoders.backbones import STRIDE
from ..episodes.drawn import draw_polygon
from ..episodes.episode import IGNORE
from ..rasters.imagery import pad_to
from .material import FEWEST, Scene, Units
from .options import FinetuningError

DRAWS = 5
SHOTS = 5
_SIDE = 64  # cells of a window; one is encoded in well under a second, so that a cancel need not wait
_WINDOWS = 12  # at most, which is about a megapixel of raster at 0.6 m
_RADII = (0.8, 2.0)  # cells; semi-axes of the polygons that are drawn in label rasters
_SMALLEST = 6  # pixels of a support polygon


@dataclass(frozen=True)
class HeldWindow:
    """A part of the hold-out that is encoded at once.

    Attributes:
        image: Encoder input with shape (3, 8 * rows, 8 * cols), values 0..255.
        labels: Shape (height, width), uint8: 1..C, 255 not labelled; rows and columns may reach beyond it.
        units: As of :class:`Scene`.
        cell: Raster pixels per feature cell.
    """

    image: Tensor
    labels: NDArray[np.uint8]
    units: NDArray[np.int32]
    cell: int


@dataclass(frozen=True)
class SupportDraw:
    """One support of a scene, and what is then to be labelled.

    Attributes:
        polygons: For each support polygon its masks (height, width) by window.
        labels: The scene's class index of each polygon, shape (P,).
        truth: For each window the scene's class indices, as many as classes where nothing counts; (height, width).
    """

    polygons: tuple[dict[int, NDArray[np.bool_]], ...]
    labels: NDArray[np.int64]
    truth: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True)
class HeldScene:
    """A scene of the hold-out.

    Attributes:
        classes: Those that it shows, of 1..C.
        windows: What is encoded of it.
        draws: The supports.
    """

    classes: tuple[int, ...]
    windows: tuple[HeldWindow, ...]
    draws: tuple[SupportDraw, ...]


def held_scenes(scenes: Sequence[Scene], units: Units, seed: int) -> tuple[HeldScene, ...]:
    """The windows and supports by which every model is measured; the same for the same arguments.

    Args:
        scenes: The held-out ones.
        units: Of the material.
        seed: Of the supports.

    Returns:
        Those scenes that show two classes or more.

    Raises:
        FinetuningError: When there is none.
    """
    places = [(index, *place) for index, scene in enumerate(scenes) for place in _places(scene)]
    counts = np.array(
        [
            np.bincount(scenes[index].labels[rows, cols].ravel(), minlength=256)[1:IGNORE]
            for index, rows, cols in places
        ]
    ).reshape(len(places), -1)
    kept = _spread(counts, _WINDOWS)
    found = []
    for index, scene in enumerate(scenes):
        own = [places[place] for place in kept if places[place][0] == index]
        windows = tuple(_window(scene, rows, cols) for _, rows, cols in own)
        pixels = sum((np.bincount(w.labels.ravel(), minlength=256) for w in windows), np.zeros(256, int))
        classes = tuple((np.flatnonzero(pixels[1:IGNORE] >= FEWEST) + 1).tolist())
        if len(classes) > 1:
            draws = tuple(
                _draw(windows, classes, units, np.random.default_rng((seed, index, number)))
                for number in range(DRAWS)
            )
            found.append(HeldScene(classes, windows, draws))
    if not found:
        raise FinetuningError(
            "The hold-out would be empty: nowhere does it show two classes close to each other; label more of it."
        )
    return tuple(found)


def _places(scene: Scene) -> list[tuple[slice, slice]]:
    side = _SIDE * scene.cell
    height, width = scene.labels.shape
    squares = [
        (slice(row, min(row + side, height)), slice(col, min(col + side, width)))
        for row in range(0, height, side)
        for col in range(0, width, side)
    ]
    return [(rows, cols) for rows, cols in squares if (scene.labels[rows, cols] != IGNORE).any()]


def _spread(counts: NDArray[np.int64], most: int) -> list[int]:
    """Rows that show much of every class: each further pixel of a class counts less (a square root); (N, C)."""
    totals = np.sqrt(np.maximum(counts.sum(axis=0), 1))
    chosen: list[int] = []
    have = np.zeros(counts.shape[1])
    while len(chosen) < min(most, len(counts)):
        gains = ((np.sqrt(have + counts) - np.sqrt(have)) / totals).sum(axis=1)
        gains[chosen] = -1.0
        best = int(gains.argmax())
        chosen.append(best)
        have += counts[best]
    return sorted(chosen)


def _window(scene: Scene, rows: slice, cols: slice) -> HeldWindow:
    part = scene.image[:, rows, cols].float().numpy()
    down, across = (-(-size // scene.cell) for size in part.shape[1:])
    padded = torch.from_numpy(pad_to(part, down * scene.cell, across * scene.cell))
    image = torch.nn.functional.interpolate(
        padded[None], (down * STRIDE, across * STRIDE), mode="bilinear", antialias=scene.cell > STRIDE
    )[0]
    return HeldWindow(image, scene.labels[rows, cols], scene.units[rows, cols], scene.cell)


def _draw(
    windows: Sequence[HeldWindow], classes: Sequence[int], units: Units, rng: np.random.Generator
) -> SupportDraw:
    polygons: list[dict[int, NDArray[np.bool_]]] = []
    labels: list[int] = []
    for index, number in enumerate(classes):
        own = _whole_polygons(windows, number, units, rng) or _small_polygons(windows, number, rng)
        polygons += own
        labels += [index] * len(own)
    index_of = np.full(256, len(classes), np.int64)
    index_of[list(classes)] = np.arange(len(classes))
    truth = [index_of[window.labels] for window in windows]
    for polygon in polygons:
        for place, mask in polygon.items():
            truth[place][mask] = len(classes)
    return SupportDraw(tuple(polygons), np.array(labels, np.int64), tuple(truth))


def _whole_polygons(
    windows: Sequence[HeldWindow], number: int, units: Units, rng: np.random.Generator
) -> list[dict[int, NDArray[np.bool_]]]:
    """At most half of a class's polygons; none where it has a single one, which is then divided."""
    pixels: dict[int, int] = {}
    for window in windows:
        found, counts = np.unique(window.units[window.labels == number], return_counts=True)
        for unit, count in zip(found.tolist(), counts.tolist(), strict=True):
            pixels[unit] = pixels.get(unit, 0) + count
    usable = [unit for unit, count in pixels.items() if units.polygon[unit] and count >= _SMALLEST]
    if len(usable) < 2:
        return []
    chosen = rng.permutation(usable)[: min(SHOTS, len(usable) // 2)].tolist()
    return [
        {
            place: mask
            for place, window in enumerate(windows)
            if (mask := (window.units == unit) & (window.labels == number)).any()
        }
        for unit in chosen
    ]


def _small_polygons(
    windows: Sequence[HeldWindow], number: int, rng: np.random.Generator
) -> list[dict[int, NDArray[np.bool_]]]:
    """Ellipses as people draw them, of less than half of the class's pixels together where that can be."""
    pixels = [np.argwhere(window.labels == number) for window in windows]
    ends = np.cumsum([len(own) for own in pixels])
    found: list[dict[int, NDArray[np.bool_]]] = []
    used = 0
    for _ in range(SHOTS):
        pick = int(rng.integers(ends[-1]))
        place = int(np.searchsorted(ends, pick, side="right"))
        row, col = pixels[place][pick - int(ends[place]) + len(pixels[place])].tolist()
        cell = windows[place].cell
        radii = (_RADII[0] * cell, _RADII[1] * cell)
        mask = draw_polygon(torch.from_numpy(windows[place].labels), number, (row, col), radii, rng).numpy()
        used += int(mask.sum())
        if found and used > ends[-1] / 2:
            break
        found.append({place: mask})
    return found
