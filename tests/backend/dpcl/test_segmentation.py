from __future__ import annotations

import numpy as np
import torch

from backend.dpcl.segmentation import alignment_loss, segmentation_loss


def cross_entropy(scores, labels):
    """Of each pixel that is not ignored."""
    losses = []
    for y, x in np.ndindex(labels.shape):
        if labels[y, x] != 255:
            s = scores[:, y, x]
            losses.append(np.log(np.exp(s - s.max()).sum()) + s.max() - s[labels[y, x]])
    return losses


def test_segmentation_loss_and_gradient(bilinear, numeric_gradient):
    random = np.random.default_rng(4)
    scores, labels = random.normal(size=(2, 3, 2, 3)) * 5, random.choice([0, 1, 2, 255], size=(2, 7, 9))

    def reference(values):
        up = bilinear(values, (7, 9))
        return float(np.mean(cross_entropy(up[0], labels[0]) + cross_entropy(up[1], labels[1])))

    given = torch.from_numpy(scores).requires_grad_()
    loss = segmentation_loss(given, torch.from_numpy(labels.astype(np.uint8)))
    loss.backward()
    np.testing.assert_allclose(loss.item(), reference(scores))
    np.testing.assert_allclose(given.grad, numeric_gradient(reference, scores), atol=1e-8)


def test_alignment_loss_and_gradient(bilinear, numeric_gradient):
    random = np.random.default_rng(5)
    scores, labels = random.normal(size=(3, 2, 2, 2, 2)) * 5, random.choice([0, 1, 255], size=(3, 2, 5, 5))
    usable = np.array([True, False, True])

    def reference(values):
        up, total = bilinear(values, (5, 5)), 0.0
        for way in np.flatnonzero(usable):
            for shot in range(2):
                total += np.mean(cross_entropy(up[way, shot], labels[way, shot])) / 2 / 3
        return float(total)

    given = torch.from_numpy(scores).requires_grad_()
    loss = alignment_loss(given, torch.from_numpy(labels.astype(np.uint8)), torch.from_numpy(usable))
    loss.backward()
    np.testing.assert_allclose(loss.item(), reference(scores))
    np.testing.assert_allclose(given.grad, numeric_gradient(reference, scores), atol=1e-8)


def test_nothing_but_ignored_pixels_is_zero():
    scores = torch.randn(1, 2, 3, 3, requires_grad=True)
    labels = torch.full((1, 24, 24), 255, dtype=torch.uint8)
    loss = segmentation_loss(scores, labels) + alignment_loss(
        scores[None], labels[None], torch.tensor([True])
    )
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None and (scores.grad == 0).all()
