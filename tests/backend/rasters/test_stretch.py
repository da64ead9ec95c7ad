"""The stretch is linear, clipped, finite whatever it is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.rasters.stretch import Stretch

_FLOATS = st.floats(-1e29, 1e29, allow_subnormal=True)


def test_identity_keeps_8_bit_values_and_clips_others() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    stretch = Stretch.identity(1)
    assert (stretch.apply(values) == values).all()
    assert (stretch.apply(values.astype(np.int16)) == values).all()
    assert stretch.apply(np.array([[-5.0, 300.0]])).tolist() == [[0.0, 255.0]]


def test_percentiles_of_valid_values_only() -> None:
    sample = np.stack([np.arange(1001.0), np.arange(1001.0) * 3])
    sample[:, 900:] = 1e6
    valid = np.arange(1001) <= 800
    stretch = Stretch.from_sample(sample, valid)
    assert stretch.low == (8.0, 24.0)
    assert stretch.high == (792.0, 2376.0)
    assert stretch.apply(np.array([[400.0], [1200.0]])) == pytest.approx(127.5)


def test_nothing_valid() -> None:
    assert Stretch.from_sample(np.zeros((2, 5)), np.zeros(5, bool)) == Stretch.identity(2)


@pytest.mark.parametrize("value", [0, 7, -1e20, 1e29])
def test_constant_band(value: float) -> None:
    sample = np.full((1, 50), value)
    stretched = Stretch.from_sample(sample, np.ones(50, bool)).apply(sample)
    assert (stretched == 0).all()


def test_a_band_that_is_nearly_all_one_value_uses_its_whole_range() -> None:
    sample = np.zeros((1, 10_000), np.int16)
    sample[0, :50] = np.arange(50) * 10
    stretch = Stretch.from_sample(sample, np.ones(10_000, bool))
    assert (stretch.low, stretch.high) == ((0.0,), (490.0,))


@given(arrays(np.float64, (2, 20), elements=_FLOATS), arrays(bool, 20))
def test_any_sample_gives_finite_values_in_range(sample: np.ndarray, valid: np.ndarray) -> None:
    with np.errstate(all="raise", under="ignore", over="ignore"):
        stretched = Stretch.from_sample(sample, valid).apply(sample)
    assert stretched.dtype == np.float32
    assert np.isfinite(stretched).all()
    assert ((stretched >= 0) & (stretched <= 255)).all()


@given(arrays(np.int16, 40))
def test_order_is_kept(sample: np.ndarray) -> None:
    stretched = Stretch.from_sample(sample[None], np.ones(40, bool)).apply(sample[None])[0]
    assert (np.diff(stretched[np.argsort(sample, kind="stable")]) >= 0).all()


def test_select() -> None:
    assert Stretch((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)).select([2, 0]) == Stretch((3.0, 1.0), (6.0, 4.0))
