"""InfoNCE, the loss that both contrastive terms share."""

from __future__ import annotations

import torch
from torch import Tensor


def info_nce(
    positive: Tensor,
    negatives: Tensor,
    temperature: float,
    allowed: Tensor | None = None,
    positive_in_denominator: bool = True,
) -> Tensor:
    """Minus the logarithm of the positive's share (DPCL, eq. 5 and 6, and the cross-entropy of Algorithms 3 and 4).

    Args:
        positive: Cosine of each anchor with its positive, shape (...).
        negatives: Cosines of each anchor with its negatives, shape (..., negatives).
        temperature: Tau, divides all cosines.
        allowed: Which negatives count, shape (..., negatives), bool; all if None.
        positive_in_denominator: As in the algorithms; the printed equations leave it out, and then the loss
            can fall below 0.

    Returns:
        Shape (...); 0 for an anchor without negatives.
    """
    positive = positive / temperature
    negatives = negatives / temperature
    if allowed is None:
        allowed = torch.ones_like(negatives, dtype=torch.bool)
    negatives = negatives.masked_fill(~allowed, -torch.inf)
    if positive_in_denominator:
        return torch.cat([positive[..., None], negatives], dim=-1).logsumexp(dim=-1) - positive
    some = allowed.any(dim=-1)
    # A row of nothing but -inf has no gradient: it is replaced before, not after, the logarithm.
    negatives = torch.where(some[..., None], negatives, 0.0)
    return torch.where(some, negatives.logsumexp(dim=-1) - positive, 0.0)


def mean_of_valid(losses: Tensor, valid: Tensor) -> Tensor:
    """The mean of the losses that are valid, 0 where none is."""
    return torch.where(valid, losses, 0.0).sum() / valid.sum().clamp_min(1)
