"""Class colours are distinct, deterministic, stable and follow the meaning of names."""

from __future__ import annotations

import colorsys
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.rasters.palette import class_colors, colors_for, hex_color
from backend.rasters.support import ClassInfo


def _named(*names: str) -> list[ClassInfo]:
    return [ClassInfo(number, name) for number, name in enumerate(names, start=1)]


def _hue(color: tuple[int, int, int]) -> float:
    return 360 * colorsys.rgb_to_hsv(*(channel / 255 for channel in color))[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 400))
def test_colors_are_distinct_and_begin_alike(count: int) -> None:
    colors = class_colors(count)
    assert len(set(colors)) == len(colors) == count
    assert colors == class_colors(400)[:count]
    assert all(0 <= channel <= 255 for color in colors for channel in color)


def test_as_many_colors_as_classes_are_possible() -> None:
    colors = class_colors(65_000)
    assert len(set(colors)) == 65_000


@pytest.mark.parametrize(("count", "gap"), [(16, 45), (64, 30), (256, 14)])
def test_first_colors_keep_apart(count: int, gap: float) -> None:
    for first, second in combinations(class_colors(count), 2):
        assert sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5 > gap


def test_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        class_colors(-1)


def test_names_give_colors() -> None:
    colors = colors_for(
        _named("Water", "Dense forest", "grassland", "Buildings", "roads", "bare soil", "crop field")
    )
    hues = {number: _hue(color) for number, color in colors.items()}
    assert 200 < hues[1] < 240
    assert 80 < hues[2] < 150 and sum(colors[2]) < sum(colors[3])
    assert 80 < hues[3] < 150
    assert hues[4] < 10
    assert max(colors[5]) - min(colors[5]) < 10
    assert 15 < hues[6] < 40
    assert 40 < hues[7] < 60


def test_a_meaning_serves_one_class() -> None:
    colors = colors_for(_named("lake", "river", "water"))
    assert len(set(colors.values())) == 3
    assert colors[1] == colors_for(_named("water"))[1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["water", "forest", "road", "X", "Straße", "", "a field"]), max_size=40))
def test_classes_get_distinct_colors(names: list[str]) -> None:
    classes = _named(*names)
    colors = colors_for(classes)
    assert list(colors) == [info.id for info in classes]
    assert len(set(colors.values())) == len(classes)
    assert colors == colors_for(classes)


def test_thousands_of_classes_get_distinct_colors() -> None:
    classes = _named(*(f"species {number}" for number in range(5000)), "water")
    assert len(set(colors_for(classes).values())) == 5001


def test_no_classes_no_colors() -> None:
    assert colors_for([]) == {}


def test_hex_color() -> None:
    assert hex_color((1, 16, 255)) == "#0110ff"
