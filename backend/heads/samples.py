"""Support features as weighted samples of unit length, for heads that learn from more than means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .support import SupportFeatures

_POOLED = 0.5  # of a polygon's weight: its mean; the rest is shared by its cells


@dataclass(frozen=True)
class Samples:
    """Samples of the support.

    Attributes:
        rows: Unit vectors, shape (N, D).
        labels: Class index of each, shape (N,).
        polygons: Its polygon, shape (N,).
        weights: Shape (N,); those of a class sum to 1, and its polygons count the same.
    """

    rows: Tensor
    labels: Tensor
    polygons: Tensor
    weights: Tensor


def support_samples(support: SupportFeatures) -> Samples:
    """Each polygon's pooled feature and a sample of its cells."""
    count = len(support.labels)
    rows = np.concatenate([support.prototypes, support.cells.reshape(-1, support.prototypes.shape[1])])
    polygons = np.concatenate([np.arange(count), support.cell_polygon]).astype(np.int64)
    cells = np.bincount(support.cell_polygon, support.cell_weights, minlength=count)
    share = np.concatenate(
        [
            np.where(cells > 0, _POOLED, 1.0),
            (1.0 - _POOLED) * support.cell_weights / cells[support.cell_polygon],
        ]
    )
    labels = support.labels[polygons]
    share /= np.bincount(support.labels, minlength=support.classes)[labels]
    return Samples(
        torch.nn.functional.normalize(torch.from_numpy(rows), dim=1),
        torch.from_numpy(labels),
        torch.from_numpy(polygons),
        torch.from_numpy(share.astype(np.float32)),
    )


def unit_rows(features: Tensor) -> Tensor:
    """A feature map (D, height, width) as unit vectors, shape (cells, D); channels-last maps are not copied."""
    rows = features.permute(1, 2, 0).reshape(-1, features.shape[0])
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
