"""What the model is measured on and never trained on: whole rasters, or groups of neighbouring labels.

Never single pixels: the neighbour of a pixel that was trained on tells nothing about ground that was not. A polygon is
never divided either, nor is the same polygon held out on one raster and trained on where it lies on another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..episodes.episode import IGNORE
from .material import FEWEST, Material, Scene
from .options import FinetuningError, HoldOutKind

_SHARE = 0.25  # of the labelled pixels of each class, as near as whole units allow
_WORTH = 10.0  # of a class that is both trained and measured, beside the distances from that share
_NEAR = 8  # cells; labels nearer than that are neighbours
_GUARD = 4  # cells around what is held out that are not trained on either


@dataclass(frozen=True)
class Division:
    """The two sides.

    Attributes:
        kind: What was held out: units that were set aside for validation, rasters, or groups of units.
        training: The scenes with the labels that are trained on.
        held: The scenes with the labels that are held out.
        units: Which units are held out, shape (1 + U,).
        sentence: What is held out, for people.
    """

    kind: Literal["validation", "raster", "group"]
    training: tuple[Scene, ...]
    held: tuple[Scene, ...]
    units: NDArray[np.bool_]
    sentence: str


def divide(material: Material, kind: HoldOutKind = "auto") -> Division:
    """Divide what is labelled.

    Args:
        material: All of it.
        kind: "raster" or "group"; "auto" takes what is set aside for validation where that suffices, else rasters
            where there are enough, else groups.

    Raises:
        FinetuningError: When there is a single class, or one of the sides would be left without two classes.
    """
    if len(material.classes) < 2:
        name = material.classes[0].name if material.classes else "none"
        raise FinetuningError(
            f"Only one class is labelled ({name}); a model learns from the difference of two classes or more: label "
            "another one."
        )
    found = _division(material, kind)
    for scenes, what in ((found.held, "held out"), (found.training, "left to train on")):
        if not any(len(shown(scene)) > 1 for scene in scenes):
            raise FinetuningError(_too_little(material, what))
    return found


def shown(scene: Scene) -> list[int]:
    """The classes 1..C with enough labelled pixels in a scene."""
    counts = np.bincount(scene.labels.ravel(), minlength=256)
    counts[[0, IGNORE]] = 0
    return np.flatnonzero(counts >= FEWEST).tolist()


def choose(counts: NDArray[np.int64], forced: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose what is held out, so that as many classes as possible are on both sides, a quarter of each held out.

    Args:
        counts: Pixels of each unit by class, shape (U, C).
        forced: Units that are held out in any case, shape (U,).

    Returns:
        Shape (U,).
    """
    mask = forced.copy()
    totals = counts.sum(axis=0)
    best = _quality(counts[mask].sum(axis=0), totals)
    while not mask.all():
        left = np.flatnonzero(~mask)
        qualities = _quality(counts[mask].sum(axis=0) + counts[left], totals)
        place = int(qualities.argmax())
        if qualities[place] <= best + 1e-9:
            break
        best = qualities[place]
        mask[left[place]] = True
    return mask


def covered(counts: NDArray[np.int64], mask: NDArray[np.bool_]) -> int:
    """How many classes have enough pixels on both sides; arguments as in :func:`choose`."""
    held = counts[mask].sum(axis=0)
    return int(((held >= FEWEST) & (counts.sum(axis=0) - held >= FEWEST)).sum())


def _quality(held: NDArray[np.int64], totals: NDArray[np.int64]) -> NDArray[np.float64]:
    both = (held >= FEWEST) & (totals - held >= FEWEST)
    distance = np.abs(held / np.maximum(totals, 1) - _SHARE)
    quality: NDArray[np.float64] = (_WORTH * both - distance * (totals > 0)).sum(axis=-1)
    return quality


def _division(material: Material, kind: HoldOutKind) -> Division:
    tally, classes = material.tally, len(material.classes)
    aside = material.units.validation
    by_unit = tally.table(tally.unit, len(aside), classes)
    if kind == "auto" and _suffices(by_unit, aside, classes):
        polygons = int((by_unit.sum(axis=1) > 0)[aside].sum())
        return _divided(
            material, "validation", aside, f"the {polygons} polygons that are set aside for validation"
        )
    if kind in ("auto", "raster"):
        found = _rasters(material)
        if found is not None:
            return found
        if kind == "raster":
            raise FinetuningError(
                "No raster can be held out so that two classes are left on both sides; give another raster, or hold "
                "out groups of polygons."
            )
    return _groups(material, by_unit)


def _suffices(counts: NDArray[np.int64], mask: NDArray[np.bool_], classes: int) -> bool:
    both = covered(counts, mask)
    return both >= 2 and 2 * both >= classes


