"""Matching features to prototypes by the cosine of their angle."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

# Of torch's own cosine similarity; keeps features and prototypes of length 0 at a cosine of 0.
EPSILON = 1e-8


def cosine_scores(features: Tensor, prototypes: Tensor, alpha: float = 1.0) -> Tensor:
    """Score features against prototypes: alpha times the cosine (DPCL, eq. 2; Jiang et al., eq. 2 and 3).

    The printed equations have exp(-alpha d) with d the cosine; a cosine is a similarity, so the sign is plus,
    as in PANet's code.

    Args:
        features: Shape (..., channels, height, width).
        prototypes: Shape (..., classes, channels); leading axes broadcast against those of the features.
        alpha: Scale of the cosine.

    Returns:
        Shape (..., classes, height, width), values -alpha..alpha.
    """
    # Normalised after the product: no second feature map is kept for the backward pass.
    products = F.normalize(prototypes, dim=-1, eps=EPSILON) @ features.flatten(-2)
    lengths = features.flatten(-2).norm(dim=-2, keepdim=True).clamp_min(EPSILON)
    scores = alpha * products / lengths
    return scores.view(*scores.shape[:-1], *features.shape[-2:])
