"""Several prototypes of a class, found by k-means on its support cells."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .prototype import PrototypeHead
from .samples import support_samples
from .support import SupportFeatures

_ITERATIONS = 20


def part_prototypes(support: SupportFeatures, count: int = 3) -> PrototypeHead:
    """A head with up to ``count`` prototypes of each class; a class scores as its best one (as in PPNet).

    Args:
        support: The support.
        count: Parts of a class, at most; no more than it has polygons.
    """
    samples = support_samples(support)
    polygons = np.bincount(support.labels, minlength=support.classes)
    centers, labels = [], []
    for label in range(support.classes):
        own = samples.labels == label
        parts = spherical_kmeans(samples.rows[own], samples.weights[own], min(count, int(polygons[label])))
        centers.append(parts)
        labels += [label] * len(parts)
    return PrototypeHead(torch.cat(centers).numpy(), np.array(labels, np.int64), support.classes)


def spherical_kmeans(rows: Tensor, weights: Tensor, count: int) -> Tensor:
    """Weighted k-means by cosine, from the mean and then the rows that are farthest from what is chosen.

    Args:
        rows: Unit vectors, shape (N, D).
        weights: Shape (N,), above 0.
        count: Clusters, at least 1.

    Returns:
        Unit vectors, shape (at most ``count``, D).
    """
    mean = torch.nn.functional.normalize(weights @ rows, dim=0)
    centers = rows[(rows @ mean).argmax()][None]
    while len(centers) < count:
        nearest = (rows @ centers.T).amax(dim=1)
        centers = torch.cat([centers, rows[nearest.argmin()][None]])
    if count == 1:
        return mean[None]
    for _ in range(_ITERATIONS):
        own = torch.nn.functional.one_hot((rows @ centers.T).argmax(dim=1), len(centers)).to(rows)
        sums = (own * weights[:, None]).T @ rows
        moved = torch.nn.functional.normalize(sums[sums.norm(dim=1) > 0], dim=1)
        if moved.shape == centers.shape and torch.allclose(moved, centers, atol=1e-6):
            break
        centers = moved
    return centers
