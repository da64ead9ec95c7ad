"""Estimates from a stratified sample: the worked examples of both papers, plain formulas, and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accuracy.estimation import CONFIDENCE, Estimate, StratifiedSample, Tally

# Olofsson et al. (2014), table 8: deforestation, forest gain, stable forest, stable non-forest; the map in rows.
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
HECTARES = 0.09 * PIXELS.sum()


def half_width(estimate: Estimate) -> float:
    return CONFIDENCE * estimate.se


class TestOlofsson:
    found = StratifiedSample(Tally.of_matrix(COUNTS), PIXELS, COUNTS.sum(axis=1)).estimates(4)

    def test_accuracies_are_those_of_the_paper(self) -> None:
        assert (round(self.found.overall.value, 2), round(half_width(self.found.overall), 2)) == (0.95, 0.02)
        assert [round(item.value, 2) for item in self.found.users] == [0.88, 0.73, 0.93, 0.96]
        assert [round(half_width(item), 2) for item in self.found.users] == [0.07, 0.10, 0.04, 0.02]
        assert [round(item.value, 2) for item in self.found.producers] == [0.75, 0.85, 0.93, 0.96]
        # For the two others the paper's formula does not give the half widths that it prints; see the next test.
        assert [round(half_width(self.found.producers[k]), 2) for k in (0, 2)] == [0.21, 0.03]

    def test_areas_are_those_of_the_paper(self) -> None:
        areas = [item.times(HECTARES) for item in self.found.shares]
        assert [round(item.value) for item in areas] == [21158, 11686, 285770, 581386]
        # The paper does without the correction for finite populations, which is one hectare here.
        printed = [6158, 3756, 15510, 16282]
        np.testing.assert_allclose([half_width(item) for item in areas], printed, atol=1.5)
        assert round(self.found.shares[0].value, 4) == 0.0235
        assert round(self.found.shares[0].se, 4) == 0.0035

    def test_proportions_add_up(self) -> None:
        matrix = self.found.proportions
        assert matrix is not None
        np.testing.assert_allclose(matrix.sum(axis=1), PIXELS / PIXELS.sum())
        np.testing.assert_allclose(matrix.sum(axis=0), [item.value for item in self.found.shares])
        assert matrix[0, 0] == pytest.approx(0.02 * 66 / 75)


def plain_olofsson(n: np.ndarray, sizes: np.ndarray) -> dict[str, list[float]]:
    """Eq. 5 to 11 of the paper, letter by letter, without the correction for finite populations."""
    q, weights = len(n), sizes / sizes.sum()
    rows = n.sum(axis=1)
    users = [n[i, i] / rows[i] for i in range(q)]
    users_variance = [users[i] * (1 - users[i]) / (rows[i] - 1) for i in range(q)]
    overall_variance = sum(weights[i] ** 2 * users_variance[i] for i in range(q))
    result: dict[str, list[float]] = {
        "overall": [math.sqrt(overall_variance)],
        "users": [math.sqrt(v) for v in users_variance],
        "producers": [],
        "shares": [],
    }
    for j in range(q):
        total = sum(sizes[i] / rows[i] * n[i, j] for i in range(q))
        producers = sizes[j] / rows[j] * n[j, j] / total
        own = sizes[j] ** 2 * (1 - producers) ** 2 * users[j] * (1 - users[j]) / (rows[j] - 1)
        others = sum(
            sizes[i] ** 2 * (n[i, j] / rows[i]) * (1 - n[i, j] / rows[i]) / (rows[i] - 1)
            for i in range(q)
            if i != j
        )
        result["producers"].append(math.sqrt((own + producers**2 * others) / total**2))
        shares = [weights[i] * n[i, j] / rows[i] for i in range(q)]
        variance = sum((weights[i] * shares[i] - shares[i] ** 2) / (rows[i] - 1) for i in range(q))
        result["shares"].append(math.sqrt(max(variance, 0.0)))  # a rounding error below 0
    return result


@given(
    st.integers(2, 5).flatmap(
        lambda q: st.tuples(
            st.lists(st.lists(st.integers(0, 40), min_size=q, max_size=q), min_size=q, max_size=q),
            st.lists(st.integers(1, 1000), min_size=q, max_size=q),
        )
    )
)
def test_standard_errors_are_those_of_the_formulas(drawn: tuple[list[list[int]], list[int]]) -> None:
    counts = np.array(drawn[0]) + np.eye(len(drawn[1]), dtype=int) * 2
    sizes = np.array(drawn[1], np.float64) * 1e9  # so large that the correction is none
    found = StratifiedSample(Tally.of_matrix(counts), sizes, counts.sum(axis=1)).estimates(len(sizes))
    plain = plain_olofsson(counts, sizes)
    close = {"rtol": 1e-5, "atol": 1e-7}
    np.testing.assert_allclose([found.overall.se], plain["overall"], **close)
    for name in ("users", "producers", "shares"):
        np.testing.assert_allclose([item.se for item in getattr(found, name)], plain[name], **close)


def test_strata_that_are_not_the_map_s_classes() -> None:
    """The numerical example of Stehman (2014), section 4: ten units in each of four strata."""
    strata = "A" * 10 + "B" * 10 + "C" * 10 + "D" * 10
    mapped = "AAAAAAABBB" + "ABBBBBBBBB" + "BBCCCCCCBB" + "DDDDDDDDDD"
    truth = "AAAAACBABC" + "ABBBBBAABB" + "CCCCCDDBBA" + "DDDDDDDCCB"
    place = {letter: number for number, letter in enumerate("ABCD")}
    tally = Tally(*(np.array([place[x] for x in text]) for text in (strata, mapped, truth)), np.ones(40, int))
    sizes = np.array([40_000, 30_000, 20_000, 10_000])
    found = StratifiedSample(tally, sizes, np.full(4, 10)).estimates(4)
    assert found.overall.value == pytest.approx(0.63, abs=5e-4)
    assert found.shares[0].value == pytest.approx(0.35, abs=5e-4)
    assert found.shares[2].value == pytest.approx(0.20, abs=5e-4)
    assert found.users[1].value == pytest.approx(0.574, abs=5e-4)
    assert found.producers[1].value == pytest.approx(0.794, abs=5e-4)
    assert found.overall.se == pytest.approx(0.085, abs=5e-4)
    assert found.shares[0].se == pytest.approx(0.082, abs=5e-4)
    assert found.shares[2].se == pytest.approx(0.064, abs=5e-4)
    assert found.users[1].se == pytest.approx(0.125, abs=5e-4)
    assert found.producers[1].se == pytest.approx(0.1165, abs=5e-4)


def test_a_simulation_finds_the_estimates_unbiased_and_the_intervals_right() -> None:
    rng = np.random.default_rng(4)
    population = 4000
    truth = rng.choice(3, population, p=[0.6, 0.3, 0.1])
    mapped = np.where(rng.random(population) < 0.75, truth, rng.integers(0, 3, population))
    strata = np.where(rng.random(population) < 0.8, mapped, rng.integers(0, 3, population))
    inside = rng.random(population) < 0.9  # the rest turns out to lie outside of the area of interest
    sizes, drawn = np.bincount(strata), np.array([60, 50, 40])
    right = (mapped == truth)[inside].mean()
    share = (truth == 1)[inside].mean()
    values, hits = [], []
    for _ in range(600):
        chosen = np.concatenate(
            [rng.choice(np.flatnonzero(strata == h), drawn[h], replace=False) for h in range(3)]
        )
        kept = chosen[inside[chosen]]
        tally = Tally(strata[kept], mapped[kept], truth[kept], np.ones(len(kept), np.int64))
        found = StratifiedSample(tally, sizes, drawn).estimates(3)
        values.append((found.overall.value, found.overall.se, found.shares[1].value, found.shares[1].se))
        hits.append(found.overall.low <= right <= found.overall.high)
    mean, spread = np.mean(values, axis=0), np.std(values, axis=0)
    assert mean[0] == pytest.approx(right, abs=0.004) and mean[2] == pytest.approx(share, abs=0.004)
    assert mean[1] == pytest.approx(spread[0], rel=0.1) and mean[3] == pytest.approx(spread[2], rel=0.1)
    assert 0.92 < np.mean(hits) < 0.98


class TestLimits:
    def test_all_pixels_are_no_sample(self) -> None:
        counts = np.array([[5, 2], [1, 8]])
        found = StratifiedSample(Tally.of_matrix(counts), counts.sum(axis=1), counts.sum(axis=1)).estimates(2)
        assert (found.overall.value, found.overall.se) == (13 / 16, 0)
        assert [item.value for item in found.shares] == [6 / 16, 10 / 16]
        assert {item.se for item in (*found.users, *found.producers, *found.shares)} == {0}

    def test_one_unit_tells_no_error(self) -> None:
        counts = np.array([[1, 0], [3, 7]])
        found = StratifiedSample(Tally.of_matrix(counts), np.array([100, 100]), np.array([1, 10])).estimates(
            2
        )
        assert math.isnan(found.users[0].se) and math.isnan(found.overall.low)
        assert found.users[1].se > 0

    def test_a_stratum_without_units_is_left_out(self) -> None:
        counts = np.array([[8, 2], [0, 0]])
        found = StratifiedSample(Tally.of_matrix(counts), np.array([100, 900]), np.array([10, 0])).estimates(
            2
        )
        assert found.overall.value == pytest.approx(0.8)
        assert math.isnan(found.users[1].value)

    def test_intervals_stay_possible(self) -> None:
        assert Estimate.normal(0.98, 0.05).high == 1 and Estimate.normal(0.02, 0.05).low == 0
