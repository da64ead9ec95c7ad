"""The scale follows the pixel size and the polygons, in whole pixels per cell."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import ProtolabelError
from backend.scale import choose_scale, fixed_scale


@pytest.mark.parametrize(
    ("factor", "cell"), [(1, 8), (2, 4), (0.5, 16), (8, 1), (0.125, 64), (4, 2), (1.6, 5), (1.5, 5), (5.9, 2)]
)
def test_fixed(factor: float, cell: int) -> None:
    scale = fixed_scale(factor)
    assert scale.cell == cell
    assert (scale.reason == "given") == math.isclose(scale.factor, factor)


@given(st.floats(0.125, 8))
def test_fixed_is_the_nearest(factor: float) -> None:
    chosen = fixed_scale(factor)
    assert 1 <= chosen.cell <= 64
    nearest = min(abs(8 / cell - factor) for cell in range(1, 65))
    assert abs(chosen.factor - factor) == pytest.approx(nearest, abs=1e-12)


@pytest.mark.parametrize("factor", [0, -1, 0.12, 8.1, math.inf, -math.inf, math.nan])
def test_out_of_range(factor: float) -> None:
    with pytest.raises(ProtolabelError, match=r"scale of .* out of range; choose one from 0\.125 to 8"):
        fixed_scale(factor)


@pytest.mark.parametrize(
    ("size", "cell"),
    [
        (None, 8),
        (10, 4),
        (0.6, 4),
        (0.45, 4),
        (0.3, 8),
        (0.075, 8),
        (0.05, 16),
        (0.02, 40),
        (0.001, 64),
        (1e-12, 64),
    ],
)
def test_pixel_size(size: float | None, cell: int) -> None:
    scale = choose_scale(size, [1e6] * 3)
    assert scale.cell == cell
    assert ("not known" in scale.reason) == (size is None)


def test_small_polygons_make_cells_smaller() -> None:
    assert choose_scale(0.3, [100] * 5).cell == 6
    assert choose_scale(0.3, [1] * 5).cell == 4
    assert choose_scale(0.02, [900] * 3 + [1e6] * 2).cell == 20
    assert choose_scale(0.02, [900] * 2 + [1e6] * 3).cell == 40
    assert "half of the polygons under 10 pixels" in choose_scale(0.3, [100] * 5).reason


@given(
    st.one_of(st.none(), st.floats(1e-6, 1e6)),
    st.lists(st.floats(1e-9, 1e12), max_size=9),
)
def test_any_input_gives_a_cell(size: float | None, areas: list[float]) -> None:
    scale = choose_scale(size, areas)
    assert 4 <= scale.cell <= 64
    assert scale.factor == 8 / scale.cell
