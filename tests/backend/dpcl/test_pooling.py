"""Pooling through the mask's adjoint against upsampled features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from backend.dpcl.pooling import interpolation_matrix, masked_average_pool, spread_to_features


@pytest.mark.parametrize(
    ("size", "full"), [((4, 5), (32, 40)), ((5, 4), (37, 29)), ((3, 3), (3, 3)), ((1, 2), (8, 9))]
)
def test_is_the_mean_of_upsampled_features(bilinear, size, full):
    random = np.random.default_rng(0)
    features, masks = random.normal(size=(2, 3, *size)), random.random((2, 4, *full)) < 0.6
    up = bilinear(features, full)
    expected = np.stack([[up[b][:, masks[b, m]].mean(axis=1) for m in range(4)] for b in range(2)])
    pooled = masked_average_pool(torch.from_numpy(features), torch.from_numpy(masks))
    np.testing.assert_allclose(pooled, expected, rtol=2e-4, atol=1e-6)


def test_is_exactly_panets_pooling_with_its_gradient():
    features = torch.randn(1, 6, 7, 6, dtype=torch.float64, requires_grad=True)
    mask = (torch.rand(1, 1, 53, 45) < 0.4).double()
    up = F.interpolate(features, size=mask.shape[-2:], mode="bilinear")
    expected = (up * mask).sum(dim=(2, 3)) / (mask.sum(dim=(2, 3)) + 1e-5)
    pooled = masked_average_pool(features, mask)[:, 0]
    torch.testing.assert_close(pooled, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), features)[0]
    found = torch.autograd.grad((pooled * weights).sum(), features)[0]
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_gradient():
    features = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    masks = torch.rand(2, 3, 9, 8) < 0.5
    assert torch.autograd.gradcheck(lambda f: masked_average_pool(f, masks), features)


def test_empty_mask_is_zero_with_a_finite_gradient():
    features = torch.randn(1, 4, 3, 3, requires_grad=True)
    pooled = masked_average_pool(features, torch.zeros(1, 1, 24, 24))
    pooled.sum().backward()
    assert (pooled == 0).all()
    assert features.grad is not None and (features.grad == 0).all()


def test_spreading_keeps_the_sum_and_interpolation_the_ones():
    mask = torch.rand(3, 33, 20, dtype=torch.float64)
    torch.testing.assert_close(spread_to_features(mask, (5, 3)).sum((1, 2)), mask.sum((1, 2)))
    rows = interpolation_matrix(7, 40, mask).sum(dim=1)
    torch.testing.assert_close(rows, torch.ones_like(rows))
