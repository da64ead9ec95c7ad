"""DINOv2 files as they are published: both ways of naming give the same, and whatever is not one is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import load_file, save_file
from shapely import box
from torch import Tensor

from backend.configuration_file import ConfigurationError
from backend.encoders.checkpoint import load_checkpoint, read_layout, save_checkpoint
from backend.encoders.dinov2_files import dinov2_size
from backend.encoders.layout import EncoderLayout, Preprocessing
from backend.encoders.vision_transformer import TransformerSize
from backend.errors import ModelError
from backend.labeling import LabelOptions, label_raster
from backend.training.configuration import EncoderSection
from backend.training.network import build_encoder

Tensors = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
PUBLISHED = {"format": "pt"}
INPUT = "RGB, 0..1, minus (0.5, 0.5, 0.5), divided by (0.25, 0.25, 0.25)"


def _image() -> Tensor:
    return 255.0 * torch.rand(1, 3, 48, 72, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tensors(make_dinov2: Callable[..., Tensors]) -> Tensors:
    return make_dinov2(width=128, depth=2, side=4)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file as it is published."""

    def write(tensors: Tensors, metadata: dict[str, str] = PUBLISHED, name: str = "dinov2") -> Path:
        path = tmp_path / f"{name}.safetensors"
        save_file(tensors, path, metadata)
        return path

    return write


