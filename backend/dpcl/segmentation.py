"""The segmentation loss on the queries and PANet's alignment loss on the support."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..episodes.episode import IGNORE


def segmentation_loss(scores: Tensor, labels: Tensor, balance: float = 0.0) -> Tensor:
    """Cross-entropy of the queries (first term of DPCL, eq. 4; Jiang et al., eq. 4).

    The mean over all pixels that are not ignored, weighted where classes are balanced; 0 where all are ignored.

    Args:
        scores: At the features' resolution, shape (queries, 1 + way, height, width); brought to the labels'
            size bilinearly.
        labels: 0 background, 1..way, 255 ignore; shape (queries, label height, label width).
        balance: See ``MethodOptions.class_balance``.
    """
    if balance:
        counts = torch.bincount(labels[labels != IGNORE].long(), minlength=scores.shape[1])
        shares = counts / counts.sum().clamp_min(1)
        weights = torch.where(counts > 0, shares.clamp_min(1e-12) ** -balance, 0.0)
        scores = F.interpolate(scores, size=labels.shape[-2:], mode="bilinear", align_corners=False)
        losses = F.cross_entropy(scores, labels.long(), weights, ignore_index=IGNORE, reduction="sum")
        return losses / (weights * counts).sum().clamp_min(1)
    sums, counts = _cross_entropy(scores, labels)
    return sums.sum() / counts.sum().clamp_min(1)


def alignment_loss(scores: Tensor, labels: Tensor, usable: Tensor) -> Tensor:
    """Cross-entropy of the support by the queries' prototypes (second term of DPCL, eq. 4; PANet's code).

    Each support image is matched with the background and its own way only, its mean is taken over its own
    pixels, and ways of which the query shows nothing are left out of the sum but not of the count.

    Args:
        scores: Shape (way, shot, 2, height, width): background, the way's class.
        labels: 0, 1, or 255 for ignore; shape (way, shot, label height, label width).
        usable: Ways that have a query prototype, shape (way,), bool.
    """
    sums, counts = _cross_entropy(scores.flatten(0, 1), labels.flatten(0, 1))
    means = (sums / counts.clamp_min(1)).view(labels.shape[:2])
    return torch.where(usable, means.mean(dim=1), 0.0).mean()


def joint_alignment_loss(scores: Tensor, masks: Tensor, usable: Tensor, balance: float = 0.0) -> Tensor:
    """The alignment loss of support images that all ways share and that show no background, as drawn polygons do.

    Against the background alone, as in :func:`alignment_loss`, there is nothing to tell apart: each pixel is matched
    with the query prototypes of all ways.

    Args:
        scores: Of the shared images, shape (shot, 1 + way, height, width).
        masks: 1 the way's class, anything else is ignored; shape (way, shot, mask height, mask width).
        usable: Ways that have a query prototype, shape (way,), bool; pixels of others are ignored.
        balance: As in :func:`segmentation_loss`.
    """
    marked = (masks == 1) & usable[:, None, None, None]
    numbers = torch.arange(1, len(masks) + 1, device=masks.device)[:, None, None, None]
    labels = torch.where(marked.sum(dim=0) == 1, (marked * numbers).sum(dim=0), IGNORE)
    hidden = torch.cat([usable.new_zeros(1), ~usable])[:, None, None]
    return segmentation_loss(scores.masked_fill(hidden, -1e4), labels, balance)


def _cross_entropy(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over an image's pixels and how many they are, each with shape (images,)."""
    scores = F.interpolate(scores, size=labels.shape[-2:], mode="bilinear", align_corners=False)
    losses = F.cross_entropy(scores, labels.long(), ignore_index=IGNORE, reduction="none")
    return losses.sum(dim=(1, 2)), (labels != IGNORE).sum(dim=(1, 2))
