"""The vision transformer of DINOv2, with one patch for each cell of the feature grid.

The blocks are those of Dosovitskiy et al., *An Image is Worth 16x16 Words* (2021), with a factor per channel behind
each branch as in Oquab et al., *DINOv2: Learning Robust Visual Features without Supervision* (2023). Parameters have
the names of DINOv2's own code, which timm keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError

PATCH = 14  # pixels
_HEAD = 64  # channels
_EPS = 1e-6  # of the layer normalisations
_NAMES = {(384, 12): "dinov2_vits14", (768, 12): "dinov2_vitb14"}
TRANSFORMER_NAMES = ("dinov2", *_NAMES.values())


@dataclass(frozen=True)
class TransformerSize:
    """The sizes of a vision transformer.

    Attributes:
        width: Channels of a token; its heads have 64 each.
        depth: Blocks.
        hidden: Channels between the two layers of a block's perceptron.
        side: Patches along each side of the square that the position embeddings were trained for.
    """

    width: int
    depth: int
    hidden: int
    side: int

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.hidden, self.side) < 1 or self.width % _HEAD:
            raise ModelError(
                f"a DINOv2 cannot have {self.depth} blocks of {self.width} and {self.hidden} channels; its width is "
                f"a multiple of {_HEAD}."
            )

    @property
    def name(self) -> str:
        """DINOv2's name for these sizes; "dinov2" where it has none."""
        return _NAMES.get((self.width, self.depth), "dinov2")


class Attention(nn.Module):
    """Self-attention of several heads (Dosovitskiy et al., Appendix A)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // _HEAD
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend; in and out are of the shape (batch_size, tokens, width)."""
        parts = self.qkv(x).reshape(*x.shape[:2], 3, self.heads, _HEAD).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind()  # each (batch_size, heads, tokens, 64)
        attended = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected


class LayerScale(nn.Module):
    """A factor per channel; the vectors that come and go have the shape (batch_size, tokens, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Scale."""
        return x * self.gamma


class Perceptron(nn.Module):
    """Two layers with a GELU between them, for each token on its own."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform; in and out are of the shape (batch_size, tokens, width)."""
        transformed: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return transformed


class Block(nn.Module):
    """Attention and a perceptron, each behind a normalisation, scaled, and added to what came in."""

    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size.width, eps=_EPS)
        self.attn = Attention(size.width)
        self.ls1 = LayerScale(size.width)
        self.norm2 = nn.LayerNorm(size.width, eps=_EPS)
        self.mlp = Perceptron(size.width, size.hidden)
        self.ls2 = LayerScale(size.width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform; in and out are of the shape (batch_size, tokens, width)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        added: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return added


class PatchEmbedding(nn.Module):
    """A linear map of each patch of 14 x 14 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=PATCH, stride=PATCH)

    def forward(self, x: Tensor) -> Tensor:
        """Embed images of the shape (batch_size, 3, 14 rows, 14 cols): (batch_size, rows * cols, width)."""
        embedded: Tensor = self.proj(x)
        return embedded.flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """A DINOv2 whose one level is the patch tokens behind the last block and the final normalisation.

    Images are enlarged by 14 / ``cell`` first, so that each patch shows one cell of the feature grid and features come
    out as dense as those of the other encoders. Every token sees all others: unlike theirs, its features depend on
    the whole window that is encoded.

    Args:
        size: The sizes.
        cell: Input pixels per patch side.

    Attributes:
        channels: Channels of the level, by its number, which is that of the last block.
        first_center: The middle of the first cell, in input pixels from the edge.
    """

    def __init__(self, size: TransformerSize, cell: int) -> None:
        super().__init__()
        self.size, self.cell = size, cell
        self.channels = {size.depth: size.width}
        self.first_center = cell / 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + size.side**2, size.width))
        self.patch_embed = PatchEmbedding(size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width, eps=_EPS)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the level.

        Args:
            x: Preprocessed images with shape (batch_size, 3, height, width), both multiples of ``cell``.

        Returns:
            One tensor with shape (batch_size, channels, height / cell, width / cell).
        """
        rows, cols = x.shape[2] // self.cell, x.shape[3] // self.cell
        x = F.interpolate(x, (rows * PATCH, cols * PATCH), mode="bicubic", align_corners=False)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], dim=1)
        tokens = tokens + self.positions(rows, cols)
        for block in self.blocks:
            tokens = block(tokens)
        patches: Tensor = self.norm(tokens[:, 1:])
        return [patches.transpose(1, 2).reshape(len(x), self.size.width, rows, cols)]

    def positions(self, rows: int, cols: int) -> Tensor:
        """Position embeddings of so many patches, interpolated as transformers does.

        Returns:
            Shape (1, 1 + rows * cols, width), the one of the class token first.
        """
        own, square = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = square.transpose(1, 2).reshape(1, self.size.width, self.size.side, self.size.side)
        # In single precision also where the network computes in half.
        laid = F.interpolate(square.float(), (rows, cols), mode="bicubic", align_corners=False)
        return torch.cat([own, laid.flatten(2).transpose(1, 2).to(own.dtype)], dim=1)
