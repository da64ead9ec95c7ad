"""An assessment as CSV, one table a file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from .assessment import Assessment
from .estimation import Estimate

NAMES = (
    "summary.csv",
    "classes.csv",
    "confusion_matrix.csv",
    "area_proportions.csv",
    "reliability.csv",
)
Row = Sequence[object]


def tables(found: Assessment) -> dict[str, str]:
    """The tables by file name, of :data:`NAMES`; those without content are left out."""
    result = {
        "summary.csv": _csv(("quantity", "value"), _summary(found)),
        "classes.csv": _csv(*_classes(found)),
        "confusion_matrix.csv": _csv(*_matrix(found, found.matrix.tolist())),
    }
    if found.estimates.proportions is not None:
        result["area_proportions.csv"] = _csv(*_matrix(found, found.estimates.proportions.tolist()))
    if found.reliability is not None:
        header = ("confidence_from", "confidence_to", "count", "mean_confidence", "accuracy")
        rows = [
            (item.low, item.high, item.count, item.confidence, item.accuracy)
            for item in found.reliability.bins
        ]
        result["reliability.csv"] = _csv(header, rows)
    return result


def _summary(found: Assessment) -> list[Row]:
    overall = found.estimates.overall
    units = "points" if found.kind == "points" else "pixels"
    return [
        ("label map", found.labels),
        ("reference", found.reference),
        ("support", found.support or ""),
        ("confidence", found.confidence or ""),
        ("kind of reference", found.kind),
        ("design", found.design),
        (f"{units} compared", found.counted),
        (f"{units} removed under support polygons", found.removed),
        (f"{units} without a label in the map", found.outside),
        ("points not labelled", found.unlabelled),
        ("points skipped", found.skipped),
        ("overall accuracy of the counts", found.agreement.overall),
        ("kappa of the counts", found.agreement.kappa),
        ("mean F1 of the counts", found.agreement.mean_f1),
        ("mean IoU of the counts", found.agreement.mean_iou),
        ("overall accuracy, estimated", overall.value),
        ("standard error", overall.se),
        ("95 % interval, low", overall.low),
        ("95 % interval, high", overall.high),
        ("expected calibration error", found.reliability.ece if found.reliability else math.nan),
    ]


def _classes(found: Assessment) -> tuple[list[str], list[Row]]:
    def of(name: str) -> list[str]:
        return [name, f"{name}_se", f"{name}_low", f"{name}_high"]

    unit = {"m²": "m2"}.get(found.unit, found.unit)
    header = ["id", "name", "map_count", "reference_count", "precision", "recall", "f1", "iou"]
    header += [*of("users_accuracy"), *of("producers_accuracy"), f"mapped_area_{unit}", *of(f"area_{unit}")]
    rows: list[Row] = []
    for place, info in enumerate(found.classes):
        rows.append(
            (
                info.id,
                info.name,
                int(found.matrix[place].sum()),
                int(found.matrix[:, place].sum()),
                float(found.agreement.precision[place]),
                float(found.agreement.recall[place]),
                float(found.agreement.f1[place]),
                float(found.agreement.iou[place]),
                *_values(found.estimates.users[place]),
                *_values(found.estimates.producers[place]),
                float(found.mapped[place]),
                *_values(found.areas[place] if found.areas else Estimate()),
            )
        )
    return header, rows


def _matrix(found: Assessment, values: Sequence[Sequence[object]]) -> tuple[list[str], list[Row]]:
    """A row for each class of the map, a column for each class of the reference."""
    names = [info.name for info in found.classes]
    header = ["map \\ reference", *names]
    return header, [(name, *row) for name, row in zip(names, values, strict=True)]


def _values(estimate: Estimate) -> tuple[float, float, float, float]:
    return estimate.value, estimate.se, estimate.low, estimate.high


def _csv(header: Sequence[str], rows: Iterable[Row]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: object) -> object:
    """Numbers with six digits behind the point, nothing for what is not known."""
    if isinstance(value, float):
        return "" if math.isnan(value) else round(value, 6)
    # A spreadsheet would take a name that begins so for a formula.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return value
