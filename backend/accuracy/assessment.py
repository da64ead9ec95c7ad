"""Assessing a label map: from the files to numbers, readable from top to bottom."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..errors import AssessmentError
from ..progress import CancelToken, Progress, ProgressCallback
from ..rasters.class_styles import ClassStyle
from .areas import PixelAreas
from .clusters import ClusterSample
from .confusion import Agreement
from .estimation import Estimate, Estimates, StratifiedSample, Tally
from .exclusion import Exclusion
from .gathering import Gathered, gather
from .mapped import CACHE, LabelMap
from .reference import Kind, PointReference, Reference, open_reference
from .reliability import ConfidenceRaster, Reliability
from .statement import Design, told_design, told_gaps

_HECTARE = 10_000.0  # m²


@dataclass(frozen=True)
class Assessment:
    """How good a label map is.

    Attributes:
        labels, reference: The files that were compared.
        support, confidence: Files, None where none was given.
        kind: What the reference is.
        design: What the estimates rest on.
        classes: Those that the map or the reference has.
        matrix: Counted units, a row for each class of the map, a column for each class of the reference.
        agreement: What the matrix tells.
        estimates: For the whole map outside of the support polygons.
        mapped: Area of each class in that map, shape (classes,), in ``unit``.
        represented: Area that the estimates hold for, in ``unit``: less than the map where nothing is known of a class.
        unit: "ha", "m²" or "px".
        counted: Units in the matrix: points or pixels.
        removed: Units under support polygons.
        outside: Units where the map has no label.
        unlabelled: Points without a class.
        skipped: Points at which the analyst could not tell.
        pixels: Of the map that are assessed.
        reliability: Of the confidences, None without them.
        statement: What the intervals mean.
        notes: What else the user should know.
        seconds: That it took.
    """

    labels: str
    reference: str
    support: str | None
    confidence: str | None
    kind: Kind
    design: Design
    classes: tuple[ClassStyle, ...]
    matrix: NDArray[np.int64]
    agreement: Agreement
    estimates: Estimates
    mapped: NDArray[np.float64]
    represented: float
    unit: str
    counted: int
    removed: int
    outside: int
    unlabelled: int
    skipped: int
    pixels: int
    reliability: Reliability | None
    statement: str
    notes: tuple[str, ...]
    seconds: float

    @property
    def areas(self) -> tuple[Estimate, ...]:
        """True area of each class, in ``unit``; none where the design allows none."""
        return tuple(share.times(self.represented) for share in self.estimates.shares)


def assess(
    labels: str | Path,
    reference: str | Path,
    class_field: str = "class_id",
    support: str | Path | None = None,
    confidence: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Assessment:
    """Compare a label map with a reference; memory does not grow with the map.

    Args:
        labels: The label map.
        reference: Points, polygons or a raster, see :func:`open_reference`.
        class_field: Of the points or polygons.
        support: The polygons that the map was made from, under which nothing is assessed.
        confidence: The confidence raster of the map.
        progress: Called after every window.
        cancel: Stops it.

    Raises:
        ProtolabelError: When something cannot serve.
        Cancelled: When ``cancel`` was used.
    """
    started = time.monotonic()
    cancel, notes = cancel or CancelToken(), list[str]()
    with rasterio.Env(GDAL_CACHEMAX=CACHE), ExitStack() as stack:
        opened = stack.enter_context(LabelMap(labels, cancel))
        compared = open_reference(reference, class_field, opened, notes, stack)
        exclusion = Exclusion(support, opened, notes)
        confidences = ConfidenceRaster(confidence, opened, stack) if confidence else None
        areas = PixelAreas(opened)

        def tell(done: int, total: int, pixels: int) -> None:
            cancel.check()
            (progress or (lambda state: None))(Progress("assessing", done, total, pixels / 1e6))

        found = gather(opened, compared, exclusion, confidences, areas, tell)
        _check(found, compared.kind, str(reference), opened)
        kept = np.flatnonzero((found.sizes > 0) | found.occurring)
        design, estimates, weights, represented = _estimate(found, compared, len(opened.classes))
        matrix = found.tally.matrix(len(opened.classes))[np.ix_(kept, kept)]
        classes = tuple(opened.classes[place] for place in kept.tolist())
        chosen = estimates.of_classes(kept.tolist())
        notes.extend(told_gaps(found, compared, design, chosen, classes, kept))
        hectares = areas.unit == "m²" and found.areas.sum() >= _HECTARE
        size = _HECTARE if hectares else 1.0
        points = compared.points if isinstance(compared, PointReference) else None
        return Assessment(
            str(labels), str(reference), str(support) if support else None,
            str(confidence) if confidence else None, compared.kind, design, classes, matrix,
            Agreement.of(matrix), chosen, found.areas[kept] / size, represented * found.areas.sum() / size,
            "ha" if hectares else areas.unit, int(matrix.sum()), found.removed, found.outside,
            points.unlabelled if points else 0, points.skipped if points else 0, int(found.sizes.sum()),
            found.reliability.reliability(weights) if found.reliability else None,
            told_design(design), tuple(dict.fromkeys(notes)), time.monotonic() - started,
        )  # fmt: skip


def _estimate(
    found: Gathered, reference: Reference, classes: int
) -> tuple[Design, Estimates, NDArray[np.float64], float]:
    """The design, the estimates, what a unit of each group stands for, and the share of the map that is told of."""
    if reference.kind == "polygons":
        return "clusters", ClusterSample(found.tally).estimates(classes), np.ones(1), 1.0
    points = reference.points if isinstance(reference, PointReference) else None
    now = int(found.sizes.sum())
    if points is not None and points.sizes is not None:
        drawn = np.bincount(points.group, minlength=len(points.sizes))
        estimates = StratifiedSample(found.tally, points.sizes, drawn).estimates(classes)
        # The map may have grown since the points were drawn, of which they know nothing, or shrunk.
        total, known = int(points.sizes.sum()), int(points.sizes[drawn > 0].sum())
        represented = min(total / now, 1.0) * known / total
        return "stratified", estimates, points.sizes / np.maximum(drawn, 1), represented
    matrix = found.tally.matrix(classes)
    drawn = matrix.sum(axis=1)
    by_class = StratifiedSample(Tally.of_matrix(matrix), found.sizes, drawn).estimates(classes)
    represented = float(found.areas[drawn > 0].sum() / found.areas.sum())
    if points is not None:
        return "assumed", by_class, found.sizes / np.maximum(drawn, 1), represented
    if (drawn == found.sizes).all():
        return "census", by_class, np.ones(1), represented
    return "partial", by_class.without_errors(), np.ones(1), represented


def _check(found: Gathered, kind: Kind, reference: str, labels: LabelMap) -> None:
    """Raise AssessmentError when there is nothing to compare."""
    counted = int(found.tally.count.sum())
    if not counted and not found.removed and not found.outside:
        what = {"points": "labelled point", "polygons": "pixel in a polygon", "raster": "pixel with a class"}[
            kind
        ]
        raise AssessmentError(
            f"The reference {reference} has no {what} on the label map; choose another reference."
        )
    if not counted and found.removed:
        raise AssessmentError(
            f"All of the reference {reference} that has labels in the map lies under the support polygons; keep other "
            "places aside for validation."
        )
    if not counted:
        raise AssessmentError(
            f"The label map {labels.path} has no label where the reference {reference} lies; check that both show the "
            "same place and that their coordinate systems are right."
        )
    mapped, told = np.flatnonzero(found.sizes), np.unique(found.tally.reference)
    for places, what in ((mapped, f"label map {labels.path}"), (told, f"reference {reference}")):
        if len(places) < 2:
            only = labels.classes[int(places[0])].name
            raise AssessmentError(
                f"The {what} holds a single class ({only}), so that nothing can be told apart; two are needed."
            )
