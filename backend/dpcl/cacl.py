"""CACL, the class-agnostic contrastive loss: prototypes towards the query's object, away from its background."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..episodes.episode import IGNORE
from .info_nce import info_nce, mean_of_valid
from .pooling import masked_average_pool


def class_agnostic_loss(
    anchors: Tensor,
    present: Tensor,
    features: Tensor,
    labels: Tensor,
    temperature: float = 0.05,
    negatives: int = 1000,
    group: int = 5,
    positive_in_denominator: bool = True,
) -> Tensor:
    """Contrast prototypes with an augmented view of the queries (DPCL, eq. 6 and Algorithm 4).

    The positive is the class's prototype in the view; each negative is the mean of a few features drawn from
    what is not the class there. As Appendix A, a query with fewer features of the class than ``group`` is left
    out; so is one with fewer of anything else. The numerator of eq. 6 forgets tau, Algorithm 4 forgets both.

    The random numbers come from torch's generator of the CPU, so that they are the same on every device.

    Args:
        anchors: Clean prototypes, with gradients, shape (way, shot, channels).
        present: Whether an anchor is made of any pixel, shape (way, shot), bool.
        features: The momentum encoder's of the views, shape (queries, channels, height, width).
        labels: Of the views, 0 background, 1..way, 255 ignore, shape (queries, label height, label width).
        temperature: Tau.
        negatives: Of each anchor and query.
        group: Features that one negative averages.
        positive_in_denominator: See :func:`info_nce`.

    Returns:
        The mean over all pairs of an anchor and a query that are left, 0 where there are none.
    """
    way = len(anchors)
    features = features.detach()
    classes = torch.arange(1, way + 1, device=labels.device)[:, None, None, None]
    objects = labels == classes  # (way, queries, label height, label width)
    positive = masked_average_pool(features, objects.transpose(0, 1)).transpose(0, 1)

    cells = F.interpolate(labels[:, None].float(), size=features.shape[-2:], mode="nearest-exact").flatten(1)
    foreground = cells == classes[..., 0]  # (way, queries, cells)
    background = ~foreground & (cells != IGNORE)
    enough = (foreground.sum(dim=2) >= group) & (background.sum(dim=2) >= group)
    drawn = draw_groups(background, negatives, group)  # (way, queries, negatives, group)
    # Features of all queries as rows of one table, of which embedding_bag averages the drawn ones.
    rows = features.flatten(2).transpose(1, 2).flatten(0, 1)
    drawn = drawn + cells.shape[1] * torch.arange(len(cells), device=cells.device)[:, None, None]
    means = F.embedding_bag(drawn.flatten(0, 2), rows, mode="mean").view(*drawn.shape[:3], -1)

    anchors = F.normalize(anchors, dim=-1, eps=1e-8)
    cosine = torch.einsum("wsd,wqd->wsq", anchors, F.normalize(positive, dim=-1, eps=1e-8))
    others = torch.einsum("wsd,wqvd->wsqv", anchors, F.normalize(means, dim=-1, eps=1e-8))
    losses = info_nce(cosine, others, temperature, positive_in_denominator=positive_in_denominator)
    return mean_of_valid(losses, present[..., None] & enough[:, None])


def draw_groups(masks: Tensor, groups: int, size: int) -> Tensor:
    """Draw groups of different cells from masks, uniformly; a cell may be in several groups.

    The k-th member is a rank among the cells that the earlier members have left, moved past those of them that
    are not above it: no list of all cells is shuffled for each group.

    Args:
        masks: Shape (..., cells), bool. Of one with fewer cells than ``size`` the result means nothing.
        groups: How many.
        size: Members of each.

    Returns:
        Cells with shape (..., groups, size).
    """
    lead = masks.shape[:-1]
    count = masks.sum(dim=-1)[..., None]
    uniform = torch.rand(*lead, groups, size, dtype=torch.float64).to(masks.device)
    ranks = torch.empty(*lead, groups, 0, dtype=torch.int64, device=masks.device)
    for member in range(size):
        left = (count - member).clamp_min(1)
        rank = (uniform[..., member] * left).long()
        for earlier in ranks.sort(dim=-1).values.unbind(dim=-1):
            rank = rank + (rank >= earlier)
        ranks = torch.cat([ranks, rank[..., None]], dim=-1)
    # The masks' own cells first, in order; a rank is a place in this list.
    cells = masks.logical_not().long().argsort(dim=-1, stable=True)
    ranks = ranks.clamp_max(masks.shape[-1] - 1)
    return cells.gather(-1, ranks.flatten(-2)).view_as(ranks)
