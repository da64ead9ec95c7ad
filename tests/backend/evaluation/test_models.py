"""Models of settings: where checkpoints are looked for, what begins with ImageNet weights, and what is missing."""

from __future__ import annotations

import json
from urllib.error import URLError

import pytest
import torch
import torchvision
from torchvision.models._api import WeightsEnum
from torchvision.models.vgg import cfgs, make_layers

from backend.baselines.fitting import FittingOptions
from backend.baselines.ppnet_parts import PartOptions, PartPrototypeNetwork
from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.options import MethodOptions
from backend.encoders.checkpoint import load_checkpoint, save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import Compression, EncoderLayout
from backend.episodes.episode import Episode
from backend.errors import ModelError
from backend.evaluation.experiment import Unavailable
from backend.evaluation.models import ModelSource, training_options
from backend.evaluation.options import differences
from backend.evaluation.setting import Setting

SIDE = 32
FIT = FittingOptions(iterations=2)


def episode(way=2):
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(way, 1, 3, SIDE, SIDE, generator=generator) * 255
    masks = torch.zeros(way, 1, SIDE, SIDE, dtype=torch.uint8)
    for number in range(way):
        masks[number, :, number * 8 : number * 8 + 12] = 1
    query = torch.rand(1, 3, SIDE, SIDE, generator=generator) * 255
    return Episode(images, masks, query, masks[0] * 0, tuple(range(1, way + 1)))


def save(path, layout, **configuration):
    torch.manual_seed(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"configuration": json.dumps(configuration)} if configuration else {}
    save_checkpoint(Encoder(layout), path, metadata)
    return path


VGG = EncoderLayout("vgg16", (2,))


@pytest.fixture
def imagenet(monkeypatch):
    """Random weights in place of torchvision's; gives which were asked for."""
    asked = []

    def get_state_dict(self, *args, **options):
        asked.append(str(self))
        torch.manual_seed(3)
        if "VGG16" in str(self):
            return {f"features.{name}": value for name, value in make_layers(cfgs["D"]).state_dict().items()}
        return torchvision.models.resnet50().state_dict()

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    return asked


@pytest.fixture
def offline(monkeypatch):
    def fail(*args, **options):
        raise URLError("no route to host")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)


def test_where_a_checkpoint_is_looked_for(tmp_path):
    setting = Setting(method="panet", backbone="vgg16", dataset="pascal", fold=2, shot=5)
    name = "panet_vgg16_pascal_fold2"
    source = ModelSource(tmp_path)
    with pytest.raises(Unavailable, match=f"no checkpoint {name}.safetensors in {tmp_path}"):
        source.checkpoint(setting)
    for file in (  # each is preferred to those before
        f"{name}_10shot/last.safetensors",
        f"{name}_1shot/last.safetensors",
        f"{name}/last.safetensors",
        f"{name}.safetensors",
        f"{name}_5shot/last.safetensors",
        f"{name}_5shot.safetensors",
    ):
        save(tmp_path / file, VGG)
        assert source.checkpoint(setting) == tmp_path / file
    others = setting.model_copy(update={"shot": 2})
    assert source.checkpoint(others) == tmp_path / f"{name}.safetensors"
    one = tmp_path / f"{name}.safetensors"
    assert ModelSource(one).checkpoint(setting) == one
    with pytest.raises(Unavailable, match="no checkpoint"):
        ModelSource(None).checkpoint(setting)


@pytest.mark.parametrize("method", ["dpcl", "panet", "jiang"])
def test_methods_with_one_prototype(tmp_path, method):
    layout = EncoderLayout("vgg16", (2,), compression=Compression(8))
    path = save(tmp_path / "x.safetensors", layout, algorithm=method, method={"alpha": 7.0})
    setting = Setting(method=method, backbone="vgg16", layers=(2,), dataset="pascal", fold=0)
    model = ModelSource(path)(setting)
    own = DualPrototypicalContrast(load_checkpoint(path).encoder, MethodOptions(0, 0, alpha=7.0)).eval()
    torch.testing.assert_close(model.segment(episode()), own.segment(episode()), rtol=1e-4, atol=1e-4)
    assert model.identity == load_checkpoint(path).sha256
    assert model.options == {"algorithm": method, "method.alpha": 7.0}


def test_ppnet_from_a_checkpoint_with_the_options_of_its_training(tmp_path):
    method = {"parts": 2, "share": 0.5, "alpha": 20.0, "seed": 4}
    path = save(tmp_path / "x.safetensors", VGG, algorithm="ppnet", method=method)
    setting = Setting(method="ppnet", backbone="vgg16", dataset="pascal", fold=0)
    model = ModelSource(path)(setting)
    own = PartPrototypeNetwork(load_checkpoint(path).encoder, PartOptions(**method)).eval()
    assert model.segment(episode()).equal(own.segment(episode()))
    other = PartPrototypeNetwork(load_checkpoint(path).encoder).eval()
    assert not model.segment(episode()).equal(other.segment(episode()))
    assert model.options["method.parts"] == 2
    assert ModelSource(path).prototypes(setting)(episode()).shape == (2, 256)


