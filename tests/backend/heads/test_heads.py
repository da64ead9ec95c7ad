"""Heads beyond one prototype per class, against plain references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.heads.density import DensityHead
from backend.heads.leave_one_out import LeftOut
from backend.heads.parts import part_prototypes, spherical_kmeans
from backend.heads.ridge import RidgeHead
from backend.heads.samples import support_samples
from backend.heads.selection import CANDIDATES, choose_head, estimate_heads, head_fits, scores_of_classes
from backend.refine.weights import ScoreWeights

LABELS = [0, 0, 1, 2, 1, 2, 2]


def test_samples_weigh_polygons_and_classes_the_same(make_support):
    support = make_support(LABELS)
    thin = support.cell_polygon != 3  # a polygon without cells
    support = replace(
        support,
        cells=support.cells[thin],
        cell_polygon=support.cell_polygon[thin],
        cell_weights=support.cell_weights[thin],
    )
    samples = support_samples(support)
    np.testing.assert_allclose(samples.rows.norm(dim=1), 1, rtol=1e-5)
    per_polygon = np.bincount(samples.polygons, samples.weights)
    counts = np.bincount(support.labels)
    np.testing.assert_allclose(per_polygon, 1 / counts[support.labels], rtol=1e-5)


def test_ridge_is_weighted_least_squares(make_support):
    support, penalty = make_support(LABELS), 0.1
    samples = support_samples(support)
    rows, weights = samples.rows.double().numpy(), samples.weights.double().numpy()
    targets = np.where(np.arange(3) == samples.labels.numpy()[:, None], 1.0, -0.5)
    # The offset is not penalised: a column of ones with no ridge.
    wide = np.hstack([rows, np.ones((len(rows), 1))])
    ridge = penalty * np.diag([1.0] * 16 + [0.0])
    solution = np.linalg.solve(
        (wide * weights[:, None]).T @ wide + ridge, (wide * weights[:, None]).T @ targets
    )
    features = np.random.default_rng(1).normal(size=(16, 3, 4))
    unit = features / np.linalg.norm(features, axis=0)
    expected = 20 * (np.einsum("dhw,dc->chw", unit, solution[:16]) + solution[16][:, None, None])
    found = RidgeHead.fit(support, penalty).scores(torch.from_numpy(features).float())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_density_is_a_sum_of_kernels(make_support):
    support = make_support(LABELS)
    samples = support_samples(support)
    features = np.random.default_rng(1).normal(size=(16, 3, 4))
    unit = features / np.linalg.norm(features, axis=0)
    near = np.exp(30 * np.einsum("dhw,nd->nhw", unit, samples.rows.numpy()))
    weighted = near * samples.weights.numpy()[:, None, None]
    expected = np.log([weighted[samples.labels.numpy() == label].sum(axis=0) for label in range(3)])
    found = DensityHead.fit(support).scores(torch.from_numpy(features).float())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_parts_are_the_modes_of_a_class(make_support):
    support = make_support([0] * 6 + [1] * 6, spread=0.05, modes=3)
    head = part_prototypes(support)
    assert head.labels.tolist() == [0] * 3 + [1] * 3
    cosine = (
        head.prototypes[:3] @ torch.nn.functional.normalize(torch.from_numpy(support.prototypes[:6]), dim=1).T
    )
    assert (cosine.amax(dim=1) > 0.99).all() and (cosine.amax(dim=0) > 0.99).all()


def test_one_part_is_the_mean_and_no_part_is_empty():
    rows = torch.nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    weights = torch.arange(1.0, 10.0)
    mean = torch.nn.functional.normalize(weights @ rows, dim=0)
    torch.testing.assert_close(spherical_kmeans(rows, weights, 1), mean[None])
    same = rows[:1].expand(5, -1)
    centers = spherical_kmeans(same, torch.ones(5), 3)
    assert torch.isfinite(centers).all() and torch.allclose(centers @ rows[0], torch.ones(len(centers)))


@pytest.mark.parametrize("name", list(head_fits()))
def test_every_head_tells_separated_classes_and_takes_one_polygon_without_cells(make_support, name):
    support = make_support(LABELS, spread=0.1)
    features = torch.from_numpy(make_support([0, 1, 2], spread=0.1, seed=5).prototypes.T[:, :, None].copy())
    fit = head_fits()[name]
    assert fit(support).scores(features).argmax(dim=0)[:, 0].tolist() == [0, 1, 2]
    one = make_support([0, 1, 2], spread=0.1, cells=0)
    scores = fit(one).scores(features)
    assert scores.shape == (3, 3, 1) and scores.argmax(dim=0)[:, 0].tolist() == [0, 1, 2]


def test_left_out_polygons_are_not_seen(make_support):
    """A class of two opposite polygons cannot be told by one of them."""
    support = make_support([0, 0, 1, 1, 2], spread=0.05)
    support.prototypes[1] *= -1
    support.cells[support.cell_polygon == 1] *= -1
    (estimate,) = estimate_heads(support, ["prototype"], False, ScoreWeights(1.0, 0.0))
    assert np.isnan(estimate.shares[4]).all() and np.isnan(estimate.iou[2])
    assert estimate.shares[0, 0] == estimate.shares[1, 0] == 0
    assert estimate.shares[2, 1] > 0.9 and estimate.shares[3, 1] > 0.9
    seen = head_fits()["polygons"](support)
    own = torch.from_numpy(support.prototypes.T[:, :, None].copy())
    assert seen.scores(own).argmax(dim=0)[:2, 0].tolist() == [0, 0]


def test_pixel_values_help_where_features_do_not(make_support):
    support = make_support([0, 0, 1, 1], spread=0.1)
    blind = replace(support, prototypes=np.ones_like(support.prototypes), cells=np.ones_like(support.cells))
    (without,) = estimate_heads(blind, ["prototype"], False, ScoreWeights())
    (beside,) = estimate_heads(blind, ["prototype"], True, ScoreWeights())
    assert beside.mean_iou == pytest.approx(1.0) and without.mean_iou < 0.6


@pytest.mark.parametrize("name", CANDIDATES)
def test_left_out_as_if_fitted_anew(make_support, name):
    support = make_support([0, 0, 0, 1, 1, 2, 2], spread=0.7, cells=5)
    left_out = LeftOut(support)
    for polygon in range(len(support.labels)):
        rows = left_out.samples.rows[left_out.samples.polygons == polygon]
        anew = head_fits()[name](support.without(polygon)).scores(rows.T[:, :, None])[..., 0]
        torch.testing.assert_close(left_out.scores(name, polygon), anew, rtol=1e-4, atol=1e-3)


def test_choice(make_support):
    plain = ScoreWeights(4.0, 0.0)
    assert choose_head(make_support([0, 1, 2]), "auto", True, ScoreWeights()) == ("prototype", None)
    assert choose_head(make_support([0, 1, 2]), "ridge", True, ScoreWeights()) == ("ridge", None)
    easy, estimate = choose_head(make_support(LABELS, spread=0.1), "auto", False, plain)
    assert easy == "prototype" and estimate is not None and estimate.mean_iou > 0.95
    given, estimate = choose_head(make_support(LABELS, spread=0.1), "ridge", False, plain)
    assert given == "ridge" and estimate is not None and estimate.mean_f1 > 0.95
    # Two modes on opposite sides: their mean says nothing, each by itself does.
    support = make_support([0] * 8 + [1] * 8, spread=0.05, modes=2)
    for label, turned in ((0, range(1, 8, 2)), (1, range(9, 16, 2))):
        for polygon in turned:
            support.prototypes[polygon] = -support.prototypes[8 * label]
            support.cells[support.cell_polygon == polygon] = -support.prototypes[8 * label]
    name, estimate = choose_head(support, "auto", False, plain)
    assert name != "prototype" and estimate is not None and estimate.head == name and estimate.mean_iou > 0.9


def test_scores_of_classes_by_hand():
    shares = np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75], [np.nan, np.nan]])
    iou, f1 = scores_of_classes(shares, np.array([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(iou, [0.75 / 1.25, 0.75 / 1.25])
    np.testing.assert_allclose(f1, [1.5 / 2, 1.5 / 2])
