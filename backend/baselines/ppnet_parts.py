"""PPNet's part prototypes: several prototypes of each class, found by k-means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..dpcl.batching import check_episodes, encode_together, random_numbers
from ..dpcl.matching import cosine_scores
from ..dpcl.method import LossParts
from ..dpcl.options import MethodError
from ..dpcl.prototypes import query_prototypes, support_prototypes
from ..dpcl.segmentation import alignment_loss, segmentation_loss
from ..encoders.encoder import Encoder
from ..episodes.episode import Episode

ITERATIONS = 10
FEW = 10  # features; with no more, PPNet clusters those at the mask's own resolution


@dataclass(frozen=True)
class PartOptions:
    """Options of PPNet; the numbers are those of its code.

    Attributes:
        parts: Prototypes of each class: the clusters of its k-means.
        share: Of the class's mean that is added to each of them.
        alpha: Scale of the cosine.
        seed: Of the first centres.
    """

    parts: int = 5
    share: float = 0.8
    alpha: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.parts < 1:
            raise MethodError(f"The option parts must be at least 1, not {self.parts}.")
        if not (math.isfinite(self.share) and self.share >= 0):
            raise MethodError(f"The option share must be 0 or more, not {self.share}.")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise MethodError(f"The option alpha must be above 0, not {self.alpha}.")
        if self.seed < 0:
            raise MethodError(f"The option seed must be 0 or more, not {self.seed}.")


class PartPrototypeNetwork(nn.Module):
    """PPNet without its semantic branch and unlabelled images (PPNet-PyTorch's FewShotSegPart).

    Each class is the set of its k-means centres, each plus 0.8 times the class's mean; a pixel's score for a class is
    its largest cosine with any of them. The alignment loss does the same from the predicted query to the support.

    Attributes:
        encoder: The one that is trained; its batch normalisations stay as they are.
        step: Training steps so far, from which the first centres are drawn, shape ().
    """

    step: Tensor

    def __init__(self, encoder: Encoder, options: PartOptions | None = None) -> None:
        super().__init__()
        self.encoder, self.options = encoder, options or PartOptions()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.train(self.training)

    def train(self, mode: bool = True) -> PartPrototypeNetwork:
        """Training mode, in which batch normalisation stays as it is."""
        super().train(mode)
        for module in self.encoder.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, episodes: Sequence[Episode]) -> LossParts:
        """The losses of a batch; see :meth:`DualPrototypicalContrast.forward`."""
        check_episodes(episodes)
        features = encode_together(
            self.encoder, [*(e.support_images for e in episodes), *(e.query_images for e in episodes)]
        )
        pairs = zip(episodes, features[: len(episodes)], features[len(episodes) :], strict=True)
        with (
            torch.autocast(features[0].device.type, enabled=False),
            random_numbers(self.options.seed, int(self.step)),
        ):
            segmentation, alignment = torch.stack([self._losses(*pair) for pair in pairs]).mean(dim=0)
        if self.training:
            self.step += 1
        zero = torch.zeros_like(segmentation)
        return LossParts(segmentation, alignment, zero, zero, segmentation + alignment)

    def update_momentum_encoder(self) -> None:
        """Nothing to do: there is none."""

    def segment(self, episode: Episode) -> Tensor:
        """Score an episode's queries, shape (queries, 1 + way, height, width); the same for the same seed and step."""
        check_episodes([episode])
        parts = self.support_parts(episode.support_images, episode.support_masks)
        return self.score(episode.query_images, parts)

    @torch.no_grad()
    def support_parts(self, images: Tensor, masks: Tensor) -> Tensor:
        """The parts of the background and of each way, shape (1 + way, parts, channels).

        Args:
            images: Shape (way, shot, 3, height, width).
            masks: Shape (way, shot, height, width): 1 the way's class, 0 anything else, 255 ignored.
        """
        (features,) = encode_together(self.encoder, [images])
        with (
            torch.autocast(features.device.type, enabled=False),
            random_numbers(self.options.seed, int(self.step)),
        ):
            return self._support_parts(features, masks)

    @torch.no_grad()
    def score(self, images: Tensor, parts: Tensor) -> Tensor:
        """Score images, shape (images, 1 + way, height, width).

        Args:
            images: Shape (images, 3, height, width).
            parts: From :meth:`support_parts`.
        """
        (features,) = encode_together(self.encoder, [images])
        with torch.autocast(features.device.type, enabled=False):
            scores = self._match(features, parts)
        return F.interpolate(scores, size=images.shape[-2:], mode="bilinear", align_corners=False)

    def _losses(self, episode: Episode, support: Tensor, query: Tensor) -> Tensor:
        scores = self._match(query, self._support_parts(support, episode.support_masks))
        segmentation = segmentation_loss(scores, episode.query_labels)
        parts, usable = self._query_parts(query, scores.argmax(dim=1), len(support))
        pairs = torch.stack([parts[:1].expand_as(parts[1:]), parts[1:]], dim=1)
        aligned = alignment_loss(self._match(support, pairs[:, None]), episode.support_masks, usable)
        return torch.stack([segmentation, aligned])

    def _match(self, features: Tensor, parts: Tensor) -> Tensor:
        """The best part's score: parts (..., classes, parts, channels) to (..., classes, height, width)."""
        scores = cosine_scores(features, parts.flatten(-3, -2), self.options.alpha)
        split = scores.view(*scores.shape[:-3], parts.shape[-3], parts.shape[-2], *scores.shape[-2:])
        return split.amax(dim=-3)

    def _support_parts(self, features: Tensor, masks: Tensor) -> Tensor:
        """Parts of background and ways, shape (1 + way, parts, channels)."""
        means = support_prototypes(features, masks).stacked()
        members = [members_of(features.flatten(0, 1), (masks == 0).flatten(0, 1), scale=1)]
        members += [members_of(f, m == 1, scale=2) for f, m in zip(features, masks, strict=True)]
        return self._parts(members, means)

    def _query_parts(self, features: Tensor, labels: Tensor, way: int) -> tuple[Tensor, Tensor]:
        """Parts from predicted labels at the features' resolution, and the ways that there are, shape (way,)."""
        means, counts = query_prototypes(features, labels, way)
        members = [members_of(features, labels == index, scale=2) for index in range(1 + way)]
        return self._parts(members, means), counts[1:] > 0

    def _parts(self, members: Sequence[Tensor], means: Tensor) -> Tensor:
        centers = torch.stack([kmeans(own, self.options.parts) for own in members])
        return centers + self.options.share * means[:, None]


def members_of(features: Tensor, masks: Tensor, scale: int) -> Tensor:
    """The features of a class that are clustered.

    Args:
        features: Shape (images, channels, height, width).
        masks: Shape (images, mask height, mask width), bool.
        scale: Features are brought to so many times their resolution, and masks too; where that leaves an image no
            more than ten, to the resolution of its mask.

    Returns:
        Shape (members, channels).
    """
    size = [scale * length for length in features.shape[-2:]]
    parts = []
    for feature, mask in zip(features, masks, strict=True):
        small = F.interpolate(mask[None, None].float(), size=size, mode="nearest")[0, 0] > 0
        if small.sum() <= FEW and mask.shape[-1] > size[-1]:
            small = mask
        up = F.interpolate(feature[None], size=small.shape, mode="bilinear", align_corners=False)[0]
        parts.append(up[:, small].T)
    return torch.cat(parts)


def kmeans(points: Tensor, count: int, iterations: int = ITERATIONS) -> Tensor:
    """Lloyd's algorithm from random points, as PPNet has it.

    Assignments have no gradient, the final means do. The first centres are drawn with repetition, so a cluster may
    be empty: its centre is 0.

    Args:
        points: Shape (points, channels).
        count: Clusters.
        iterations: Rounds of assignment.

    Returns:
        Centres with shape (count, channels); 0 where there are no points.
    """
    if not len(points):
        return points.new_zeros(count, points.shape[1])
    fixed = points.detach()
    centers = fixed[torch.randint(len(fixed), (count,)).to(fixed.device)]
    for _ in range(iterations - 1):
        means, members = _means(fixed, torch.cdist(fixed, centers).argmin(dim=1), count)
        centers = torch.where(members > 0, means, centers)
    return _means(points, torch.cdist(fixed, centers).argmin(dim=1), count)[0]


def _means(points: Tensor, cluster: Tensor, count: int) -> tuple[Tensor, Tensor]:
    one_hot = F.one_hot(cluster, count).to(points.dtype).T
    members = one_hot.sum(dim=1, keepdim=True)
    return one_hot @ points / members.clamp_min(1), members
