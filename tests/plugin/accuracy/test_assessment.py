"""The numbers of an assessment as texts."""

from __future__ import annotations

import pytest


@pytest.fixture
def module(plugin_module, qgis_app):
    return plugin_module("plugin.accuracy.assessment")


def estimate(value, margin=None):
    low, high = (None, None) if margin is None else (value - margin, value + margin)
    return {"value": value, "se": None, "low": low, "high": high}


def answer(overall, **changes):
    """An answer of the worker with two classes."""
    nothing = estimate(None)
    classes = [
        {
            "id": id, "name": name, "color": "#000000", "map_count": 50, "reference_count": 40, "precision": 0.8,
            "recall": 0.7, "f1": 0.75, "iou": iou, "mapped_area": 12.0, "users": nothing, "producers": nothing,
            "area": nothing,
        }
        for id, name, iou in ((1, "road", 0.4), (2, "water", 0.9))
    ]  # fmt: skip
    return {
        "kind": "points", "design": "stratified", "statement": "So it is.", "notes": [], "unit": "points",
        "counted": 100, "removed": 0, "outside": 0, "unlabelled": 0, "skipped": 0, "overall_accuracy": 0.8,
        "kappa": 0.7, "mean_f1": 0.75, "mean_iou": 0.65, "overall": overall, "area_unit": "ha", "classes": classes,
        "confusion": [[40, 10], [10, 40]], "reliability": None, "report": None, "tables": [], "seconds": 1.0,
        **changes,
    }  # fmt: skip


def test_estimate_goes_before_the_counts(module) -> None:
    read = module.read_assessment(answer(estimate(0.8372, 0.05)))
    assert module.headline(read) == ("83.7 %", "overall accuracy\n78.7 % to 88.7 % (95 % interval)")
    assert module.meaning(read) == "About 8 of 10 places in the map are right. Weakest is road (IoU 0.40)."


def test_counts_are_shown_where_nothing_is_estimated(module) -> None:
    read = module.read_assessment(answer(estimate(None)))
    assert read.overall is None and module.headline(read) == ("80.0 %", "overall accuracy")
    assert "8 of 10 counted places" in module.meaning(read)


def test_nothing_can_be_told(module) -> None:
    read = module.read_assessment(answer(estimate(None), overall_accuracy=None))
    assert module.headline(read)[0] == "-" and "Nothing can be told" in module.meaning(read)


def test_a_good_map_is_not_perfect(module) -> None:
    assert "99 of 100" in module.meaning(module.read_assessment(answer(estimate(0.993, 0.005))))


def test_what_was_left_out(module) -> None:
    read = module.read_assessment(answer(estimate(0.8), removed=7, outside=2, unlabelled=1, skipped=3))
    assert module.basis(read) == (
        "Counted: 100 points; left out under support polygons: 7 points; without a label in the map: 2; "
        "not labelled yet: 1; skipped: 3."
    )
    assert module.basis(module.read_assessment(answer(estimate(0.8)))) == "Counted: 100 points."


def test_estimates_with_margin(module) -> None:
    text = module.estimate_text(module.Estimate(0.86, 0.81, 0.91))
    assert text.replace("\u2009", "") == "0.86±0.05"
    assert module.estimate_text(None, 0.5) == "0.50" and module.estimate_text(None) == "-"
    assert module.estimate_text(module.Estimate(0.86, None, None), 0.5) == "0.86"
    assert module.estimate_text(module.Estimate(1.0, 1.0, 1.0)) == "1.00", (
        "no error found is no proof of none"
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (9_999, "9999"),
        (10_000, "10k"),
        (361_240, "361k"),
        (1_230_000, "1.2M"),
        (4_000_000_000, "4.0G"),
    ],
)
def test_short_counts(module, count, text) -> None:
    assert module.short_text(count) == text
