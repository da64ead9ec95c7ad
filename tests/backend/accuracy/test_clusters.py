"""Accuracies of pixels in polygons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from backend.accuracy.clusters import ClusterSample
from backend.accuracy.estimation import Tally


def test_standard_errors_agree_with_a_bootstrap_of_the_polygons() -> None:
    rng = np.random.default_rng(1)
    polygons = 40
    pixels = rng.integers(20, 200, polygons)
    right = rng.binomial(pixels, rng.beta(8, 2, polygons))
    group = np.tile(np.arange(polygons), 2)
    mapped = np.repeat([0, 1], polygons)
    tally = Tally(group, mapped, np.zeros(2 * polygons, np.int64), np.concatenate([right, pixels - right]))
    found = ClusterSample(tally).estimates(2)
    chosen = rng.integers(0, polygons, (4000, polygons))
    bootstrap = right[chosen].sum(axis=1) / pixels[chosen].sum(axis=1)
    assert found.overall.value == right.sum() / pixels.sum()
    assert found.overall.se == pytest.approx(bootstrap.std(), rel=0.1)
    pixels_alone = math.sqrt(found.overall.value * (1 - found.overall.value) / pixels.sum())
    assert found.overall.se > 3 * pixels_alone  # pixels of one polygon are alike
    width = found.overall.high - found.overall.value
    assert width == pytest.approx(student.ppf(0.975, polygons - 1) * found.overall.se)
    assert found.shares == () and found.proportions is None


def test_only_polygons_with_something_of_the_class_count() -> None:
    # The polygons 0 and 1 are of class 0, 2 of class 1; the map sees a part of 0 as class 1.
    tally = Tally(
        np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1]), np.array([0, 0, 0, 1]), np.array([6, 4, 10, 5])
    )
    found = ClusterSample(tally).estimates(3)
    assert found.producers[0].value == pytest.approx(16 / 20)
    # Residuals 6 - 0.8 * 10 and 10 - 0.8 * 10, two polygons.
    assert found.producers[0].se == pytest.approx(math.sqrt(2 * (4 + 4)) / 20)
    assert found.producers[1].value == 1 and math.isnan(found.producers[1].se)  # one polygon
    assert found.users[1].value == pytest.approx(5 / 9)
    assert math.isnan(found.users[2].value)
