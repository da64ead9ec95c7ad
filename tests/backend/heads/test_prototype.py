"""The papers' head against a plain reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backend.heads.prototype import PrototypeHead
from backend.heads.support import SupportFeatures


def _support(
    labels: list[int], prototypes: NDArray[np.float32], classes: int | None = None
) -> SupportFeatures:
    count = len(labels)
    return SupportFeatures(
        labels=np.array(labels, np.int64),
        prototypes=prototypes.astype(np.float32),
        pixels=np.zeros((count, 1), np.float32),
        pixel_polygon=np.arange(count),
        classes=classes or max(labels) + 1,
    )


def _cosine(features: NDArray[np.float64], prototypes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D, h, w), (P, D) -> (P, h, w)."""
    dots = np.einsum("dhw,pd->phw", features, prototypes)
    return dots / np.linalg.norm(features, axis=0) / np.linalg.norm(prototypes, axis=1)[:, None, None]


def _random(labels: list[int], size: int = 12) -> tuple[SupportFeatures, NDArray[np.float64]]:
    rng = np.random.default_rng(len(labels))
    return _support(labels, rng.normal(size=(len(labels), size))), rng.normal(size=(size, 5, 7))


@pytest.mark.parametrize(
    "labels", [[0, 1], [1, 0], [2, 0, 1, 1, 2, 2], [0] * 5 + [1], list(range(70)) * 2], ids=len
)
class TestRandomSupport:
    def test_mean_over_polygons(self, labels: list[int]) -> None:
        support, features = _random(labels)
        scores = PrototypeHead.per_class(support).scores(torch.from_numpy(features).float())
        members = [support.prototypes[support.labels == c].astype(float) for c in range(support.classes)]
        expected = 20.0 * _cosine(features, np.stack([rows.mean(axis=0) for rows in members]))
        assert scores.dtype == torch.float32
        np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-4, atol=1e-4)

    def test_best_polygon(self, labels: list[int]) -> None:
        support, features = _random(labels)
        head = PrototypeHead.per_polygon(support)
        scores = head.scores(torch.from_numpy(features).float())
        cosine = _cosine(features, support.prototypes.astype(float))
        expected = [20.0 * cosine[support.labels == c].max(axis=0) for c in range(support.classes)]
        assert head.classes == support.classes == len(scores)
        np.testing.assert_allclose(scores.numpy(), np.stack(expected), rtol=1e-4, atol=1e-4)


def test_both_heads_agree_on_one_polygon_per_class() -> None:
    support, features = _random([2, 0, 1])
    tensor = torch.from_numpy(features).float()
    per_class, per_polygon = PrototypeHead.per_class(support), PrototypeHead.per_polygon(support)
    torch.testing.assert_close(per_class.scores(tensor), per_polygon.scores(tensor))


def test_the_class_of_a_prototype_is_the_best_match() -> None:
    support, _ = _random([1, 0, 2, 1])
    features = torch.from_numpy(support.prototypes.T.copy())[:, None, :]
    scores = PrototypeHead.per_polygon(support).scores(features)
    assert scores.argmax(dim=0)[0].tolist() == support.labels.tolist()
    torch.testing.assert_close(scores.amax(dim=0)[0], torch.full((4,), 20.0))


def test_scale_of_features_and_prototypes_does_not_matter() -> None:
    support, features = _random([0, 1, 1])
    tensor = torch.from_numpy(features).float()
    scores = PrototypeHead.per_polygon(support).scores(tensor)
    scaled = _support(support.labels.tolist(), support.prototypes * np.array([[1e-3], [7.0], [1e4]]))
    torch.testing.assert_close(PrototypeHead.per_polygon(scaled).scores(1e3 * tensor), scores)


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 1]], ids=["one each", "several"])
def test_zero_features_and_prototypes_score_zero(labels: list[int]) -> None:
    support = _support(labels, np.stack([np.zeros(4), *[np.ones(4)] * (len(labels) - 1)]))
    features = torch.ones(4, 1, 2)
    features[:, 0, 1] = 0.0
    scores = PrototypeHead.per_polygon(support).scores(features)
    torch.testing.assert_close(scores[:, 0], torch.tensor([[0.0, 0.0], [20.0, 0.0]]))


def test_many_polygons_in_as_many_classes_need_not_be_one_each() -> None:
    # As many prototypes as classes, but two of one class and none of another.
    prototypes = np.eye(3, dtype=np.float32)
    head = PrototypeHead(prototypes, np.array([0, 0, 2]), 3)
    scores = head.scores(torch.eye(3)[:, None, :])
    expected = torch.tensor([[20.0, 20.0, 0.0], [-20.0] * 3, [0.0, 0.0, 20.0]])
    torch.testing.assert_close(scores[:, 0], expected)


def test_class_prototypes_stay_in_single_precision() -> None:
    support, _ = _random([0, 1, 1])
    means = support.class_prototypes()
    assert means.dtype == np.float32
    np.testing.assert_allclose(means[1], support.prototypes[1:].mean(axis=0), rtol=1e-6)
