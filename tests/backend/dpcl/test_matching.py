from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from backend.dpcl.matching import cosine_scores


def test_is_alpha_times_the_cosine(cosine):
    random = np.random.default_rng(1)
    features, prototypes = random.normal(size=(2, 5, 3, 4)), random.normal(size=(3, 5))
    scores = cosine_scores(torch.from_numpy(features), torch.from_numpy(prototypes), alpha=20.0)
    for q, c, y, x in np.ndindex(2, 3, 3, 4):
        np.testing.assert_allclose(
            scores[q, c, y, x], 20 * cosine(features[q, :, y, x], prototypes[c]), atol=1e-12
        )


def test_leading_axes_broadcast():
    features, prototypes = torch.randn(2, 3, 5, 4, 4), torch.randn(2, 1, 2, 5)
    scores = cosine_scores(features, prototypes)
    assert scores.shape == (2, 3, 2, 4, 4)
    torch.testing.assert_close(scores[1, 2], cosine_scores(features[1, 2], prototypes[1, 0]))


def test_agrees_with_torch_in_value_and_gradient():
    features = torch.randn(1, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    prototype = torch.randn(1, 6, dtype=torch.float64, requires_grad=True)
    ours = cosine_scores(features, prototype)[:, 0]
    theirs = F.cosine_similarity(features, prototype[..., None, None], dim=1)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn_like(ours)
    found = torch.autograd.grad((ours * weights).sum(), (features, prototype))
    wanted = torch.autograd.grad((theirs * weights).sum(), (features, prototype))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_zero_features_and_prototypes_score_zero_with_finite_gradients():
    features, prototypes = torch.zeros(1, 4, 2, 2, requires_grad=True), torch.zeros(2, 4, requires_grad=True)
    scores = cosine_scores(features, prototypes)
    scores.sum().backward()
    assert (scores == 0).all()
    assert features.grad is not None and features.grad.isfinite().all()
    assert prototypes.grad is not None and prototypes.grad.isfinite().all()
