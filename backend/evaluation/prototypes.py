"""The methods that match with prototypes, as segmenters: fitting makes the prototypes, predicting matches with them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..baselines.ppnet_parts import PartPrototypeNetwork
from ..dpcl.batching import encode_together
from ..dpcl.matching import cosine_scores
from ..dpcl.options import MethodError
from ..dpcl.prototypes import support_prototypes
from ..encoders.encoder import Encoder


class MeanPrototypes:
    """One mean prototype of each class: DPCL, PANet and Jiang et al., who differ in the training alone.

    Args:
        encoder: In evaluation mode.
        alpha: Scale of the cosine, which matters where probabilities do: to a DenseCRF.
    """

    def __init__(self, encoder: Encoder, alpha: float = 20.0) -> None:
        self._encoder, self._alpha = encoder, alpha
        self._prototypes: Tensor | None = None

    @torch.no_grad()
    def fit(self, support_images: Tensor, support_masks: Tensor) -> None:
        """Make the prototypes; shapes as in :class:`Segmenter`."""
        (features,) = encode_together(self._encoder, [support_images])
        self._prototypes = support_prototypes(features, support_masks).stacked()

    @torch.no_grad()
    def predict(self, query_images: Tensor) -> Tensor:
        """Score queries; shapes as in :class:`Segmenter`.

        Raises:
            MethodError: Before :meth:`fit`.
        """
        if self._prototypes is None:
            raise MethodError("There are no prototypes yet; call fit with the support first.")
        (features,) = encode_together(self._encoder, [query_images])
        scores = cosine_scores(features, self._prototypes, self._alpha)
        return F.interpolate(scores, size=query_images.shape[-2:], mode="bilinear", align_corners=False)


class PartPrototypes:
    """Several prototypes of each class: PPNet.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: PartPrototypeNetwork) -> None:
        self._network = network
        self._parts: Tensor | None = None

    def fit(self, support_images: Tensor, support_masks: Tensor) -> None:
        """Find the parts; shapes as in :class:`Segmenter`."""
        self._parts = self._network.support_parts(support_images, support_masks)

    def predict(self, query_images: Tensor) -> Tensor:
        """Score queries; shapes as in :class:`Segmenter`.

        Raises:
            MethodError: Before :meth:`fit`.
        """
        if self._parts is None:
            raise MethodError("There are no parts yet; call fit with the support first.")
        return self._network.score(query_images, self._parts)
