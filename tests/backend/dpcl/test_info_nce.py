from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.dpcl.info_nce import info_nce, mean_of_valid


@pytest.mark.parametrize("inside", [True, False])
def test_values_and_gradients(numeric_gradient, inside):
    random = np.random.default_rng(6)
    cosines, allowed = random.uniform(-1, 1, size=(3, 6)), random.random((3, 5)) < 0.6
    allowed[:, 0] = True

    def reference(values):
        total = 0.0
        for row, mask in zip(values, allowed, strict=True):
            terms = [np.exp(c / 0.05) for c, a in zip(row[1:], mask, strict=True) if a]
            terms += [np.exp(row[0] / 0.05)] if inside else []
            total -= row[0] / 0.05 - np.log(np.sum(terms))
        return float(total)

    given = torch.from_numpy(cosines).requires_grad_()
    losses = info_nce(given[:, 0], given[:, 1:], 0.05, torch.from_numpy(allowed), inside)
    assert losses.shape == (3,)
    losses.sum().backward()
    np.testing.assert_allclose(losses.sum().item(), reference(cosines))
    np.testing.assert_allclose(given.grad, numeric_gradient(reference, cosines), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("count", [0, 4])
def test_no_negatives_is_zero(inside, count):
    positive, negatives = torch.randn(2, requires_grad=True), torch.randn(2, count, requires_grad=True)
    losses = info_nce(positive, negatives, 0.05, torch.zeros(2, count, dtype=torch.bool), inside)
    losses.sum().backward()
    assert (losses == 0).all()
    assert positive.grad is not None and (positive.grad == 0).all()
    assert negatives.grad is not None and (negatives.grad == 0).all()


def test_mean_of_valid():
    losses, valid = torch.tensor([1.0, 5.0, 3.0]), torch.tensor([True, False, True])
    assert mean_of_valid(losses, valid) == 2
    assert mean_of_valid(losses, torch.zeros(3, dtype=torch.bool)) == 0
