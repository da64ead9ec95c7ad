"""The encoder of Jiang et al.: two levels, compressed by a 3 x 3 convolution."""

from __future__ import annotations

from torch import Tensor, nn

from ..encoders.encoder import Encoder
from ..encoders.layout import EncoderLayout

COMPRESSED = 256


class CompressedEncoder(Encoder):
    """An encoder whose concatenated levels go through "another 3 x 3 convolution" to 256 channels (Section II-C).

    With :meth:`MethodOptions.jiang` in :class:`DualPrototypicalContrast` it is the letter's method, and with a VGG-16
    layout its variant of Table IV. The letter says nothing of an activation; none is the default, since a cosine needs
    both signs. CANet, whose network its description follows, has a dilation of 2 and a ReLU.

    Args:
        layout: Without projections; the letter's levels are 2 and 3.
        dilation: Of the convolution.
        relu: Whether a ReLU follows.
    """

    def __init__(self, layout: EncoderLayout, dilation: int = 1, relu: bool = False) -> None:
        super().__init__(layout)
        self.compress = nn.Conv2d(
            self.channels, COMPRESSED, kernel_size=3, padding=dilation, dilation=dilation
        )
        self.activation = nn.ReLU(inplace=True) if relu else nn.Identity()
        self.channels = COMPRESSED

    def forward(self, images: Tensor) -> Tensor:
        """Encode images as :class:`Encoder` does, to 256 channels."""
        features: Tensor = self.activation(self.compress(super().forward(images)))
        return features
