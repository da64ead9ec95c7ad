"""What a finished run says of itself."""

from __future__ import annotations

import pytest


@pytest.fixture
def texts(plugin_module):
    return plugin_module("plugin.result_text")


@pytest.fixture
def value():
    classes = [
        {"id": 1, "name": "water", "iou": 0.93, "f1": 0.96},
        {"id": 2, "name": "road", "iou": 0.41, "f1": 0.58},
        {"id": 3, "name": "roof", "iou": None, "f1": None},
    ]
    expected = {"head": "density", "miou": 0.67, "f1": 0.77, "classes": classes}
    return {
        "seconds": 12.3, "device": "cpu", "model": "aerial", "scale": 2.0, "head": "density", "expected": expected,
    }  # fmt: skip


def test_message(texts, value) -> None:
    assert texts.result_message("a", value) == (
        "“a” is on the map (12 s, cpu). "
        "Left-out polygons: mean IoU 0.67, F1 0.77 (2 of 3 classes); weakest: road 0.41."
    )
    value["expected"]["classes"][1]["iou"] = 0.5
    assert texts.result_message("a", value).endswith("F1 0.77 (2 of 3 classes).")


def test_description(texts, value) -> None:
    assert texts.result_description(value).splitlines() == [
        "Model aerial, scale 2. Matching: Nearest cells.",
        "Left-out polygons: mean IoU 0.67, F1 0.77 (2 of 3 classes).",
        "IoU / F1 of the classes there: water 0.93 / 0.96, road 0.41 / 0.58, roof - / -.",
        "Polygons show no borders, so the map will be less accurate.",
    ]


def test_one_polygon_of_each_class(texts, value) -> None:
    value["expected"] = None
    assert texts.result_message("a", value) == "“a” is on the map (12 s, cpu)."
    assert texts.result_description(value) == "Model aerial, scale 2. Matching: Nearest cells."
