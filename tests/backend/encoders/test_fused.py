"""Fused encoders compute what plain ones do, and plain ones take over where fusing is not possible."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from backend.encoders import fused as fused_module
from backend.encoders.encoder import Encoder
from backend.encoders.fused import FusedBottleneck, FusedConv, fuse
from backend.encoders.layout import Compression, EncoderLayout
from backend.encoders.runner import fold_batch_norms

DEEP = EncoderLayout("resnet50", (2, 3, 4))
needs_mkldnn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch cannot fuse convolutions"
)


@needs_mkldnn
def test_the_same_features_and_no_change_to_the_encoder(
    make_encoder: Callable[[EncoderLayout], Encoder],
) -> None:
    plain = fold_batch_norms(make_encoder(DEEP)).to(memory_format=torch.channels_last)
    images = 255.0 * torch.rand(2, 3, 72, 104).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = plain(images)
        fused = fuse(plain)
        found, after = fused(images), plain(images)
    assert sum(isinstance(module, FusedBottleneck) for module in fused.modules()) == 15  # and a linear one
    assert torch.equal(after, expected)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@needs_mkldnn
@pytest.mark.parametrize("compression", [Compression(16), Compression(16, 2, relu=True)], ids=str)
def test_a_compression_stays_as_it_is(
    make_encoder: Callable[[EncoderLayout], Encoder], compression: Compression
) -> None:
    plain = fold_batch_norms(make_encoder(EncoderLayout(layers=(2, 3), compression=compression)))
    plain = plain.to(memory_format=torch.channels_last)
    images = 255.0 * torch.rand(1, 3, 72, 104).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected, fused = plain(images), fuse(plain)
        found = fused(images)
    assert fused is not plain and found.shape[1] == 16
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_other_encoders_stay(make_encoder: Callable[[EncoderLayout], Encoder]) -> None:
    encoder = fold_batch_norms(make_encoder(EncoderLayout("vgg16", (3,))))
    assert fuse(encoder) is encoder


@pytest.mark.parametrize("error", [AttributeError("no such operation"), RuntimeError("not on this CPU")])
def test_without_the_operations(
    error: Exception, make_encoder: Callable[[EncoderLayout], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FusedConv, x: torch.Tensor) -> torch.Tensor:
        raise error

    monkeypatch.setattr(fused_module.FusedConv, "forward", fail)
    encoder = fold_batch_norms(make_encoder(EncoderLayout("resnet50", (2,))))
    assert fuse(encoder) is encoder


def test_operations_that_mean_something_else(
    make_encoder: Callable[[EncoderLayout], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_module.FusedConv, "add_to", lambda self, other, x: other)
    encoder = fold_batch_norms(make_encoder(EncoderLayout("resnet50", (2,))))
    assert fuse(encoder) is encoder
