"""How good a label map is, as the backend tells it, and its numbers as texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QLocale

from ..expectation import number_text
from ..translation import tr

_PLUS_MINUS = "\u2009±\u2009"  # with thin spaces


@dataclass(frozen=True)
class Estimate:
    """An estimate for the whole map, with its 95 % confidence interval.

    Attributes:
        value: The estimate.
        low: Lower end of the interval, None where it cannot be told.
        high: Upper end of it.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def margin(self) -> float | None:
        """Half the width of the interval; None where there is none, or one of no width, which would tell too much."""
        if self.low is None or self.high is None or self.high <= self.low:
            return None
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class ClassAccuracy:
    """One class; numbers of the counts are 0 to 1, None where they cannot be told.

    Attributes:
        id: Of the class.
        name: Of it.
        color: "#rrggbb".
        map_count: How many of the counted the map gives this class.
        reference_count: How many of them the reference does.
        precision: Of the counts; also called user's accuracy.
        recall: Of the counts; also called producer's accuracy.
        f1: Of the counts.
        iou: Of the counts.
        mapped_area: In the map, in the assessment's unit.
        users: User's accuracy estimated for the whole map, None where the design allows none.
        producers: Producer's accuracy, as well.
        area: What the class truly covers, as well, in the assessment's unit.
    """

    id: int
    name: str
    color: str
    map_count: int
    reference_count: int
    precision: float | None
    recall: float | None
    f1: float | None
    iou: float | None
    mapped_area: float | None
    users: Estimate | None
    producers: Estimate | None
    area: Estimate | None


@dataclass(frozen=True)
class Assessment:
    """The answer to :class:`backend.messages.Accuracy`, whose fields it has.

    Attributes:
        statement: What the design means for the intervals.
        notes: What else the user should know.
        points: Whether points were counted, else pixels.
        counted: How many there are in the confusion matrix.
        removed: How many of the reference lie under support polygons.
        outside: How many lie where the map has no label.
        unlabelled: Points that wait to be labelled.
        skipped: Points that the analyst could not tell.
        overall_accuracy: Of the counts.
        kappa: Of the counts, -1 to 1.
        mean_f1: Of the counts.
        mean_iou: Of the counts.
        overall: Overall accuracy estimated for the whole map, None where the design allows none.
        area_unit: "ha", "m²" or "px".
        classes: In the order of the map's classes.
        confusion: Rows by map class, columns by reference class.
        calibration_error: Mean distance of confidence and accuracy, 0 to 1; None without a confidence raster.
        report: The HTML report.
        tables: The CSV files.
    """

    statement: str
    notes: tuple[str, ...]
    points: bool
    counted: int
    removed: int
    outside: int
    unlabelled: int
    skipped: int
    overall_accuracy: float | None
    kappa: float | None
    mean_f1: float | None
    mean_iou: float | None
    overall: Estimate | None
    area_unit: str
    classes: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: float | None
    report: Path | None
    tables: tuple[Path, ...]

    @property
    def best_overall(self) -> Estimate | None:
        """The overall accuracy to show: the estimate, else that of the counts, which has no interval."""
        if self.overall is not None or self.overall_accuracy is None:
            return self.overall
        return Estimate(self.overall_accuracy, None, None)


def read_assessment(value: Mapping[str, Any]) -> Assessment:
    """Take the worker's answer."""
    reliability = value["reliability"]
    return Assessment(
        statement=value["statement"],
        notes=tuple(value["notes"]),
        points=value["unit"] == "points",
        counted=value["counted"],
        removed=value["removed"],
        outside=value["outside"],
        unlabelled=value["unlabelled"] or 0,
        skipped=value["skipped"] or 0,
        overall_accuracy=value["overall_accuracy"],
        kappa=value["kappa"],
        mean_f1=value["mean_f1"],
        mean_iou=value["mean_iou"],
        overall=_estimate(value["overall"]),
        area_unit=value["area_unit"],
        classes=tuple(map(_class, value["classes"])),
        confusion=tuple(tuple(row) for row in value["confusion"]),
        calibration_error=reliability["ece"] if reliability else None,
        report=Path(value["report"]) if value["report"] else None,
        tables=tuple(map(Path, value["tables"] or ())),
    )


