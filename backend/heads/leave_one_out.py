"""Scores of each support polygon by heads that were fitted on all others, from inner products alone.

Leaving a polygon out only takes its rows and columns out of the products of all samples, so that all polygons together
cost less than fitting a head once for each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .density import CONCENTRATION
from .prototype import ALPHA
from .samples import support_samples
from .support import SupportFeatures


class LeftOut:
    """The samples of a support set, each polygon's scored without it.

    Attributes:
        samples: See :func:`support_samples`.
    """

    def __init__(self, support: SupportFeatures) -> None:
        self.samples = support_samples(support)
        self._labels = torch.from_numpy(support.labels)
        self._classes = support.classes
        self._gram = self.samples.rows @ self.samples.rows.T
        self._lengths = torch.from_numpy(support.prototypes).norm(dim=1)

    def scores(self, head: str, polygon: int) -> Tensor:
        """Score a polygon's samples by a head that was fitted on the other polygons.

        Args:
            head: "prototype", "polygons" or "density".
            polygon: Its number; its class must have another one.

        Returns:
            Shape (C, samples of the polygon).
        """
        near = self._gram[self.samples.polygons == polygon]
        others = torch.arange(len(self._labels)) != polygon
        if head == "density":
            return self._density(near, self.samples.polygons != polygon, int(self._labels[polygon]))
        pooled = near[:, : len(self._labels)][:, others]
        if head == "polygons":
            return ALPHA * self._by_class(pooled, self._labels[others], "amax")
        return ALPHA * self._class_means(pooled, others)

    def _class_means(self, pooled: Tensor, others: Tensor) -> Tensor:
        """Cosines with the means of the classes' other prototypes."""
        labels, lengths = self._labels[others], self._lengths[others]
        sums = self._by_class(pooled * lengths, labels, "sum")
        of_class = torch.nn.functional.one_hot(labels, self._classes).to(lengths) * lengths[:, None]
        count = len(self._labels)
        gram = self._gram[:count, :count][others][:, others]
        squared = (of_class * (gram @ of_class)).sum(dim=0)
        return sums / squared.clamp_min(1e-24).sqrt()[:, None]

    def _density(self, near: Tensor, kept: Tensor, label: int) -> Tensor:
        """As :class:`DensityHead` without the polygon's samples; those left of its class weigh the more."""
        labels, weights = self.samples.labels[kept], self.samples.weights[kept].log()
        own = int((self._labels == label).sum())
        weights = torch.where(labels == label, weights + torch.tensor(own / (own - 1)).log(), weights)
        terms = CONCENTRATION * near[:, kept] + weights
        return torch.stack([terms[:, labels == c].logsumexp(dim=1) for c in range(self._classes)])

    def _by_class(self, values: Tensor, labels: Tensor, how: str) -> Tensor:
        """From (samples, P) to (C, samples): the sum or the largest of each class."""
        start = values.new_zeros((self._classes, len(values)))
        index = labels[:, None].expand(-1, len(values))
        return start.scatter_reduce(0, index, values.T, reduce=how, include_self=False)
