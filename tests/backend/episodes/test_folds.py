"""The class lists of the benchmarks, as published."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.episodes.datasets import coco, pascal
from backend.episodes.errors import DatasetError
from backend.episodes.folds import Fold, fold, left_out

# COCO's category ids have gaps.
COCO_IDS = [n for n in range(1, 91) if n not in {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}]


def names(classes: tuple[str, ...], ids: tuple[int, ...]) -> list[str]:
    return [classes[number - 1] for number in ids]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, "aeroplane bicycle bird boat bottle"),
        (1, "bus car cat chair cow"),
        (2, "diningtable dog horse motorbike person"),
        (3, "pottedplant sheep sofa train tvmonitor"),
    ],
)
def test_pascal_5i(index: int, expected: str) -> None:
    assert names(pascal.CLASSES, fold(20, 4, index).test) == expected.split()


@pytest.mark.parametrize(
    ("index", "categories"),
    [
        (0, [*range(1, 12), *range(13, 22)]),
        (1, [22, 23, 24, 25, 27, 28, *range(31, 45)]),
        (2, list(range(46, 66))),
        (3, [67, 70, *range(72, 83), *range(84, 91)]),
    ],
)
def test_coco_20i_contiguous(index: int, categories: list[int]) -> None:
    assert [COCO_IDS[number - 1] for number in fold(80, 4, index).test] == categories


def test_coco_20i_contiguous_names() -> None:
    ends = [
        (names(coco.CLASSES, fold(80, 4, i).test)[0], names(coco.CLASSES, fold(80, 4, i).test)[-1])
        for i in range(4)
    ]
    assert ends == [
        ("person", "cow"), ("elephant", "bottle"), ("wine glass", "bed"), ("dining table", "toothbrush")
    ]  # fmt: skip


@pytest.mark.parametrize("index", range(4))
def test_coco_20i_interleaved(index: int) -> None:
    assert fold(80, 4, index, "interleaved").test == tuple(range(index + 1, 81, 4))


def test_camvid_folds_differ_in_size_by_one() -> None:
    assert [fold(11, 4, i).test for i in range(4)] == [(1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11)]


@given(st.integers(2, 90), st.data(), st.sampled_from(["contiguous", "interleaved"]))
def test_folds_are_a_partition(classes: int, data: st.DataObject, pattern) -> None:
    folds = data.draw(st.integers(2, classes))
    parts = [fold(classes, folds, index, pattern) for index in range(folds)]
    assert sorted(number for part in parts for number in part.test) == list(range(1, classes + 1))
    for part in parts:
        assert not set(part.train) & set(part.test)
        assert sorted(part.train + part.test) == list(range(1, classes + 1))


@pytest.mark.parametrize("index", [-1, 4])
def test_no_such_fold(index: int) -> None:
    with pytest.raises(DatasetError, match=r"no fold .*0 to 3"):
        fold(20, 4, index)


def test_refuses_what_is_no_division() -> None:
    with pytest.raises(DatasetError, match="training and the test fold"):
        Fold((1, 2, 3), (3, 4))
    with pytest.raises(DatasetError, match="none to test"):
        Fold((1,), ())
    with pytest.raises(DatasetError, match="cannot be divided"):
        fold(3, 4, 0)
    with pytest.raises(DatasetError, match="fold pattern"):
        fold(20, 4, 0, "random")  # type: ignore[arg-type]


@given(st.lists(st.text(min_size=1), min_size=2, max_size=9, unique=True), st.data())
def test_one_class_is_left_out(classes: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(classes))
    sides = left_out(classes, name)
    assert [classes[number - 1] for number in sides.test] == [name]
    assert sorted(sides.train + sides.test) == list(range(1, len(classes) + 1))


def test_no_such_class_to_leave_out() -> None:
    with pytest.raises(DatasetError, match="names no class 'c'; there are a, b"):
        left_out(("a", "b"), "c")
    with pytest.raises(DatasetError, match="none to test"):
        left_out(("a",), "a")
