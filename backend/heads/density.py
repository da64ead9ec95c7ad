"""Nearest neighbours, softly: the density of each class's support around a feature."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from .samples import Samples, support_samples, unit_rows
from .support import SupportFeatures

CONCENTRATION = 30.0
_ROWS = 8192  # features that are compared with all samples at once


class DensityHead:
    """Log density of each class by von Mises-Fisher kernels on its support cells, up to a constant common to all.

    Args:
        samples: The support.
        classes: C.
        concentration: Of the kernels; the larger, the fewer neighbours count.
    """

    def __init__(self, samples: Samples, classes: int, concentration: float = CONCENTRATION) -> None:
        order = torch.argsort(samples.labels, stable=True)
        self.classes = classes
        self._rows = concentration * samples.rows[order]
        self._log_weights = samples.weights[order].log()
        self._counts = torch.bincount(samples.labels, minlength=classes).tolist()
        self._ends = list(accumulate(self._counts))

    @classmethod
    def fit(cls, support: SupportFeatures, concentration: float = CONCENTRATION) -> DensityHead:
        """Keep the support."""
        return cls(support_samples(support), support.classes, concentration)

    def scores(self, features: Tensor) -> Tensor:
        """Score features of shape (D, height, width): shape (C, height, width), on the features' device."""
        rows = unit_rows(features)
        own, log_weights = self._rows.to(rows), self._log_weights.to(rows)
        parts = []
        for some in torch.split(rows, _ROWS):
            near = some @ own.T + log_weights
            of_class = zip(self._ends, self._counts, strict=True)
            parts.append(torch.stack([near[:, end - n : end].logsumexp(dim=1) for end, n in of_class]))
        return torch.cat(parts, dim=1).reshape(self.classes, *features.shape[1:])
