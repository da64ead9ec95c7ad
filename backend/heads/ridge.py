"""Ridge regression of the classes on support cells, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from .samples import Samples, support_samples, unit_rows
from .support import SupportFeatures

_SCALE = 20.0  # brings a score to the range of alpha times the cosine


class RidgeHead:
    """A linear classifier by weighted least squares (Hoerl and Kennard 1970), with targets 1 and -1 / (C - 1).

    It is solved in the space of the samples, which are fewer than the channels.
    """

    def __init__(self, weights: Tensor, offset: Tensor) -> None:
        """Take weights of shape (D, C) and the offset of shape (C,)."""
        self.classes = len(offset)
        self._weights, self._offset = weights, offset

    @classmethod
    def fit(cls, support: SupportFeatures, penalty: float = 0.03) -> RidgeHead:
        """Fit on the support; every polygon counts the same within its class, and every class the same."""
        samples = support_samples(support)
        mean = samples.weights @ samples.rows / samples.weights.sum()
        rows = samples.rows - mean
        dual, level = solve(rows @ rows.T, samples, support.classes, penalty)
        weights = rows.T @ dual
        return cls(weights, level - mean @ weights)

    def scores(self, features: Tensor) -> Tensor:
        """Score features of shape (D, height, width): shape (C, height, width), on the features' device."""
        rows = unit_rows(features)
        scores = _SCALE * (rows @ self._weights.to(rows) + self._offset.to(rows))
        return scores.T.reshape(self.classes, *features.shape[1:])


def solve(gram: Tensor, samples: Samples, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Solve for the dual weights.

    Args:
        gram: Inner products of the centred rows, shape (N, N).
        samples: Labels and weights.
        classes: C.
        penalty: Added to the diagonal; 1 is the weight of a whole class.

    Returns:
        Dual weights with shape (N, C), and the mean target with shape (C,).
    """
    targets = torch.full((len(samples.labels), classes), -1.0 / max(classes - 1, 1))
    targets[torch.arange(len(targets)), samples.labels] = 1.0
    level = samples.weights @ targets / samples.weights.sum()
    root = samples.weights.sqrt()[:, None]
    system = root * gram * root.T + penalty * torch.eye(len(gram))
    factor, _ = torch.linalg.cholesky_ex(system)
    return root * torch.cholesky_solve(root * (targets - level), factor), level