def test_the_differences_of_ppnet_are_named(tmp_path):
    path = save(tmp_path / "x.safetensors", VGG, algorithm="ppnet", method={"parts": 2})
    setting = Setting(method="ppnet", layers=(4,), dataset="pascal", fold=0)
    options = training_options(load_checkpoint(path).metadata)
    found = {d.option: (d.paper, d.used) for d in differences(setting, options)}
    assert found["method.parts"] == ("5", "2") and "algorithm" not in found
    assert found["interpolation"][0].startswith("corners aligned")
    assert {"semantic branch", "batch normalisation", "model", "few predicted features"} <= found.keys()
    dpcl = Setting(method="dpcl", layers=(2, 3, 4), dataset="pascal", fold=0)
    assert not {"interpolation", "semantic branch", "batch normalisation"} & {
        d.option for d in differences(dpcl, {})
    }


def test_a_checkpoint_of_another_fold_or_algorithm_is_named():
    setting = Setting(method="dpcl", layers=(2, 3, 4), dataset="pascal", fold=1)
    told = {"algorithm": "panet", "data.fold": 0, "data.name": "coco"}
    found = {d.option: (d.paper, d.used) for d in differences(setting, told)}
    assert found["algorithm"] == ("dpcl", "panet")
    assert found["data.fold"] == ("1", "0") and found["data.name"] == ("pascal", "coco")


def test_another_architecture_is_refused(tmp_path):
    path = save(tmp_path / "x.safetensors", VGG)
    for setting in (
        Setting(method="ppnet", dataset="pascal", fold=0),
        Setting(method="panet", backbone="vgg16", layers=(4,), dataset="pascal", fold=0),
    ):
        with pytest.raises(ModelError, match="train that one"):
            ModelSource(path)(setting)


@pytest.mark.parametrize(("method", "weights"), [("segnet", "VGG16"), ("fcn", "ResNet50")])
def test_networks_that_are_fitted_on_the_support(imagenet, method, weights):
    setting = Setting(method=method, dataset="vaihingen", way=2, shot=1)
    source = ModelSource(None, fit=FIT)
    assert source.checkpoint(setting) is None
    model = source(setting)
    assert imagenet == [f"{weights}_Weights.IMAGENET1K_V1"]
    with torch.inference_mode():
        scores = model.segment(episode())
        assert scores.shape == (1, 3, SIDE, SIDE) and scores.isfinite().all()
        assert scores.equal(source(setting).segment(episode()))
    assert model.options["fitting.iterations"] == 2 and "ImageNet" in model.options["fitting.begin"]
    assert model.identity != ModelSource(None)(setting).identity
    found = {d.option: (d.paper, d.used) for d in differences(setting, model.options)}
    assert found["fitting.iterations"] == ("not told", "2")
    assert "not told by the checkpoint" not in {
        used for option, (_, used) in found.items() if option.startswith("fitting")
    }
    with pytest.raises(Unavailable, match="has no prototypes"):
        source.prototypes(setting)


def test_weights_that_were_never_trained(imagenet, tmp_path):
    setting = Setting(method="jiang", backbone="vgg16", dataset="potsdam", trained_on="imagenet", way=2)
    model = ModelSource(tmp_path)(setting)
    assert imagenet == ["VGG16_Weights.IMAGENET1K_V1"] and model.identity == "vgg16-imagenet"
    assert ModelSource(tmp_path).load(setting).encoder.layout.layers == (2, 3)
    assert model.segment(episode()).shape == (1, 3, SIDE, SIDE)
    assert "compression" in {d.option for d in differences(setting, model.options)}
    path = save(tmp_path / "jiang_vgg16_imagenet.safetensors", VGG)
    assert ModelSource(tmp_path)(setting).identity == load_checkpoint(path).sha256


@pytest.mark.parametrize(
    "setting",
    [
        Setting(method="segnet", dataset="vaihingen"),
        Setting(method="fcn", dataset="vaihingen"),
        Setting(method="jiang", dataset="vaihingen", trained_on="imagenet"),
    ],
    ids=lambda setting: setting.method,
)
def test_without_a_connection(offline, setting):
    with pytest.raises(Unavailable, match="cannot be downloaded; connect to the internet once"):
        ModelSource(None)(setting)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "null"])
def test_a_configuration_that_is_none(text):
    assert training_options({"configuration": text}) == {}
    assert training_options({}) == {}
