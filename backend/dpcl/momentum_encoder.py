"""The momentum encoder: a slow copy of the encoder that makes the keys."""

from __future__ import annotations

from copy import deepcopy
from itertools import chain

import torch
from torch import Tensor, nn


class MomentumEncoder(nn.Module):
    """An exponential moving average of an encoder (DPCL, eq. 7; MoCo).

    The statistics of batch normalisation follow too; with the parameters alone, as in MoCo's code, they would stay
    where they were before training. Always in evaluation mode, never with gradients.

    ``torch.optim.swa_utils.AveragedModel`` copies the encoder at its first update instead of averaging, and
    averages counters.
    """

    def __init__(self, encoder: nn.Module, momentum: float = 0.999) -> None:
        super().__init__()
        self.momentum = momentum
        self.encoder = deepcopy(encoder).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> MomentumEncoder:
        """Stays in evaluation mode."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Encode images; as the encoder's forward, without gradients."""
        features: Tensor = self.encoder(images)
        return features

    @torch.no_grad()
    def update(self, encoder: nn.Module) -> None:
        """Move towards the encoder: theta_m <- m theta_m + (1 - m) theta; counters are copied.

        Args:
            encoder: The one that the copy was made of, after the optimiser's step.
        """
        mine = chain(self.encoder.parameters(), self.encoder.buffers())
        theirs = chain(encoder.parameters(), encoder.buffers())
        for slow, fast in zip(mine, theirs, strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1.0 - self.momentum)
            else:
                slow.copy_(fast)
