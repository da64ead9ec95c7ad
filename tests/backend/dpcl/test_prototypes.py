from __future__ import annotations

import numpy as np
import torch

from backend.dpcl.prototypes import query_prototypes, support_prototypes


def test_support_prototypes_are_means_of_shots(bilinear):
    random = np.random.default_rng(2)
    features = random.normal(size=(2, 3, 4, 3, 3))
    masks = random.choice([0, 1, 255], size=(2, 3, 12, 12)).astype(np.uint8)
    found = support_prototypes(torch.from_numpy(features), torch.from_numpy(masks))
    up = bilinear(features, (12, 12))
    shots = np.array([[up[w, s][:, masks[w, s] == 1].mean(axis=1) for s in range(3)] for w in range(2)])
    grounds = np.array([[up[w, s][:, masks[w, s] == 0].mean(axis=1) for s in range(3)] for w in range(2)])
    np.testing.assert_allclose(found.shots, shots, atol=1e-5)
    np.testing.assert_allclose(found.classes, shots.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(found.background, grounds.mean(axis=(0, 1)), atol=1e-5)
    np.testing.assert_allclose(found.stacked(), [found.background.numpy(), *found.classes.numpy()])
    assert found.present.all()


def test_empty_way_and_shot():
    masks = torch.zeros(2, 2, 8, 8, dtype=torch.uint8)
    masks[0, 1, :4] = 1
    found = support_prototypes(torch.randn(2, 2, 5, 2, 2), masks)
    assert found.present.tolist() == [[False, True], [False, False]]
    assert (found.classes[1] == 0).all() and (found.shots[0, 0] == 0).all()
    # Half of the only shot: no cosine sees the difference.
    torch.testing.assert_close(found.classes[0], found.shots[0, 1] / 2)
    anchors, present = found.anchors("class")
    torch.testing.assert_close(anchors[0, 0], found.classes[0])
    assert present.tolist() == [[True, True], [False, False]]
    anchors, present = found.anchors("shot")
    assert present.equal(found.present) and anchors.equal(found.shots)


def test_query_prototypes_pool_over_all_queries():
    random = np.random.default_rng(3)
    features, labels = random.normal(size=(3, 4, 5, 5)), random.choice([0, 1, 255], size=(3, 5, 5))
    pooled, counts = query_prototypes(torch.from_numpy(features), torch.from_numpy(labels), way=2)
    for label in (0, 1):
        values = features.transpose(0, 2, 3, 1)[labels == label]
        np.testing.assert_allclose(pooled[label], values.mean(axis=0), rtol=1e-4)
        assert counts[label] == len(values)
    assert counts[2] == 0 and (pooled[2] == 0).all()
