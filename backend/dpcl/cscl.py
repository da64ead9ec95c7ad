"""CSCL, the class-specific contrastive loss: prototypes of one class towards each other, away from other classes'."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .info_nce import info_nce, mean_of_valid
from .prototype_dictionary import PrototypeDictionary


def class_specific_loss(
    anchors: Tensor,
    keys: Tensor,
    valid: Tensor,
    dictionary: PrototypeDictionary,
    drawn: Tensor,
    temperature: float = 0.05,
    positive_in_denominator: bool = True,
) -> Tensor:
    """Contrast prototypes with those of their augmented views and with the dictionary (DPCL, eq. 5 and Algorithm 3).

    Algorithm 3 appends labels where it means keys (``an.append(l_u)``), takes the keys from the encoder where
    the text has the momentum encoder, and forgets tau; here as in the text.

    Args:
        anchors: Clean prototypes, with gradients, shape (anchors, channels).
        keys: The momentum encoder's prototypes of the augmented views, shape (anchors, channels).
        valid: Anchors whose object is in both views, shape (anchors,), bool; the others count for nothing.
        dictionary: Its entries are the negatives.
        drawn: From :meth:`PrototypeDictionary.draw_negatives`, shape (anchors, size).
        temperature: Tau.
        positive_in_denominator: See :func:`info_nce`.

    Returns:
        The mean over the valid anchors, 0 where there are none.
    """
    anchors = F.normalize(anchors, dim=1, eps=1e-8)
    positive = (anchors * F.normalize(keys.detach(), dim=1, eps=1e-8)).sum(dim=1)
    negatives = anchors @ dictionary.entries.T
    return mean_of_valid(info_nce(positive, negatives, temperature, drawn, positive_in_denominator), valid)
