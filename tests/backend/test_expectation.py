"""What leaving polygons out says, in sentences and in values."""

from __future__ import annotations

import json

import numpy as np

from backend.expectation import expectation, told_expectation
from backend.heads.selection import HeadEstimate
from backend.rasters.support import ClassInfo

CLASSES = (ClassInfo(1, "road"), ClassInfo(4, "roof"), ClassInfo(9, "lake"))
ESTIMATE = HeadEstimate(
    "density", np.zeros((4, 3)), np.array([0.5, 0.25, np.nan]), np.array([2 / 3, 0.4, np.nan])
)


def test_sentences() -> None:
    first, second = told_expectation("density", ESTIMATE, CLASSES)
    assert "Head density" in first and "mean IoU 0.38, mean F1 0.53" in first and "less accurate" in first
    assert second == "IoU / F1 of the classes there: road 0.50 / 0.67, roof 0.25 / 0.40, lake - / -."


def test_nothing_known() -> None:
    (only,) = told_expectation("prototype", None, CLASSES)
    assert "draw a second one" in only
    assert expectation("prototype", None, CLASSES) is None


def test_values_are_json() -> None:
    found = json.loads(json.dumps(expectation("density", ESTIMATE, CLASSES), allow_nan=False))
    assert found["head"] == "density" and found["miou"] == 0.375 and found["f1"] == 0.5333
    assert found["classes"][1] == {"id": 4, "name": "roof", "iou": 0.25, "f1": 0.4}
    assert found["classes"][2] == {"id": 9, "name": "lake", "iou": None, "f1": None}
