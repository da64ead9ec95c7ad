from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.dpcl.cscl import class_specific_loss
from backend.dpcl.prototype_dictionary import PrototypeDictionary


@pytest.fixture
def dictionary() -> PrototypeDictionary:
    torch.manual_seed(8)
    dictionary = PrototypeDictionary(12, 5).double()
    dictionary.enqueue(torch.randn(8, 5).double(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
    return dictionary


@pytest.mark.parametrize("inside", [True, False])
def test_values_and_gradients(dictionary, cosine, numeric_gradient, inside):
    random = np.random.default_rng(9)
    anchors, keys, classes = random.normal(size=(4, 5)), random.normal(size=(4, 5)), [0, 1, 2, 0]
    valid = [True, True, False, True]
    drawn = dictionary.draw_negatives(torch.tensor(classes), 6)
    entries, labels = dictionary.entries.numpy(), dictionary.labels.tolist()
    assert all(labels[u] != classes[a] for a, u in drawn.nonzero().tolist())

    def reference(values):
        losses = []
        for a in range(4):
            if valid[a]:
                positive = np.exp(cosine(values[a], keys[a]) / 0.05)
                denominator = positive if inside else 0.0
                for u in range(12):
                    if drawn[a, u]:
                        denominator += np.exp(cosine(values[a], entries[u]) / 0.05)
                losses.append(-np.log(positive / denominator))
        return float(np.mean(losses))

    given, positives = torch.from_numpy(anchors).requires_grad_(), torch.from_numpy(keys).requires_grad_()
    loss = class_specific_loss(given, positives, torch.tensor(valid), dictionary, drawn, 0.05, inside)
    loss.backward()
    np.testing.assert_allclose(loss.item(), reference(anchors))
    np.testing.assert_allclose(given.grad, numeric_gradient(reference, anchors), rtol=1e-5, atol=1e-7)
    assert positives.grad is None
    assert dictionary.entries.grad is None


def test_objects_that_are_gone_count_for_nothing(dictionary):
    anchors, keys = torch.randn(2, 5).double(), torch.randn(2, 5).double()
    anchors[1] = 0  # an empty way
    keys[1] = 0  # an object cropped away
    anchors.requires_grad_()
    drawn = dictionary.draw_negatives(torch.tensor([0, 1]), 4)
    both = class_specific_loss(anchors, keys, torch.tensor([True, False]), dictionary, drawn)
    both.backward()
    alone = class_specific_loss(anchors[:1], keys[:1], torch.tensor([True]), dictionary, drawn[:1])
    torch.testing.assert_close(both, alone)
    assert anchors.grad is not None and (anchors.grad[1] == 0).all()
    none = class_specific_loss(anchors, keys, torch.tensor([False, False]), dictionary, drawn)
    assert none == 0


def test_entries_of_one_class_only_leave_nothing_to_contrast(dictionary):
    dictionary.labels.fill_(3)
    anchors = torch.randn(1, 5, requires_grad=True, dtype=torch.float64)
    drawn = dictionary.draw_negatives(torch.tensor([3]), 7000)
    loss = class_specific_loss(anchors, anchors.detach(), torch.tensor([True]), dictionary, drawn)
    loss.backward()
    assert loss == 0
    assert anchors.grad is not None and anchors.grad.isfinite().all()
