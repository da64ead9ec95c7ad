"""Metadata -> layout -> metadata, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.encoders.layout import Compression, EncoderLayout, Preprocessing
from backend.errors import ModelError

# The metadata of weights that were converted from Keras.
KERAS = {
    "architecture": "resnet50 stem, layer1, layer2, layer3 (torchvision parameter names; no layer4, no fc)",
    "stride": "on conv1 (1x1) of layer2.0 and layer3.0, not on conv2 as in torchvision",
    "bn_eps": "1.001e-5",
    "input": "BGR, 0..255, minus (103.939, 116.779, 123.68)",
    "trained_on": "ImageNet-1k classification (keras.applications.ResNet50)",
}
PLAIN = {"architecture": "resnet50", "input": "RGB, 0..1"}

_finite = st.floats(-1e6, 1e6)
_positive = st.floats(1e-12, 1e6)


@st.composite
def layouts(draw: st.DrawFn) -> EncoderLayout:
    layers = tuple(sorted(draw(st.sets(st.sampled_from([2, 3, 4]), min_size=1))))
    per_layer = {"min_size": len(layers), "max_size": len(layers)}
    return EncoderLayout(
        architecture=draw(st.sampled_from(["resnet50", "vgg16"])),
        layers=layers,
        stride_on=draw(st.sampled_from(["conv1", "conv2"])),
        bn_eps=draw(_positive),
        preprocessing=Preprocessing(
            order=draw(st.sampled_from(["RGB", "BGR"])),
            high=draw(st.sampled_from([1.0, 255.0])),
            mean=draw(st.tuples(_finite, _finite, _finite)),
            std=draw(st.tuples(_positive, _positive, _positive)),
        ),
        projections=tuple(draw(st.just([]) | st.lists(st.integers(1, 4096), **per_layer))),
        level_scales=tuple(draw(st.just([]) | st.lists(_positive, **per_layer))),
        compression=draw(
            st.none() | st.builds(Compression, st.integers(1, 4096), st.integers(1, 64), st.booleans())
        ),
    )


@given(layouts())
def test_metadata_read_back_what_they_were_written_from(layout: EncoderLayout) -> None:
    metadata = layout.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert EncoderLayout.from_metadata(metadata) == layout


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    layout = EncoderLayout(
        bn_eps=np.float64(1e-3),
        level_scales=(np.float64(0.5), np.float32(2.0)),
        preprocessing=Preprocessing(mean=tuple(np.array([0.5, 0.25, 1.0]))),
    )
    assert EncoderLayout.from_metadata(layout.to_metadata()) == layout


def test_metadata_are_readable() -> None:
    assert EncoderLayout(projections=(512, 256), level_scales=(1.0, 0.5)).to_metadata() == {
        "architecture": "resnet50",
        "layers": "2,3",
        "stride": "on conv2 (3x3)",
        "bn_eps": "1e-05",
        "input": "RGB, 0..1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)",
        "projections": "layer2:512,layer3:256",
        "level_scales": "1,0.5",
    }
    assert str(Compression()) == "256 channels, 3x3, dilation 1"
    assert EncoderLayout(compression=Compression(64, 2, relu=True)).to_metadata()["compression"] == (
        "64 channels, 3x3, dilation 2, relu"
    )


def test_keras_weights() -> None:
    assert EncoderLayout.from_metadata(KERAS) == EncoderLayout(
        architecture="resnet50",
        layers=(2, 3),
        stride_on="conv1",
        bn_eps=1.001e-5,
        preprocessing=Preprocessing("BGR", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    )


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        ("on conv2 (3x3)", "conv2"),
        ("on conv2 (3x3), not on conv1 as in Keras", "conv2"),
        ("On Conv1 (1x1)", "conv1"),
        ("conv1", "conv1"),
    ],
)
def test_the_first_convolution_that_is_named_has_the_stride(stride: str, expected: str) -> None:
    assert EncoderLayout.from_metadata({**PLAIN, "stride": stride}).stride_on == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rgb,0..1", Preprocessing("RGB", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),
        (
            "BGR, 0..255, divided by (2, 2., .5)",
            Preprocessing("BGR", 255.0, (0.0, 0.0, 0.0), (2.0, 2.0, 0.5)),
        ),
        ("RGB, 0..1, minus (-1e-2, +1, 0)", Preprocessing("RGB", 1.0, (-0.01, 1.0, 0.0), (1.0, 1.0, 1.0))),
    ],
)
def test_input(text: str, expected: Preprocessing) -> None:
    assert Preprocessing.parse(text) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": ""}, "architecture"),
        ({"architecture": "resnet101"}, "resnet101"),
        ({"input": ""}, "input"),
        ({"input": "grey, 0..1"}, "not understood"),
        ({"input": "RGB, 0..127"}, "not understood"),
        ({"input": "RGB, 0..1, minus (1, 2)"}, "not understood"),
        ({"input": "RGB, 0..1, minus (nan, 0, 0)"}, "not understood"),
        ({"input": "RGB, 0..1, minus (1e999, 0, 0)"}, "finite"),
        ({"input": "RGB, 0..1, divided by (0, 1, 1)"}, "above 0"),
        ({"layers": ""}, "Layers"),
        ({"layers": "1,2"}, "Layers"),
        ({"layers": "2,2"}, "ascending"),
        ({"layers": "3,2"}, "ascending"),
        ({"layers": "two"}, "malformed"),
        ({"stride": "somewhere"}, "stride"),
        ({"stride": "not on conv1"}, "stride"),
        ({"bn_eps": "small"}, "malformed"),
        ({"bn_eps": "nan"}, "bn_eps"),
        ({"bn_eps": "-1e-5"}, "bn_eps"),
        ({"projections": "layer2:512"}, "projections"),
        ({"projections": "layer2:512,layer4:512"}, "projections"),
        ({"projections": "layer2:512,layer2:512"}, "projections"),
        ({"projections": "512,512"}, "projections"),
        ({"projections": "layer2:0,layer3:512"}, "channels"),
        ({"projections": "layer2:512,layer3:99999999999"}, "channels"),
        ({"level_scales": "1.0"}, "level_scales"),
        ({"level_scales": "1.0,inf"}, "level_scales"),
        ({"level_scales": "1.0,one"}, "malformed"),
        ({"compression": "256"}, "compression '256' is not understood; write it like '256 channels, 3x3"),
        ({"compression": "256 channels, 5x5, dilation 1"}, "not understood"),
        ({"compression": "256 channels, 3x3, dilation 1, gelu"}, "not understood"),
        ({"compression": "0 channels, 3x3, dilation 1"}, "1 to 65536 channels"),
        ({"compression": "99999999999 channels, 3x3, dilation 1"}, "1 to 65536 channels"),
        ({"compression": "256 channels, 3x3, dilation 0"}, "dilation of 1 to 64"),
    ],
)
def test_malformed_metadata(change: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        EncoderLayout.from_metadata({**PLAIN, **change})


@pytest.mark.parametrize("key", ["architecture", "input"])
def test_required_metadata(key: str) -> None:
    with pytest.raises(ModelError, match=key):
        EncoderLayout.from_metadata({k: v for k, v in PLAIN.items() if k != key})


def test_projections_may_be_named_in_any_order() -> None:
    metadata = {**PLAIN, "projections": "layer3:256,layer2:128"}
    assert EncoderLayout.from_metadata(metadata).projections == (128, 256)


@pytest.mark.parametrize("text", ["8 channels,3 X 3,dilation 2,ReLU", " 8 channels, 3x3, dilation 2, relu "])
def test_compression_may_be_written_freely(text: str) -> None:
    layout = EncoderLayout.from_metadata({**PLAIN, "compression": text})
    assert layout.compression == Compression(8, 2, relu=True)


def test_infinite_deviation_is_refused() -> None:
    with pytest.raises(ModelError, match="finite"):
        Preprocessing(std=(math.inf, 1.0, 1.0))
