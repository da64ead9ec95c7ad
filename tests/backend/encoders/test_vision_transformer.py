"""The vision transformer against one written in numpy, and its place on the feature grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import erf
from torch import Tensor

from backend.encoders.encoder import Encoder
from backend.encoders.fused import fuse
from backend.encoders.layout import EncoderLayout
from backend.encoders.runner import EncoderRunner, HalfPrecision, fold_batch_norms
from backend.encoders.vision_transformer import TransformerSize, VisionTransformer
from backend.errors import ModelError

Tensors = dict[str, Tensor]
Array = NDArray[np.float64]


def _network(tensors: Tensors, depth: int = 1, side: int = 5) -> VisionTransformer:
    width = tensors["cls_token"].shape[-1]
    network = VisionTransformer(TransformerSize(width, depth, 4 * width, side), 8)
    network.load_state_dict(tensors)
    return network.eval()


def _cubic(count: int, new: int) -> Array:
    """Bicubic interpolation along one axis with torch's kernel (a = -0.75), shape (new, count)."""
    matrix = np.zeros((new, count))
    for row in range(new):
        at = (row + 0.5) * count / new - 0.5
        first = int(np.floor(at))
        for tap in range(first - 1, first + 3):
            t = abs(at - tap)
            inner, outer = 1.25 * t**3 - 2.25 * t**2 + 1.0, -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
            matrix[row, min(max(tap, 0), count - 1)] += inner if t <= 1 else outer
    return matrix


def _reference(tensors: Tensors, image: Array, depth: int, side: int) -> Array:
    """Features with shape (width, height / 8, width / 8) of an image with shape (3, height, width)."""
    p = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    width = p["cls_token"].shape[-1]
    rows, cols = image.shape[1] // 8, image.shape[2] // 8
    image = _cubic(8 * rows, 14 * rows) @ image @ _cubic(8 * cols, 14 * cols).T
    patches = image.reshape(3, rows, 14, cols, 14)
    embedded = np.einsum("oiyx,irycx->rco", p["patch_embed.proj.weight"], patches)
    x = (embedded + p["patch_embed.proj.bias"]).reshape(rows * cols, width)
    square = p["pos_embed"][0, 1:].reshape(side, side, width)
    laid = np.einsum("ra,cb,abd->rcd", _cubic(side, rows), _cubic(side, cols), square)
    x = np.concatenate([p["cls_token"][0], x]) + np.concatenate(
        [p["pos_embed"][0, :1], laid.reshape(-1, width)]
    )

    def norm(x: Array, name: str) -> Array:
        spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-6)
        return (x - x.mean(axis=1, keepdims=True)) / spread * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x: Array, name: str) -> Array:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    for block in (f"blocks.{index}" for index in range(depth)):
        query, key, value = np.split(linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv"), 3, axis=1)
        heads = []
        for at in range(0, width, 64):
            own = slice(at, at + 64)
            weights = np.exp(query[:, own] @ key[:, own].T / 8.0)
            heads.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, own])
        x = x + p[f"{block}.ls1.gamma"] * linear(np.concatenate(heads, axis=1), f"{block}.attn.proj")
        hidden = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        hidden = hidden * 0.5 * (1.0 + erf(hidden / np.sqrt(2.0)))
        x = x + p[f"{block}.ls2.gamma"] * linear(hidden, f"{block}.mlp.fc2")
    return norm(x, "norm")[1:].reshape(rows, cols, width).transpose(2, 0, 1)


@pytest.mark.parametrize(("width", "depth", "side"), [(64, 1, 5), (128, 3, 4)])
def test_against_numpy(make_dinov2: Callable[..., Tensors], width: int, depth: int, side: int) -> None:
    tensors = make_dinov2(width, depth, side)
    image = np.random.default_rng(0).normal(size=(3, 48, 72))
    with torch.inference_mode():
        (level,) = _network(tensors, depth, side)(torch.from_numpy(image).float()[None])
    np.testing.assert_allclose(
        level[0].numpy(), _reference(tensors, image, depth, side), rtol=1e-3, atol=2e-4
    )


def test_positions_at_the_size_of_the_training_are_the_trained_ones(
    make_dinov2: Callable[..., Tensors],
) -> None:
    tensors = make_dinov2(side=6)
    with torch.inference_mode():
        found = _network(tensors, side=6).positions(6, 6)
    torch.testing.assert_close(found, tensors["pos_embed"])


