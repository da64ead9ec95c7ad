"""Masked average pooling at the mask's resolution, without bringing the features there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Keeps the mean of no pixel at 0 instead of NaN; PANet's value.
EPSILON = 1e-5


def masked_average_pool(features: Tensor, masks: Tensor) -> Tensor:
    """Average features over masks (DPCL, eq. 1 for one shot; Jiang et al., eq. 1).

    Both papers upsample the features bilinearly to the mask's size first. The sum over pixels of interpolated
    features is the same as the sum over features weighted by the transposed interpolation of the mask, which
    needs neither the memory nor the time of a feature map at full size.

    Args:
        features: Shape (images, channels, height, width).
        masks: Weights of the pixels, 0 or 1, with shape (images, masks, mask height, mask width).

    Returns:
        Shape (images, masks, channels); 0 where a mask is empty. Differentiable in the features.
    """
    masks = masks.to(features.dtype)
    weights = spread_to_features(masks, (features.shape[-2], features.shape[-1]))
    sums = torch.einsum("bdhw,bmhw->bmd", features, weights)
    area = masks.sum(dim=(-2, -1))
    return sums / (area + EPSILON)[..., None]


def spread_to_features(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """The transpose of bilinear upsampling: each pixel's weight goes to the features it is made from.

    Args:
        masks: Shape (..., mask height, mask width), floating point.
        size: Height and width of the feature map.

    Returns:
        Shape (..., height, width); the sum of all weights stays.
    """
    vertical = interpolation_matrix(size[0], masks.shape[-2], masks)
    horizontal = interpolation_matrix(size[1], masks.shape[-1], masks)
    return vertical.T @ masks @ horizontal


def interpolation_matrix(size_in: int, size_out: int, like: Tensor) -> Tensor:
    """Linear interpolation along one axis as a matrix of shape (size_out, size_in).

    Made by interpolating the unit vectors, so that it is torch's interpolation whatever its rules at the ends.
    """
    unit = torch.eye(size_in, dtype=like.dtype, device=like.device)
    return F.interpolate(unit[None], size=size_out, mode="linear", align_corners=False)[0].T
