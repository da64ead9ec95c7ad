"""What may be said of an assessment and what not, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..rasters.class_styles import ClassStyle
from .estimation import Estimate, Estimates
from .gathering import Gathered
from .reference import PointReference, Reference

Design = Literal["stratified", "assumed", "clusters", "census", "partial"]

_DESIGNS: dict[Design, str] = {
    "stratified": (
        "The points are a stratified random sample, so that the estimates hold for the whole map: the accuracies are "
        "weighted by area, the areas are corrected for the errors that were found, and 95 of 100 such intervals hold "
        "the true value."
    ),
    "assumed": (
        "The estimates take the points as drawn at random within each class of this map. If somebody chose their "
        "places, the estimates and intervals tell only of places like these, not of the whole map."
    ),
    "clusters": (
        "The polygons were placed by hand, which is no random sample: the figures tell of places like these. The "
        "intervals take each polygon as one unit, and say how much the figures would vary with other polygons of the "
        "same kind; they are no statement on the whole map. Polygons show few borders, so that the whole map will "
        "be less accurate. Areas cannot be corrected for errors; for that, draw points."
    ),
    "census": (
        "The reference covers the whole map, so that nothing is estimated and there is no sampling error: accuracies "
        "and areas are as exact as the reference is right."
    ),
    "partial": (
        "The reference covers a part of the map. Each class of the map is taken to be as accurate elsewhere as it is "
        "there, and is weighted by its area in the whole map; how far that is true cannot be told, so that there are "
        "no intervals."
    ),
}
_FEW = 2  # units of a class, below which no standard error can be told
_CHANGED = 0.01  # share of the pixels, from which a difference is worth a word
_NAMES = 6  # in a sentence


def told_design(design: Design) -> str:
    """What the estimates and intervals mean."""
    return _DESIGNS[design]


def told_gaps(
    found: Gathered,
    reference: Reference,
    design: Design,
    estimates: Estimates,
    classes: Sequence[ClassStyle],
    kept: NDArray[np.intp],
) -> list[str]:
    """What is missing for a better answer.

    Args:
        found: What was counted.
        reference: What the map was compared with.
        design: What the estimates rest on.
        estimates: Of the classes.
        classes: That occur.
        kept: Their places in the map's list.
    """
    notes = []
    sizes = found.sizes[kept]
    matrix = found.tally.matrix(len(found.sizes))[np.ix_(kept, kept)]
    points = reference.points if isinstance(reference, PointReference) else None
    if points is not None and points.strata is not None and points.sizes is not None:
        notes += _told_frame(points.sizes, int(sizes.sum()))
        unseen = np.bincount(points.group, minlength=len(points.sizes)) == 0
        named = [_stratum_name(int(class_id), classes) for class_id in points.strata[unseen]]
        share = float(points.sizes[unseen].sum() / points.sizes.sum())
    else:
        unseen = (sizes > 0) & ~matrix.any(axis=1)
        named = [classes[place].name for place in np.flatnonzero(unseen).tolist()]
        share = float(sizes[unseen].sum() / sizes.sum())
    if named:
        notes.append(
            f"The reference tells nothing of what the map shows as {_listed(named)} ({100 * share:.1f} % of the map); "
            "the estimates leave it out."
        )
    if points is not None and points.skipped:
        notes.append(
            f"{points.skipped} points were skipped; the estimates take them to be like the others, though what is hard "
            "to tell is often wrong in the map as well."
        )
    absent = [i for i in range(len(classes)) if not matrix[:, i].any()]
    if absent:
        notes.append(
            f"The reference shows {_listed([classes[i].name for i in absent])} nowhere, so that no producer's accuracy "
            "can be told of it."
        )
    if design in ("stratified", "assumed", "clusters"):
        unit = "polygon" if design == "clusters" else "point"
        lonely = [i for i in range(len(classes)) if _has_no_error(estimates.users[i])]
        if lonely:
            notes.append(
                f"{_listed([classes[i].name for i in lonely])}: a single {unit} gives no standard error; "
                f"{_FEW} are the least, 25 are better."
            )
    if design in ("stratified", "assumed", "clusters"):
        notes += _told_faultless(estimates, classes, matrix, design)
    return notes


def _told_frame(sizes: NDArray[np.int64], now: int) -> list[str]:
    """What has changed since the points were drawn."""
    drawn = int(sizes.sum())
    if abs(drawn - now) <= _CHANGED * max(drawn, now):
        return []
    return [
        f"The points stand for {drawn:,} pixels, but the map has {now:,} outside of the support polygons; "
        "the estimates hold for what both have in common."
    ]


def _told_faultless(
    estimates: Estimates, classes: Sequence[ClassStyle], matrix: NDArray[np.int64], design: Design
) -> list[str]:
    """An interval of no width is not to be taken at its word: the rule of three, for points."""
    faultless = [
        info.name
        if design == "clusters"
        else f"{info.name} (they may be up to about {min(3 / row.sum(), 1):.0%})"
        for info, row, item in zip(classes, matrix, estimates.users, strict=True)
        if item.value == 1 and item.se == 0 and row.sum() > 1
    ]
    if not faultless:
        return []
    return [
        f"No error was found in what the map shows as {_listed(faultless)}; that is no proof that there is none, and "
        "no interval can be given."
    ]


def _has_no_error(estimate: Estimate) -> bool:
    return not math.isnan(estimate.value) and math.isnan(estimate.se)


def _stratum_name(class_id: int, classes: Sequence[ClassStyle]) -> str:
    return next((info.name for info in classes if info.id == class_id), f"class {class_id}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
