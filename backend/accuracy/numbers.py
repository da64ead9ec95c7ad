"""An assessment as values for programs: JSON has no NaN, so that None stands for what is not known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..rasters.palette import hex_color
from .assessment import Assessment
from .estimation import Estimate
from .reliability import Reliability
from .sampling import Stratum

_DIGITS = 6


def numbers(found: Assessment) -> dict[str, Any]:
    """The values that :class:`backend.messages.Accuracy` tells, but for the files that were written."""
    agreement, estimates = found.agreement, found.estimates
    classes = []
    for place, info in enumerate(found.classes):
        area = found.areas[place] if found.areas else Estimate()
        classes.append(
            {
                "id": info.id,
                "name": info.name,
                "color": hex_color(info.color),
                "map_count": int(found.matrix[place].sum()),
                "reference_count": int(found.matrix[:, place].sum()),
                "precision": known(agreement.precision[place]),
                "recall": known(agreement.recall[place]),
                "f1": known(agreement.f1[place]),
                "iou": known(agreement.iou[place]),
                "mapped_area": known(found.mapped[place]),
                "users": _estimate(estimates.users[place]),
                "producers": _estimate(estimates.producers[place]),
                "area": _estimate(area),
            }
        )
    return {
        "labels": found.labels,
        "reference": found.reference,
        "support": found.support,
        "confidence": found.confidence,
        "kind": found.kind,
        "design": found.design,
        "statement": found.statement,
        "notes": list(found.notes),
        "unit": "points" if found.kind == "points" else "pixels",
        "counted": found.counted,
        "removed": found.removed,
        "outside": found.outside,
        "unlabelled": found.unlabelled,
        "skipped": found.skipped,
        "pixels": found.pixels,
        "overall_accuracy": known(agreement.overall),
        "kappa": known(agreement.kappa),
        "mean_f1": known(agreement.mean_f1),
        "mean_iou": known(agreement.mean_iou),
        "overall": _estimate(estimates.overall),
        "area_unit": found.unit,
        "classes": classes,
        "confusion": found.matrix.tolist(),
        "proportions": None
        if estimates.proportions is None
        else np.round(estimates.proportions, _DIGITS).tolist(),
        "reliability": None if found.reliability is None else _reliability(found.reliability),
        "seconds": round(found.seconds, 2),
    }


def strata(found: Sequence[Stratum]) -> list[dict[str, Any]]:
    """The strata that :class:`backend.messages.SamplePoints` tells."""
    total = sum(stratum.pixels for stratum in found)
    return [
        {
            "id": stratum.style.id,
            "name": stratum.style.name,
            "color": hex_color(stratum.style.color),
            "pixels": stratum.pixels,
            "share": known(stratum.pixels / total),
            "points": stratum.points,
        }
        for stratum in found
    ]


def known(value: float) -> float | None:
    """A number, None for NaN."""
    return None if math.isnan(value) else round(float(value), _DIGITS)


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {
        "value": known(estimate.value),
        "se": known(estimate.se),
        "low": known(estimate.low),
        "high": known(estimate.high),
    }


def _reliability(found: Reliability) -> dict[str, Any]:
    bins = [
        {
            "low": item.low,
            "high": item.high,
            "count": item.count,
            "confidence": known(item.confidence),
            "accuracy": known(item.accuracy),
        }
        for item in found.bins
    ]
    return {"ece": known(found.ece), "bins": bins}