class TestGrid:
    """With blocks that add nothing, each token shows its own cell."""

    @pytest.fixture
    def local(self, make_dinov2: Callable[..., Tensors]) -> VisionTransformer:
        tensors = make_dinov2()
        silent = ("blocks.0.ls1.gamma", "blocks.0.ls2.gamma", "pos_embed")
        return _network({**tensors, **{name: torch.zeros_like(tensors[name]) for name in silent}})

    @torch.inference_mode()
    def test_one_cell_for_8_by_8_pixels(self, local: VisionTransformer) -> None:
        assert local(torch.zeros(2, 3, 40, 104))[0].shape == (2, 64, 5, 13)
        assert local.channels == {1: 64}

    @torch.inference_mode()
    def test_a_shift_by_8_pixels_is_one_by_a_cell(self, local: VisionTransformer) -> None:
        image = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))
        whole, part = local(image)[0], local(image[:, :, 8:, 16:])[0]
        # At its edge an enlarged image is not what it is inside of a larger one.
        torch.testing.assert_close(part[:, :, 1:, 1:], whole[:, :, 2:, 3:], rtol=1e-3, atol=1e-4)

    @torch.inference_mode()
    def test_a_cell_shows_its_own_pixels(self, local: VisionTransformer) -> None:
        image = torch.zeros(1, 3, 64, 80)
        before = local(image)[0]
        image[:, :, 27:29, 43:45] = 1.0  # in the middle of cell (3, 5)
        changed = (local(image)[0] - before).abs().amax(dim=1)[0] > 1e-6
        assert changed.nonzero().tolist() == [[3, 5]]

    @torch.inference_mode()
    def test_the_middle_of_a_cell_is_its_center(self, local: VisionTransformer) -> None:
        """Turned about, a picture gives the same features at the same places, which the middle alone can do."""
        weight = local.patch_embed.proj.weight
        weight.copy_((weight + weight.flip(2, 3)) / 2)
        image = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))
        turned = local(image.flip(2, 3))[0].flip(2, 3)
        torch.testing.assert_close(turned, local(image)[0], rtol=1e-3, atol=1e-4)
        assert local.first_center == 4.0


class TestEncoder:
    @pytest.fixture
    def encoder(self, make_dinov2: Callable[..., Tensors]) -> Encoder:
        encoder = Encoder(EncoderLayout("dinov2", (2,), transformer=TransformerSize(64, 2, 256, 5)))
        encoder.backbone.load_state_dict(make_dinov2(depth=2))
        return encoder.eval()

    def test_runs_as_it_is(self, encoder: Encoder) -> None:
        image = 255.0 * torch.rand(3, 72, 104, generator=torch.Generator().manual_seed(0))
        runner = EncoderRunner(encoder, torch.device("cpu"))
        assert (runner.stride, runner.first_center, runner.channels) == (8, 4.0, 64)
        features = runner.encode(image)
        with torch.inference_mode():
            torch.testing.assert_close(features, encoder(image[None])[0], rtol=1e-4, atol=1e-4)
        plain = fold_batch_norms(encoder)
        assert fuse(plain) is plain

    def test_half_precision_is_nearly_the_same(self, encoder: Encoder) -> None:
        image = torch.randn(1, 3, 72, 104, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            (exact,), (rough,) = encoder.backbone(image), HalfPrecision(encoder.backbone)(image)
        assert rough.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(exact, rough, dim=1).min() > 0.999

    def test_tiles_that_do_not_fit_are_halved(
        self, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        forward = EncoderRunner._forward

        def full(runner: EncoderRunner, image: Tensor) -> Tensor:
            if image.shape[2] > 8 * 40:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(runner, image)

        monkeypatch.setattr(EncoderRunner, "_forward", full)
        runner = EncoderRunner(encoder, torch.device("cpu"))
        assert runner.encode(torch.zeros(3, 8 * 6, 8 * 52)).shape == (64, 6, 52)


@pytest.mark.parametrize("sizes", [(96, 1, 4, 5), (0, 1, 4, 5), (64, 0, 4, 5), (64, 1, 0, 5)])
def test_sizes_that_cannot_be(sizes: tuple[int, int, int, int]) -> None:
    with pytest.raises(ModelError, match="a DINOv2 cannot have"):
        TransformerSize(*sizes)
