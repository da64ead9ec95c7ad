"""What leaving polygons out tells, as it is read and said in short."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QLocale


@pytest.fixture
def expectation(plugin_module):
    return plugin_module("plugin.expectation")


def answer(*ious: float | None, miou: float | None = 0.6, head: str = "polygons") -> dict:
    """The value ``expected`` with classes a, b, c and so on."""
    classes = [
        {"id": place + 1, "name": "abcdefg"[place], "iou": iou, "f1": None if iou is None else iou + 0.1}
        for place, iou in enumerate(ious)
    ]
    return {"head": head, "miou": miou, "f1": None if miou is None else 0.75, "classes": classes}


def test_nothing_is_known(expectation) -> None:
    assert expectation.read_expectation(None) is None
    assert expectation.read_expectation(answer(None, None, miou=None)) is None


def test_means(expectation) -> None:
    read = expectation.read_expectation
    assert expectation.means_text(read(answer(0.8, 0.4))) == "Left-out polygons: mean IoU 0.60, F1 0.75"
    text = expectation.means_text(read(answer(0.8, None, 0.4)))
    assert text == "Left-out polygons: mean IoU 0.60, F1 0.75 (2 of 3 classes)"


@pytest.mark.parametrize(
    ("ious", "text"),
    [
        ((0.9, 0.5), ""),
        ((0.9, 0.4996), ""),  # would be told as 0.50
        ((0.9, 0.4), "b 0.40"),
        ((0.3, 0.9, 0.1, None), "c 0.10, a 0.30"),
        ((0.3, 0.2, 0.1, 0.0), "d 0.00, c 0.10 and 2 more"),
        ((None, None), ""),
    ],
)
def test_classes_that_need_more_polygons(expectation, ious, text) -> None:
    assert expectation.weakest_text(expectation.read_expectation(answer(*ious))) == text


def test_long_names_are_cut(expectation) -> None:
    value = answer(0.1)
    value["classes"][0]["name"] = "Forest, mostly coniferous, of the northern slopes"
    text = expectation.weakest_text(expectation.read_expectation(value), "<{}>".format)
    assert text == "<Forest, mostly conifero… 0.10>"


def test_numbers_are_written_as_the_user_does(expectation) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale("de_DE"))
    try:
        assert expectation.number_text(0.4142) == "0,41"
    finally:
        QLocale.setDefault(before)
    assert expectation.number_text(1) == "1.00" and expectation.number_text(None) == "-"


def test_all_heads_have_titles(plugin_module) -> None:
    titles, heads = plugin_module("plugin.head_titles"), plugin_module("backend.heads").HEADS
    assert set(titles.head_titles()) == set(heads)
    assert titles.head_title("polygons") == "One prototype per polygon"
    assert titles.head_title("newer") == "newer"
