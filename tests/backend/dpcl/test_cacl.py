from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.dpcl.cacl import class_agnostic_loss, draw_groups


def labels_of(*cells: str) -> torch.Tensor:
    """Labels of cells, one row each, 8 pixels per cell; "." is background, "x" ignored."""
    values = [[{".": 0, "x": 255}.get(c) if c in ".x" else int(c) for c in row] for row in cells]
    return torch.tensor(values, dtype=torch.uint8).repeat_interleave(8, 0).repeat_interleave(8, 1)


@pytest.mark.parametrize("inside", [True, False])
def test_values_and_gradients(bilinear, cosine, numeric_gradient, inside):
    labels = torch.stack(
        [labels_of("1111..", "11..22", "..x.22", "xxx.22"), labels_of("......", "1.2222", "1..222", "..x...")]
    )
    random = np.random.default_rng(10)
    anchors, features = random.normal(size=(2, 2, 3)), random.normal(size=(2, 3, 4, 6))
    present = np.array([[True, True], [True, False]])
    cells = labels[:, 4::8, 4::8].numpy()
    up = bilinear(features, (32, 48))
    # The same draws: one table for (way, query), from the same numbers.
    background = np.stack([(cells != way) & (cells != 255) for way in (1, 2)])
    torch.manual_seed(1)
    drawn = draw_groups(torch.from_numpy(background).flatten(2), 30, 5).numpy()

    def reference(values):
        losses = []
        for way, shot, query in np.ndindex(2, 2, 2):
            is_class, not_class = cells[query] == way + 1, background[way, query]
            if not present[way, shot] or is_class.sum() < 5 or not_class.sum() < 5:
                continue
            anchor = values[way, shot]
            positive = up[query][:, labels[query].numpy() == way + 1].mean(axis=1)
            terms = [np.exp(cosine(anchor, positive) / 0.05)] if inside else []
            for group in drawn[way, query]:
                assert all(not_class.flat[cell] for cell in group)
                mean = np.mean([features[query].reshape(3, -1)[:, cell] for cell in group], axis=0)
                terms.append(np.exp(cosine(anchor, mean) / 0.05))
            losses.append(np.log(np.sum(terms)) - cosine(anchor, positive) / 0.05)
        assert len(losses) == 4  # the second query has too little of class 1; an anchor is missing
        return float(np.mean(losses))

    given = torch.from_numpy(anchors).requires_grad_()
    keys = torch.from_numpy(features).requires_grad_()
    torch.manual_seed(1)
    loss = class_agnostic_loss(given, torch.from_numpy(present), keys, labels, 0.05, 30, 5, inside)
    loss.backward()
    np.testing.assert_allclose(loss.item(), reference(anchors), rtol=1e-6)
    np.testing.assert_allclose(given.grad, numeric_gradient(reference, anchors), rtol=1e-4, atol=1e-6)
    assert keys.grad is None


@pytest.mark.parametrize(
    "cells",
    [
        ("......", "......"),  # the object is cropped away
        ("1111..", "......"),  # four foreground cells
        ("111111", "11...."),  # four background cells
        ("111111", "xxxxxx"),  # no background but ignored
        ("xxxxxx", "xxxxxx"),
    ],
)
def test_too_little_of_either_is_left_out(cells):
    anchors = torch.randn(1, 2, 3, requires_grad=True)
    present = torch.ones(1, 2, dtype=torch.bool)
    loss = class_agnostic_loss(
        anchors, present, torch.randn(1, 3, 2, 6), labels_of(*cells)[None], negatives=20
    )
    loss.backward()
    assert loss == 0
    assert anchors.grad is not None and (anchors.grad == 0).all()


def test_five_cells_of_each_are_enough():
    anchors, present = torch.randn(1, 1, 3), torch.ones(1, 1, dtype=torch.bool)
    labels = labels_of("11111x", ".....x")[None]
    assert class_agnostic_loss(anchors, present, torch.randn(1, 3, 2, 6), labels, negatives=20) > 0
    assert class_agnostic_loss(anchors, ~present, torch.randn(1, 3, 2, 6), labels, negatives=20) == 0


def test_groups_are_distinct_and_uniform():
    masks = torch.zeros(2, 9, dtype=torch.bool)
    masks[0, [1, 3, 4, 6, 8]] = True
    masks[1, :8] = True
    torch.manual_seed(0)
    drawn = draw_groups(masks, 20_000, 3)
    assert drawn.shape == (2, 20_000, 3)
    ordered = drawn.sort(dim=-1).values
    assert (ordered.diff(dim=-1) > 0).all()
    for row, mask in enumerate(masks):
        cells = mask.nonzero()[:, 0].tolist()
        groups, counts = ordered[row].unique(dim=0, return_counts=True)
        combinations = len(cells) * (len(cells) - 1) * (len(cells) - 2) // 6
        assert len(groups) == combinations and set(groups.flatten().tolist()) == set(cells)
        expected = 20_000 / combinations
        assert (counts - expected).abs().max() < 5 * expected**0.5


def test_all_cells_of_a_small_mask_are_drawn():
    masks = torch.tensor([[False, True, True, False, True, True, True]])
    assert draw_groups(masks, 10, 5).sort(dim=-1).values.equal(torch.tensor([[[1, 2, 4, 5, 6]] * 10]))
