"""Frozen batch normalisations, folded into the convolutions before them while an encoder runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


@contextmanager
def folded_norms(network: nn.Module) -> Iterator[None]:
    """Within, each convolution also does the work of the frozen normalisation after it.

    The result and all gradients, those of the normalisations included, are the same up to rounding; a ResNet
    then keeps a little more than half as much for its backward pass. Parameters and their names stay. Normalisations
    in training mode are left alone.

    Args:
        network: Modules of which a convolution is directly followed by a normalisation are known by the names
            conv1 and bn1, conv2 and bn2, ... or by their order in a ``Sequential``.
    """
    pairs = [
        (conv, norm)
        for conv, norm in _neighbours(network)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training
    ]
    # Set on the objects, not the classes, for as long as the network runs.
    for conv, norm in pairs:
        vars(conv)["forward"] = partial(_convolve, conv, norm)
        vars(norm)["forward"] = _same
    try:
        yield
    finally:
        for conv, norm in pairs:
            del vars(conv)["forward"], vars(norm)["forward"]


def _neighbours(network: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            yield from pairwise(module)
        children = dict(module.named_children())
        for name, conv in children.items():
            norm = children.get(name.replace("conv", "bn"))
            if name.startswith("conv") and norm is not None:
                yield conv, norm


def _convolve(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    assert norm.running_mean is not None and norm.running_var is not None  # nosec B101 # for the type checker
    factor = (norm.running_var + norm.eps).rsqrt()
    factor = factor if norm.weight is None else factor * norm.weight
    offset = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    bias = offset * factor if norm.bias is None else norm.bias + offset * factor
    weight = conv.weight * factor[:, None, None, None]
    return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


def _same(x: Tensor) -> Tensor:
    return x
