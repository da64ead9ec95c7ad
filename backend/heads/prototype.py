"""Matching features to prototypes by cosine similarity."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .support import SupportFeatures

ALPHA = 20.0


class PrototypeHead:
    """The papers' head: one prototype per class, alpha times the cosine (Jiang et al., eq. 2; DPCL, eq. 2).

    The printed equations have exp(-alpha d) with d the cosine; a cosine is a similarity, so the sign is plus,
    as in PANet's code.
    """

    def __init__(self, prototypes: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
        """Take prototypes of shape (P, D) and the class of each; of several per class the best one counts."""
        self.classes = classes
        self.labels = torch.from_numpy(labels)
        self.prototypes = torch.nn.functional.normalize(torch.from_numpy(prototypes), dim=1)
        self._one_each = np.array_equal(np.sort(labels), np.arange(classes))

    @classmethod
    def per_class(cls, support: SupportFeatures) -> PrototypeHead:
        """One prototype per class: the mean over its polygons."""
        return cls(support.class_prototypes(), np.arange(support.classes), support.classes)

    @classmethod
    def per_polygon(cls, support: SupportFeatures) -> PrototypeHead:
        """One prototype per polygon; a class scores as its best one."""
        return cls(support.prototypes, support.labels, support.classes)

    def scores(self, features: Tensor) -> Tensor:
        """Score features against the classes.

        Args:
            features: Shape (D, height, width).

        Returns:
            ``ALPHA`` times the cosine, shape (C, height, width), on the features' device.
        """
        size, height, width = features.shape
        # One feature per row, as an encoder in channels-last order leaves them: no copy.
        rows = features.permute(1, 2, 0).reshape(-1, size)
        products = rows @ self.prototypes.to(rows).T
        cosine = (products / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)).T
        if self._one_each:
            order = torch.argsort(self.labels).to(cosine.device)
            cosine = cosine[order]
        else:
            best = torch.full((self.classes, cosine.shape[1]), -1.0, dtype=cosine.dtype, device=cosine.device)
            index = self.labels.to(cosine.device)[:, None].expand_as(cosine)
            cosine = best.scatter_reduce(0, index, cosine, reduce="amax")
        return ALPHA * cosine.reshape(self.classes, height, width)
