"""What leaving polygons out says about the map to come, in sentences for people and in values for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .heads.selection import HeadEstimate
from .rasters.support import ClassInfo


def told_expectation(head: str, estimate: HeadEstimate | None, classes: Sequence[ClassInfo]) -> list[str]:
    """Sentences.

    Args:
        head: The head that is used.
        estimate: See :func:`backend.heads.selection.choose_head`.
        classes: In the order of the estimate.
    """
    if estimate is None:
        return [
            f"Head {head}. With one polygon of each class nothing can be told of the accuracy; draw a second one."
        ]
    per_class = ", ".join(
        f"{info.name} {number(iou)} / {number(f1)}"
        for info, iou, f1 in zip(classes, estimate.iou, estimate.f1, strict=True)
    )
    return [
        f"Head {head}. Polygons that were left out one by one: mean IoU {number(estimate.mean_iou)}, mean F1 "
        f"{number(estimate.mean_f1)}. Polygons show no borders, so the map will be less accurate.",
        f"IoU / F1 of the classes there: {per_class}.",
    ]


def expectation(
    head: str, estimate: HeadEstimate | None, classes: Sequence[ClassInfo]
) -> dict[str, Any] | None:
    """Values: ``head``, ``miou``, ``f1`` and ``classes`` (a list of ``id``, ``name``, ``iou``, ``f1``).

    None stands for what is not known: a number, or all of it.
    """
    if estimate is None:
        return None
    return {
        "head": head,
        "miou": _value(estimate.mean_iou),
        "f1": _value(estimate.mean_f1),
        "classes": [
            {"id": info.id, "name": info.name, "iou": _value(iou), "f1": _value(f1)}
            for info, iou, f1 in zip(classes, estimate.iou.tolist(), estimate.f1.tolist(), strict=True)
        ],
    }


def number(value: float) -> str:
    """Two digits, a dash for what is not known."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def _value(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)
