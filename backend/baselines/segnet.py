"""SegNet: VGG-16 down, and up again along the remembered places of its maxima."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from ..dpcl.options import MethodError
from ..encoders.layout import Preprocessing

# Channels of each block's convolutions on the way down: VGG-16.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class SegNet(nn.Module):
    """SegNet with batch normalisation after every convolution (Badrinarayanan et al., 2017; Audebert et al., 2018).

    Args:
        classes: Background included.
        vgg16: Weights of torchvision's VGG-16 to start the way down from, by its names ("features.0.weight" ...);
            random where None.

    Raises:
        MethodError: When the weights are not those of VGG-16.
    """

    def __init__(self, classes: int, vgg16: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        pre = Preprocessing()
        self.mean, self.std = (
            nn.Buffer(_channels(values), persistent=False) for values in (pre.mean, pre.std)
        )
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        before = 3
        for block in BLOCKS:
            self.down.append(_block(before, block))
            # On the way up, the last convolution of a block leads to the channels that came into its twin.
            after = classes if before == 3 else before
            self.up.insert(0, _block(block[-1], (*block[1:], after), plain_end=before == 3))
            before = block[-1]
        if vgg16 is not None:
            self._start_from(vgg16)

    def forward(self, images: Tensor) -> Tensor:
        """From images (batch_size, 3, height, width), 0..255, to scores (batch_size, classes, height, width)."""
        x = (images / 255.0 - self.mean) / self.std
        places, sizes = [], []
        for block in self.down:
            x = block(x)
            sizes.append(x.shape[-2:])
            x, place = F.max_pool2d(x, 2, return_indices=True, ceil_mode=True)
            places.append(place)
        for block in self.up:
            x = block(F.max_unpool2d(x, places.pop(), [2, 2], output_size=sizes.pop()))
        return x

    def _start_from(self, vgg16: Mapping[str, Tensor]) -> None:
        convolutions = [module for module in self.down.modules() if isinstance(module, nn.Conv2d)]
        given = sorted(
            (int(name.split(".")[1]), name.removesuffix(".weight"))
            for name, tensor in vgg16.items()
            if name.startswith("features.") and name.endswith(".weight") and tensor.ndim == 4
        )
        shapes = [tuple(vgg16[f"{name}.weight"].shape) for _, name in given]
        if shapes != [tuple(conv.weight.shape) for conv in convolutions]:
            raise MethodError(
                "The weights are not those of VGG-16's 13 convolutions; give torchvision's vgg16."
            )
        for conv, (_, name) in zip(convolutions, given, strict=True):
            conv.weight.data.copy_(vgg16[f"{name}.weight"])
            if conv.bias is not None and f"{name}.bias" in vgg16:
                conv.bias.data.copy_(vgg16[f"{name}.bias"])


def _block(channels_in: int, sizes: tuple[int, ...], plain_end: bool = False) -> nn.Sequential:
    """3 x 3 convolutions, each with batch normalisation and ReLU; the last one without where it ends in scores."""
    layers: list[nn.Module] = []
    for index, size in enumerate(sizes):
        layers.append(nn.Conv2d(channels_in, size, kernel_size=3, padding=1))
        if not (plain_end and index == len(sizes) - 1):
            layers += [nn.BatchNorm2d(size), nn.ReLU(inplace=True)]
        channels_in = size
    return nn.Sequential(*layers)


def _channels(values: tuple[float, float, float]) -> Tensor:
    return Tensor(values).view(3, 1, 1)
