from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.dpcl.segmentation import alignment_loss, joint_alignment_loss, segmentation_loss


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


def test_balanced_classes_count_by_their_share():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 8, 8, generator=generator)
    labels = torch.zeros(2, 8, 8, dtype=torch.uint8)
    labels[0, :2, :2], labels[1, 0] = 1, 255
    each = torch.nn.functional.cross_entropy(scores, labels.clamp_max(2).long(), reduction="none")
    means = [float(each[labels == number].mean()) for number in (0, 1)]
    assert float(segmentation_loss(scores, labels, 1.0)) == pytest.approx(sum(means) / 2, rel=1e-5)
    shares = torch.tensor([(labels == number).sum() for number in (0, 1)]) / (labels != 255).sum()
    weights = shares**0.5  # share times its power -0.5
    half = float((weights * torch.tensor(means)).sum() / weights.sum())
    assert float(segmentation_loss(scores, labels, 0.5)) == pytest.approx(half, rel=1e-5)
    assert segmentation_loss(scores, torch.full_like(labels, 255), 0.5) == 0


def test_joint_alignment_loss(bilinear):
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(2, 4, 3, 3))
    masks = np.full((3, 2, 6, 6), 255, np.uint8)
    masks[0, 0, :2, :3] = masks[1, 0, 4:, :2] = masks[2, 1, :, 5] = masks[0, 1, 0, :2] = 1
    masks[1, 0, 0, 0] = 1  # of two ways: counts for neither
    usable = np.array([True, True, False])  # the queries show nothing of the third way
    losses = []
    for shot in range(2):
        labels = np.full((6, 6), 255)
        labels[masks[0, shot] == 1] = 1
        labels[(masks[1, shot] == 1)] = 2
        if shot == 0:
            labels[0, 0] = 255
        without_third = bilinear(scores[shot], (6, 6))[:3]
        losses += cross_entropy(without_third, labels)
    found = joint_alignment_loss(*map(torch.from_numpy, (scores, masks, usable)))
    assert found.item() == pytest.approx(np.mean(losses))
    nothing = joint_alignment_loss(
        torch.from_numpy(scores), torch.from_numpy(masks), torch.zeros(3, dtype=torch.bool)
    )
    assert nothing.item() == 0