def headline(assessment: Assessment) -> tuple[str, str]:
    """The overall accuracy in large letters, and what belongs to it in small ones."""
    overall = assessment.best_overall
    if overall is None:
        return "-", tr("overall accuracy")
    if overall.low is None or overall.high is None or overall.margin is None:
        return percent_text(overall.value), tr("overall accuracy")
    interval = tr("overall accuracy\n{0} to {1} (95 % interval)")
    return percent_text(overall.value), interval.format(percent_text(overall.low), percent_text(overall.high))


def meaning(assessment: Assessment) -> str:
    """One sentence on what the headline means, and one on the class that needs care most."""
    overall = assessment.best_overall
    if overall is None:
        return tr("Nothing can be told yet.")
    out_of = 10 if overall.value < 0.9 else 100
    told = (
        tr("About {0} of {1} places in the map are right.")
        if assessment.overall is not None
        else tr("About {0} of {1} counted places are right.")
    )
    text = told.format(round(overall.value * out_of), out_of)
    judged = [item for item in assessment.classes if item.iou is not None]
    weakest = min(judged, key=lambda item: item.iou or 0.0, default=None)
    if weakest is None or len(judged) < 2:
        return text
    weak = tr("Weakest is {0} (IoU {1}).").format(weakest.name, number_text(weakest.iou))
    return f"{text} {weak}"


def basis(assessment: Assessment) -> str:
    """How much was counted, and what was left out."""
    unit = tr("{0} points") if assessment.points else tr("{0} pixels")
    parts = [tr("Counted: {0}").format(unit.format(whole_text(assessment.counted)))]
    if assessment.removed:
        parts.append(
            tr("left out under support polygons: {0}").format(unit.format(whole_text(assessment.removed)))
        )
    for count, text in (
        (assessment.outside, tr("without a label in the map: {0}")),
        (assessment.unlabelled, tr("not labelled yet: {0}")),
        (assessment.skipped, tr("skipped: {0}")),
    ):
        if count:
            parts.append(text.format(whole_text(count)))
    return "; ".join(parts) + "."


def estimate_text(estimate: Estimate | None, other: float | None = None) -> str:
    """An estimate as 0.86 ± 0.05, else the other value."""
    if estimate is None:
        return number_text(other)
    margin = estimate.margin
    return number_text(estimate.value) + (f"{_PLUS_MINUS}{number_text(margin)}" if margin is not None else "")


def area_text(item: ClassAccuracy) -> str:
    """The estimated area with its margin, else the area in the map."""
    if item.area is None:
        return _size(item.mapped_area)
    margin = item.area.margin
    return _size(item.area.value) + (f"{_PLUS_MINUS}{_size(margin)}" if margin is not None else "")


def percent_text(value: float) -> str:
    """A share of 1 in percent, with one digit behind the point."""
    return tr("{0} %").format(QLocale().toString(100.0 * value, "f", 1))


def whole_text(value: int) -> str:
    """A whole number as the user's language groups it."""
    return QLocale().toString(float(value), "f", 0)


def short_text(value: int) -> str:
    """A count in four characters or so."""
    for least, size, mark in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if value >= least:
            scaled = value / size
            return QLocale().toString(scaled, "f", 0 if scaled >= 10 else 1) + mark
    return str(value)


def _size(value: float | None) -> str:
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return QLocale().toString(float(value), "f", digits)


def _estimate(value: Mapping[str, Any] | None) -> Estimate | None:
    if value is None or value["value"] is None:
        return None
    return Estimate(value["value"], value["low"], value["high"])


def _class(value: Mapping[str, Any]) -> ClassAccuracy:
    plain = {
        name: value[name]
        for name in (
            "id", "name", "color", "map_count", "reference_count", "precision", "recall", "f1", "iou", "mapped_area",
        )
    }  # fmt: skip
    return ClassAccuracy(
        **plain,
        users=_estimate(value["users"]),
        producers=_estimate(value["producers"]),
        area=_estimate(value["area"]),
    )
