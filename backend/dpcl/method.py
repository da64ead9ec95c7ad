"""The method: an encoder, its momentum encoder and dictionary, and the losses of a batch of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..encoders.encoder import Encoder
from ..episodes.episode import Episode, is_shared
from .batching import check_episodes, draw_support_views, draw_views, encode_together, random_numbers
from .cacl import class_agnostic_loss
from .cscl import class_specific_loss
from .gathering import gather_keys, process_index
from .key_precision import key_precision
from .matching import cosine_scores
from .momentum_encoder import MomentumEncoder
from .options import MethodOptions
from .prototype_dictionary import PrototypeDictionary
from .prototypes import SupportPrototypes, pool_support, query_prototypes, support_prototypes
from .segmentation import alignment_loss, joint_alignment_loss, segmentation_loss


@dataclass(frozen=True)
class LossParts:
    """The losses of a batch, each with shape (): as they are, and weighted in the total (DPCL, eq. 8)."""

    segmentation: Tensor
    alignment: Tensor
    class_specific: Tensor
    class_agnostic: Tensor
    total: Tensor


class DualPrototypicalContrast(nn.Module):
    """DPCL; with both contrastive weights at 0 PANet, and without the alignment loss Jiang et al. too.

    A training step is ``parts = method(episodes)``, the backward pass of ``parts.total``, the optimiser's step
    over ``method.encoder`` and then ``method.update_momentum_encoder()`` (Algorithm 1). Inference needs only the
    encoder.

    All random numbers follow from the options' seed and the number of training steps, which is part of the
    state, as are the momentum encoder and the dictionary: a run that is resumed continues as if it had never
    stopped, and torch's own random numbers are the same with the contrastive losses and without.

    Attributes:
        encoder: The one that is trained.
        momentum_encoder: None where both contrastive weights are 0.
        dictionary: None where the class-specific weight is 0.
        step: Training steps so far, shape ().
    """

    step: Tensor

    def __init__(self, encoder: Encoder, options: MethodOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or MethodOptions()
        self.encoder = encoder
        contrastive = options.class_specific_weight > 0 or options.class_agnostic_weight > 0
        self.momentum_encoder = MomentumEncoder(encoder, options.momentum) if contrastive else None
        self.dictionary = (
            PrototypeDictionary(options.dictionary_size, encoder.channels, options.seed)
            if options.class_specific_weight > 0
            else None
        )
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.train(self.training)

    def train(self, mode: bool = True) -> DualPrototypicalContrast:
        """Training mode, in which batch normalisation stays as it is where the options freeze it."""
        super().train(mode)
        if self.options.freeze_batch_norm:
            for module in self.encoder.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, episodes: Sequence[Episode]) -> LossParts:
        """The losses of a batch of episodes, each the mean over the batch.

        The contrastive losses are taken in training mode only, where their keys enter the dictionary.

        Args:
            episodes: With images of one size; ways, shots and queries may differ.

        Raises:
            MethodError: When the batch is empty, sizes differ, or masks do not fit their images.
        """
        check_episodes(episodes)
        features = encode_together(
            self.encoder, [*(e.support_images for e in episodes), *(e.query_images for e in episodes)]
        )
        support, query = features[: len(episodes)], features[len(episodes) :]
        with torch.autocast(query[0].device.type, enabled=False):
            prototypes = [
                support_prototypes(f, e.support_masks) for f, e in zip(support, episodes, strict=True)
            ]
            inputs = zip(episodes, support, query, prototypes, strict=True)
            segmentation, alignment = torch.stack([self._segmentation(*one) for one in inputs]).mean(dim=0)
        specific = agnostic = torch.zeros_like(segmentation)
        if self.training:
            if self.momentum_encoder is not None:
                with random_numbers(self.options.seed, int(self.step), process_index()):
                    specific, agnostic = self._contrast(self.momentum_encoder, episodes, prototypes)
            self.step += 1
        options = self.options
        total = (
            segmentation
            + options.alignment_weight * alignment
            + options.class_specific_weight * specific
            + options.class_agnostic_weight * agnostic
        )
        return LossParts(segmentation, alignment, specific, agnostic, total)

    def update_momentum_encoder(self) -> None:
        """Move the momentum encoder towards the encoder (eq. 7), after the optimiser's step."""
        if self.momentum_encoder is not None:
            self.momentum_encoder.update(self.encoder)

    @torch.no_grad()
    def segment(self, episode: Episode) -> Tensor:
        """Score an episode's queries.

        Returns:
            Alpha times the cosine, background first, shape (queries, 1 + way, height, width); the class is the
            largest (eq. 3), and the softmax is eq. 2.
        """
        check_episodes([episode])
        support, query = encode_together(self.encoder, [episode.support_images, episode.query_images])
        with torch.autocast(query.device.type, enabled=False):
            prototypes = support_prototypes(support, episode.support_masks)
            scores = cosine_scores(query, prototypes.stacked(), self.options.alpha)
            size = episode.query_images.shape[-2:]
            return F.interpolate(scores, size=size, mode="bilinear", align_corners=False)

    def _segmentation(
        self, episode: Episode, support: Tensor, query: Tensor, prototypes: SupportPrototypes
    ) -> Tensor:
        """The segmentation and the alignment loss of one episode, shape (2,)."""
        alpha, way = self.options.alpha, len(support)
        scores = cosine_scores(query, prototypes.stacked(), alpha)
        segmentation = segmentation_loss(scores, episode.query_labels, self.options.class_balance)
        if not self.options.alignment_weight:
            return torch.stack([segmentation, torch.zeros_like(segmentation)])
        if self.options.alignment_mask == "labels":
            size = query.shape[-2:]
            labels = F.interpolate(episode.query_labels[:, None].float(), size=size, mode="nearest-exact")[
                :, 0
            ]
        else:
            labels = scores.argmax(dim=1)
        pooled, counts = query_prototypes(query, labels, way)
        usable = counts[1:] > 0
        if is_shared(episode.support_images) and not (episode.support_masks == 0).any():
            support_scores = cosine_scores(support[0], pooled, alpha)
            aligned = joint_alignment_loss(
                support_scores, episode.support_masks, usable, self.options.class_balance
            )
        else:
            pairs = torch.stack([pooled[:1].expand(way, -1), pooled[1:]], dim=1)
            support_scores = cosine_scores(support, pairs[:, None], alpha)
            aligned = alignment_loss(support_scores, episode.support_masks, usable)
        return torch.stack([segmentation, aligned])

    def _contrast(
        self,
        momentum_encoder: MomentumEncoder,
        episodes: Sequence[Episode],
        prototypes: Sequence[SupportPrototypes],
    ) -> tuple[Tensor, Tensor]:
        """The class-specific and the class-agnostic loss of a batch, of views encoded in one batch."""
        options = self.options
        views = []
        if self.dictionary is not None:
            views += [draw_support_views(e, options.redraws) for e in episodes]
        if options.class_agnostic_weight:
            views += [draw_views(e.query_images, e.query_labels, options.redraws) for e in episodes]
        with key_precision(views[0][0].device, options.key_precision):
            keys = encode_together(momentum_encoder, [images for images, _ in views])
        labels = [labels for _, labels in views]
        specific = agnostic = torch.zeros_like(prototypes[0].background[0])
        with torch.autocast(keys[0].device.type, enabled=False):
            if self.dictionary is not None:
                specific = self._class_specific(self.dictionary, episodes, prototypes, keys, labels)
            if options.class_agnostic_weight:
                count = len(episodes)
                agnostic = self._class_agnostic(prototypes, keys[-count:], labels[-count:])
        return specific, agnostic

    def _class_specific(
        self,
        dictionary: PrototypeDictionary,
        episodes: Sequence[Episode],
        prototypes: Sequence[SupportPrototypes],
        keys: Sequence[Tensor],
        masks: Sequence[Tensor],
    ) -> Tensor:
        """CSCL over all support images of the batch; their keys enter the dictionary."""
        options, device = self.options, dictionary.labels.device
        anchors, positives, valid, classes = [], [], [], []
        for episode, own, features, mask in zip(episodes, prototypes, keys, masks, strict=False):
            anchor, present = own.anchors(options.anchor)
            seen = (mask == 1).flatten(0, 1)
            pooled = pool_support(features, (mask == 1)[:, :, None])[:, :, 0].flatten(0, 1)
            anchors.append(anchor.flatten(0, 1))
            positives.append(pooled)
            valid.append(present.flatten() & seen.flatten(1).any(dim=1))
            classes.append(torch.tensor(episode.classes, device=device).repeat_interleave(episode.shot))
        labels, key, usable = torch.cat(classes), torch.cat(positives), torch.cat(valid)
        loss = class_specific_loss(
            torch.cat(anchors),
            key,
            usable,
            dictionary,
            dictionary.draw_negatives(labels, options.dictionary_negatives),
            options.temperature,
            options.positive_in_denominator,
        )
        dictionary.enqueue(*gather_keys(key, labels, usable))
        return loss

    def _class_agnostic(
        self, prototypes: Sequence[SupportPrototypes], keys: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Tensor:
        """CACL, the mean over the episodes."""
        options = self.options
        losses = [
            class_agnostic_loss(
                *own.anchors(options.anchor),
                features,
                view,
                options.temperature,
                options.background_negatives,
                options.background_group,
                options.positive_in_denominator,
            )
            for own, features, view in zip(prototypes, keys, labels, strict=True)
        ]
        return torch.stack(losses).mean()
