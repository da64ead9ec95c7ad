from __future__ import annotations

import numpy as np
import torch

from backend.dpcl.prototype_dictionary import PrototypeDictionary


def test_starts_with_random_directions_of_no_class():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    dictionary = PrototypeDictionary(16, 4, seed=1)
    assert torch.get_rng_state().equal(before)
    torch.testing.assert_close(dictionary.entries.norm(dim=1), torch.ones(16))
    assert (dictionary.labels == -1).all()
    assert dictionary.draw_negatives(torch.tensor([0]), 16).all()
    assert PrototypeDictionary(16, 4, seed=1).entries.equal(dictionary.entries)
    assert not PrototypeDictionary(16, 4, seed=2).entries.equal(dictionary.entries)


def test_first_in_first_out():
    """Against a plain list."""
    dictionary = PrototypeDictionary(5, 3)
    queue = [(key, -1) for key in dictionary.entries.numpy()]
    random = np.random.default_rng(7)
    for count in (2, 0, 3, 1, 4, 5, 12):
        keys, labels = random.normal(size=(count, 3)).astype(np.float32), random.integers(0, 9, count)
        dictionary.enqueue(torch.from_numpy(keys), torch.from_numpy(labels))
        for key, label in zip(keys, labels, strict=True):
            queue.append((key / np.linalg.norm(key), label))
            queue.pop(0)
        position = int(dictionary.position)
        np.testing.assert_allclose(
            dictionary.entries.roll(-position, 0), [key for key, _ in queue], rtol=1e-5
        )
        assert dictionary.labels.roll(-position).tolist() == [label for _, label in queue]


def test_entries_of_an_earlier_loss_stay_for_its_backward_pass():
    dictionary = PrototypeDictionary(4, 3)
    anchor = torch.randn(1, 3, requires_grad=True)
    product = (anchor @ dictionary.entries.T).sum()
    expected = dictionary.entries.sum(dim=0).clone()
    dictionary.enqueue(torch.randn(2, 3), torch.tensor([1, 2]))
    product.backward()
    assert anchor.grad is not None
    torch.testing.assert_close(anchor.grad[0], expected)


def test_negatives_are_of_other_classes_each_once():
    dictionary = PrototypeDictionary(100, 3)
    dictionary.enqueue(torch.randn(60, 3), torch.arange(60) % 3)
    drawn = dictionary.draw_negatives(torch.tensor([0, 2, 7]), 30)
    assert drawn.sum(dim=1).tolist() == [30, 30, 30]
    assert not drawn[0, dictionary.labels == 0].any()
    assert not drawn[1, dictionary.labels == 2].any()


def test_fewer_negatives_than_asked_for_are_all_taken():
    dictionary = PrototypeDictionary(10, 3)
    dictionary.enqueue(torch.randn(10, 3), torch.tensor([1] * 7 + [2] * 3))
    drawn = dictionary.draw_negatives(torch.tensor([1, 2, 3]), 7000)
    assert drawn.sum(dim=1).tolist() == [3, 7, 10]
    assert drawn[0].equal(dictionary.labels == 2)


def test_drawing_is_uniform_and_from_the_seed():
    dictionary = PrototypeDictionary(20, 3)
    dictionary.enqueue(torch.randn(5, 3), torch.tensor([4] * 5))
    torch.manual_seed(0)
    drawn = dictionary.draw_negatives(torch.full((4000,), 4), 6)
    share = drawn[:, 5:].float().mean(dim=0)
    torch.testing.assert_close(share, torch.full((15,), 0.4), atol=0.03, rtol=0)
    torch.manual_seed(0)
    assert dictionary.draw_negatives(torch.full((4000,), 4), 6).equal(drawn)


def test_state_travels():
    dictionary, other = PrototypeDictionary(6, 3), PrototypeDictionary(6, 3, seed=9)
    dictionary.enqueue(torch.randn(4, 3), torch.arange(4))
    other.load_state_dict(dictionary.state_dict())
    keys, labels = torch.randn(5, 3), torch.arange(5)
    dictionary.enqueue(keys, labels)
    other.enqueue(keys, labels)
    assert other.entries.equal(dictionary.entries) and other.labels.equal(dictionary.labels)