def _rasters(material: Material) -> Division | None:
    """Hold out rasters; those that share a polygon stay together."""
    tally = material.tally
    own = _joined(tally.raster, tally.unit, len(material.rasters), len(material.units.polygon))
    counts = tally.table(own[tally.raster], int(own.max()) + 1, len(material.classes))
    mask = choose(counts, np.zeros(len(counts), bool))
    if not _suffices(counts, mask, len(material.classes)):
        return None
    held = np.flatnonzero(mask[own])
    units = material.units.validation.copy()
    units[tally.unit[np.isin(tally.raster, held)]] = True
    names = [material.rasters[index].name for index in held.tolist()]
    shown_names = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return _divided(material, "raster", units, f"{shown_names}, all of it")


def _groups(material: Material, by_unit: NDArray[np.int64]) -> Division:
    """Hold out groups of neighbouring units; single units where the groups are too few for that."""
    aside, tally = material.units.validation, material.tally
    candidates = []
    for own, what in (
        (_neighbourhoods(material), "groups of neighbouring labels"),
        (np.arange(len(aside)), "polygons or parts of label rasters"),
    ):
        counts = tally.table(own[tally.unit], int(own.max()) + 1, len(material.classes))
        forced = np.zeros(len(counts), bool)
        forced[own[aside]] = True
        mask = choose(counts, forced)
        number, total = int(mask.sum()), int((counts.sum(axis=1) > 0).sum())
        candidates.append((covered(counts, mask), mask[own], f"{number} of {total} {what}"))
    best = candidates[0] if candidates[0][0] >= candidates[1][0] else candidates[1]
    units = best[1] & (by_unit.sum(axis=1) > 0)
    return _divided(material, "group", units, best[2])


def _neighbourhoods(material: Material) -> NDArray[np.int64]:
    """The group of each unit: units whose labels nearly touch are of one group, on whatever raster; shape (1 + U,)."""
    pairs: list[NDArray[np.int64]] = []
    first = 0
    for scene in material.scenes:
        labelled = scene.units > 0
        side = _NEAR * scene.cell
        rows, cols = np.nonzero(labelled)
        blocks = np.zeros((-(-labelled.shape[0] // side), -(-labelled.shape[1] // side)), bool)
        blocks[rows // side, cols // side] = True
        components, number = ndimage.label(blocks, np.ones((3, 3)))
        of = components[rows // side, cols // side].astype(np.int64) - 1 + first
        pairs.append(np.unique(np.stack([scene.units[labelled].astype(np.int64), of]), axis=1))
        first += int(number)
    units, components = np.concatenate(pairs, axis=1)
    return _joined(units, components, len(material.units.polygon), first)


def _joined(
    rows: NDArray[np.int64], cols: NDArray[np.int64], row_count: int, col_count: int
) -> NDArray[np.int64]:
    """The connected component of each row, where rows are joined by the columns that they share; shape (row_count,)."""
    size = row_count + col_count
    graph = coo_array((np.ones(len(rows)), (rows, row_count + cols)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    _, own = np.unique(component[:row_count], return_inverse=True)
    result: NDArray[np.int64] = own.astype(np.int64)
    return result


def _divided(
    material: Material, kind: Literal["validation", "raster", "group"], units: NDArray[np.bool_], what: str
) -> Division:
    training: list[Scene] = []
    held: list[Scene] = []
    for scene in material.scenes:
        out = units[scene.units]
        near = out
        if kind != "raster" and out.any():
            near = ndimage.maximum_filter(out, size=2 * _GUARD * scene.cell + 1)
        training += _with_labels(scene, ~near)
        held += _with_labels(scene, out)
    pixels = material.tally.pixels
    share = pixels[units[material.tally.unit]].sum() / max(pixels.sum(), 1)
    sentence = f"Held out: {what} ({100 * share:.0f} % of the labelled pixels)."
    return Division(kind, tuple(training), tuple(held), units, sentence)


def _with_labels(scene: Scene, kept: NDArray[np.bool_]) -> Sequence[Scene]:
    """The scene with some of its labels; nothing where there are none."""
    labels = np.where(kept, scene.labels, IGNORE).astype(np.uint8)
    if (labels == IGNORE).all():
        return []
    return [replace(scene, labels=labels, units=np.where(labels == IGNORE, 0, scene.units).astype(np.int32))]


def _too_little(material: Material, what: str) -> str:
    tally = material.tally
    units = np.unique(np.stack([tally.unit, tally.label]), axis=1)
    counts = np.bincount(units[1], minlength=len(material.classes))
    few = ", ".join(
        f"{info.name} {count}" for info, count in zip(material.classes, counts.tolist(), strict=True)
    )
    return (
        f"Labels of fewer than two classes would be {what} (polygons or parts of each class: {few}); draw at least two "
        "polygons each of two classes, apart from each other, or add a raster."
    )