def _published(width: int, transformers: bool) -> Shapes:
    """Names and shapes of the tensors of ViT-S/14 and ViT-B/14, written down from the files."""
    first = {
        "cls_token": (1, 1, width),
        "mask_token": (1, width),
        "pos_embed": (1, 1370, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    block = {
        "norm1": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width), "ls1": (width,),
        "norm2": (width,), "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width), "ls2": (width,),
    }  # fmt: skip
    layer = {
        "norm1": (width,), "attention.attention.query": (width, width), "attention.attention.key": (width, width),
        "attention.attention.value": (width, width), "attention.output.dense": (width, width),
        "layer_scale1": (width,), "norm2": (width,), "mlp.fc1": (4 * width, width),
        "mlp.fc2": (width, 4 * width), "layer_scale2": (width,),
    }  # fmt: skip
    if transformers:
        patch = ("patch_embeddings.projection.weight", "patch_embeddings.projection.bias")
        names = ("cls_token", "mask_token", "position_embeddings", *patch)
        shapes: Shapes = dict(zip([f"embeddings.{name}" for name in names], first.values(), strict=False))
        shapes |= {"layernorm.weight": (width,), "layernorm.bias": (width,)}
    else:
        shapes = {name: shape for name, shape in first.items() if name != "mask_token"}
    for number in range(12):
        for name, shape in (layer if transformers else block).items():
            at = f"encoder.layer.{number}.{name}" if transformers else f"blocks.{number}.{name}"
            if name.startswith(("ls", "layer_scale")):
                shapes[f"{at}.{'lambda1' if transformers else 'gamma'}"] = shape
            else:
                shapes |= {f"{at}.weight": shape, f"{at}.bias": shape[:1]}
    return shapes


class TestPublished:
    @pytest.mark.parametrize("transformers", [True, False], ids=["transformers", "timm"])
    @pytest.mark.parametrize(("width", "name"), [(384, "dinov2_vits14"), (768, "dinov2_vitb14")])
    def test_recognised(self, width: int, name: str, transformers: bool) -> None:
        shapes = _published(width, transformers)
        assert len(shapes) == (223 if transformers else 174)
        size = dinov2_size(shapes)
        assert size == TransformerSize(width, 12, 4 * width, 37) and size.name == name
        assert (
            transformers or dinov2_size({**shapes, "mask_token": (1, width)}) == size
        )  # in DINOv2's own code

    @pytest.mark.parametrize("transformers", [True, False], ids=["transformers", "timm"])
    def test_vit_small_is_loaded(self, transformers: bool, save: Callable[..., Path]) -> None:
        generator = torch.Generator().manual_seed(0)
        shapes = _published(384, transformers)
        path = save({name: 0.02 * torch.randn(s, generator=generator).half() for name, s in shapes.items()})
        model = load_checkpoint(path)
        assert (model.encoder.channels, model.encoder.stride, model.encoder.first_center) == (384, 8, 4.0)
        assert sum(p.numel() for p in model.encoder.parameters()) == 22_056_576 - 384  # no mask token
        assert model.encoder.layout == read_layout(path)
        assert model.metadata == {
            "format": "pt",
            "architecture": "dinov2_vits14",
            "layers": "12",
            "input": "RGB, 0..1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)",
        }
        with torch.inference_mode():
            assert model.encoder(_image()).shape == (1, 384, 6, 9)


class TestNames:
    def test_both_give_the_same(
        self, tensors: Tensors, as_transformers: Callable[[Tensors], Tensors], save: Callable[..., Path]
    ) -> None:
        extra = {"embeddings.mask_token": torch.zeros(1, 128)}
        ours = load_checkpoint(save(tensors, name="timm")).encoder
        theirs = load_checkpoint(save({**as_transformers(tensors), **extra}, name="transformers")).encoder
        with torch.inference_mode():
            torch.testing.assert_close(ours(_image()), theirs(_image()), rtol=0, atol=0)
        for name, tensor in tensors.items():
            torch.testing.assert_close(theirs.backbone.state_dict()[name], tensor, rtol=0, atol=0)

    def test_own_metadata(
        self, tensors: Tensors, as_transformers: Callable[[Tensors], Tensors], save: Callable[..., Path]
    ) -> None:
        metadata = {"architecture": "dinov2", "input": INPUT, "trained_on": "nothing"}
        for named in (tensors, as_transformers(tensors)):
            model = load_checkpoint(save(named, metadata))
            assert model.encoder.layout.preprocessing == Preprocessing.parse(INPUT)
            assert model.encoder.layout.layers == (2,)
            assert model.metadata["trained_on"] == "nothing"

    def test_comes_back_as_it_was_saved(
        self, tensors: Tensors, save: Callable[..., Path], tmp_path: Path
    ) -> None:
        encoder = load_checkpoint(save(tensors)).encoder
        save_checkpoint(encoder, tmp_path / "again.safetensors", {})
        assert set(load_file(tmp_path / "again.safetensors")) == set(tensors)
        again = load_checkpoint(tmp_path / "again.safetensors").encoder
        assert again.layout == encoder.layout
        with torch.inference_mode():
            torch.testing.assert_close(again(_image()), encoder(_image()), rtol=0, atol=0)

    @pytest.mark.parametrize("name", ["dinov2", "dinov2_vits14", "DINOv2_ViTS14 without registers"])
    def test_sizes_are_those_of_the_tensors(self, name: str) -> None:
        size = TransformerSize(384, 12, 1536, 37)
        layout = EncoderLayout.from_metadata({"architecture": name, "input": "RGB, 0..1"}, size)
        assert (layout.architecture, layout.layers, layout.transformer) == ("dinov2", (12,), size)
        assert layout.to_metadata()["architecture"] == "dinov2_vits14"
        assert EncoderLayout.from_metadata(layout.to_metadata(), size) == layout


class TestRefused:
    def _told(self, path: Path) -> str:
        """The one sentence with which a file is refused."""
        with pytest.raises(ModelError) as caught:
            load_checkpoint(path)
        text = str(caught.value)
        assert text.startswith(f"The model file {path} cannot be used: ") and text.endswith(".")
        assert "\n" not in text and ". " not in text.removesuffix(".")
        return text

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"cls_token": None}, "the tensor cls_token of a DINOv2 is missing"),
            ({"blocks.0.mlp.fc1.weight": None}, "blocks.0.mlp.fc1.weight of a DINOv2 is missing"),
            ({"blocks.1.ls2.gamma": None}, "blocks.1.ls2.gamma of a DINOv2 is missing"),
            ({"norm.bias": torch.zeros(64)}, "norm.bias has the shape (64,), not (128,)"),
            ({"blocks.1.attn.qkv.weight": torch.zeros(128, 128)}, "(128, 128), not (384, 128)"),
            ({"pos_embed": torch.zeros(1, 16, 128)}, "position embeddings have the shape (1, 16, 128)"),
            (
                {"patch_embed.proj.weight": torch.zeros(128, 3, 16, 16)},
                "(128, 3, 16, 16), not (..., 3, 14, 14)",
            ),
            ({"patch_embed.proj.weight": torch.zeros(100, 3, 14, 14)}, "its width is a multiple of 64"),
            ({"reg_token": torch.zeros(1, 4, 128)}, "with register tokens"),
            ({"norm_pre.weight": torch.zeros(128)}, "a DINOv2 has not, like norm_pre.weight"),
            ({"blocks.0.attn.q_norm.weight": torch.zeros(64)}, "has not, like blocks.0.attn.q_norm.weight"),
            ({"blocks.5.norm1.weight": torch.zeros(128)}, "blocks.2.norm1.weight of a DINOv2 is missing"),
            ({"blocks.99999.norm1.weight": torch.zeros(128)}, "has not, like blocks.99999.norm1.weight"),
            ({"norm.bias": torch.full((128,), torch.nan)}, "norm.bias holds values that are not finite"),
            ({"norm.bias": torch.zeros(128, dtype=torch.int8)}, "norm.bias has the type torch.int8"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_timm(
        self, change: dict[str, Tensor | None], message: str, tensors: Tensors, save: Callable[..., Path]
    ) -> None:
        changed = {name: t for name, t in {**tensors, **change}.items() if t is not None}
        assert message in self._told(save(changed))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"layernorm.bias": None}, "the tensor layernorm.bias of a DINOv2 is missing"),
            (
                {"encoder.layer.1.attention.attention.key.bias": None},
                "attention.key.bias of a DINOv2 is missing",
            ),
            (
                # Together they would have the right size.
                {
                    "encoder.layer.0.attention.attention.query.weight": torch.zeros(127, 128),
                    "encoder.layer.0.attention.attention.key.weight": torch.zeros(129, 128),
                },
                "attention.query.weight has the shape (127, 128), not (128, 128)",
            ),
            ({"embeddings.register_tokens": torch.zeros(1, 4, 128)}, "with register tokens"),
            (
                {"encoder.layer.0.mlp.weights_in.bias": torch.zeros(4)},
                "has not, like encoder.layer.0.mlp.weights_in",
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_transformers(
        self,
        change: dict[str, Tensor | None],
        message: str,
        tensors: Tensors,
        as_transformers: Callable[[Tensors], Tensors],
        save: Callable[..., Path],
    ) -> None:
        changed = {name: t for name, t in {**as_transformers(tensors), **change}.items() if t is not None}
        assert message in self._told(save(changed))

    @pytest.mark.parametrize(
        ("metadata", "message"),
        [
            ({"architecture": "dinov2"}, "lacks input"),
            ({"architecture": "dinov2_vitb14", "input": "RGB, 0..1"}, "2 blocks of 128 channels"),
            ({"architecture": "dinov2", "input": "RGB, 0..1", "layers": "2,3"}, "one output, layer 2"),
            ({"architecture": "dinov2", "input": "RGB, 0..1", "level_scales": "2"}, "leave them out"),
            ({"architecture": "dinov2", "input": "RGB, 0..1", "projections": "layer2:64"}, "leave them out"),
            ({"architecture": "resnet50", "input": "RGB, 0..1"}, "conv1.weight is missing"),
        ],
    )
    def test_metadata(
        self, metadata: dict[str, str], message: str, tensors: Tensors, save: Callable[..., Path]
    ) -> None:
        assert message in self._told(save(tensors, metadata))

    def test_truncated(self, tensors: Tensors, save: Callable[..., Path]) -> None:
        path = save(tensors)
        path.write_bytes(path.read_bytes()[:-1000])
        for read in (load_checkpoint, read_layout):
            with pytest.raises(ModelError, match=r"dinov2\.safetensors is damaged"):
                read(path)

    def test_what_is_no_dinov2(self, save: Callable[..., Path]) -> None:
        # Weights of torchvision and Caffe have the same names, but another input.
        told = self._told(save({"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.bias": torch.zeros(1000)}))
        assert "lacks architecture and input" in told and "add them as README.md says under Models" in told
        metadata = {"architecture": "dinov2", "input": "RGB, 0..1"}
        assert "not those of a DINOv2" in self._told(save({"conv1.weight": torch.zeros(1)}, metadata))

    def test_layers(self, tensors: Tensors, save: Callable[..., Path]) -> None:
        path = save(tensors)
        assert load_checkpoint(path, (2,)).encoder.layout.layers == (2,)
        with pytest.raises(ModelError, match="a DINOv2 has one output, that of its last block"):
            load_checkpoint(path, (2, 3))

    def test_training(self, tensors: Tensors, save: Callable[..., Path]) -> None:
        with pytest.raises(
            ConfigurationError, match=r"dinov2\.safetensors are a DINOv2, which cannot be trained"
        ):
            build_encoder(EncoderSection(weights=save(tensors)))


def test_labels_a_raster(
    tensors: Tensors,
    as_transformers: Callable[[Tensors], Tensors],
    save: Callable[..., Path],
    make_raster: Callable[..., Path],
    make_support: Callable[..., Path],
    two_halves: np.ndarray,
    tmp_path: Path,
) -> None:
    support = make_support([(3, "green", box(10, 20, 50, 70)), (7, "blue", box(100, 30, 150, 90))])
    options = LabelOptions(
        model=str(save(as_transformers(tensors))), device="cpu", tile=384, scale=4.0, crf=None, spectral=False
    )
    result = label_raster(make_raster(two_halves), support, tmp_path / "labels.tif", options)
    with rasterio.open(tmp_path / "labels.tif") as src:
        labels, tags = src.read(1), src.tags()
    assert labels.shape == (120, 160) and sum(result.pixels) == labels.size
    assert (labels == np.where(np.arange(160) < 80, 3, 7)).mean() > 0.95
    assert (tags["PROTOLABEL_MODEL"], tags["PROTOLABEL_LAYERS"]) == ("dinov2", "2")
