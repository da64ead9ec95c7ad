"""Where models are looked for, and what is said when there is none."""

from __future__ import annotations

import http.client
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torchvision.models._api import WeightsEnum

from backend.encoders import catalogue
from backend.encoders.catalogue import load_model, model_files, model_folders
from backend.encoders.layout import EncoderLayout
from backend.errors import ModelError


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders in PROTOLABEL_MODELS, the first two that are looked into."""
    found = tmp_path / "first", tmp_path / "second"
    for folder in found:
        folder.mkdir()
    monkeypatch.setenv("PROTOLABEL_MODELS", os.pathsep.join(map(str, found)))
    return found


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "model_folders", list)


def test_order_of_folders(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    found = model_folders()
    assert found[:2] == list(folders)
    assert found[2].parts[-2:] == ("resources", "models")
    assert found[3] == tmp_path / "data" / "protolabel" / "models"
    assert found[4].parts[-2:] == ("shared", "weights")


def test_home_and_empty_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROTOLABEL_MODELS", os.pathsep.join(["", "~/models", ""]))
    assert model_folders()[0] == Path.home() / "models"
    monkeypatch.delenv("PROTOLABEL_MODELS")
    assert len(model_folders()) == 3


def test_files_in_order(folders: tuple[Path, Path]) -> None:
    first, second = folders
    for path in (first / "b", first / "a", second / "0", first / ".hidden"):
        path.with_name(path.name + ".safetensors").touch()
    (first / "folder.safetensors").mkdir()
    (first / "notes.txt").touch()
    assert [path.stem for path in list(model_files())[:3]] == ["a", "b", "0"]


def test_missing_folders_are_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalogue, "model_folders", lambda: [tmp_path / "no", tmp_path / "nowhere"])
    assert list(model_files()) == []


def test_the_first_file_is_the_default(folders: tuple[Path, Path], random_model: Path) -> None:
    shutil.copy(random_model, folders[1] / "later.safetensors")
    assert load_model().name == "later"
    shutil.copy(random_model, folders[0] / "sooner.safetensors")
    assert load_model().name == "sooner"


def test_a_damaged_default_is_not_passed_over(folders: tuple[Path, Path], random_model: Path) -> None:
    (folders[0] / "broken.safetensors").write_bytes(b"")
    shutil.copy(random_model, folders[1] / "fine.safetensors")
    with pytest.raises(ModelError, match="broken"):
        load_model()


def test_by_name(folders: tuple[Path, Path], random_model: Path) -> None:
    shutil.copy(random_model, folders[1] / "mine.safetensors")
    assert load_model("mine").name == "mine"
    # Of two with the same name the first folder's counts.
    (folders[0] / "mine.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="first"):
        load_model("mine")


def test_by_path(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_model(str(random_model)).name == "random"
    shutil.copy(random_model, tmp_path / "no_ending")
    monkeypatch.chdir(tmp_path)
    assert load_model("no_ending").name == "no_ending"
    with pytest.raises(ModelError, match=r"nowhere\.safetensors does not exist"):
        load_model("nowhere.safetensors")


def test_unknown_name(folders: tuple[Path, Path], random_model: Path) -> None:
    shutil.copy(random_model, folders[0] / "mine.safetensors")
    for name in ("yours", ""):
        with pytest.raises(ModelError, match=f"'{name}'.* one of: mine, .*resnet50-imagenet, vgg16-imagenet"):
            load_model(name)


def test_layers_are_handed_on(random_model: Path) -> None:
    with pytest.raises(ModelError, match="layer3"):
        load_model(str(random_model), (2, 3))


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet50-imagenet", 1536), ("vgg16-imagenet", 256), (None, 1536)]
)
def test_torchvisions_weights(
    name: str | None,
    channels: int,
    no_files: None,
    monkeypatch: pytest.MonkeyPatch,
    randomise: Callable[..., None],
) -> None:
    if name == "vgg16-imagenet":
        with torch.device("meta"):  # its classifier would take 400 MB
            network: torch.nn.Module = torchvision.models.vgg16(init_weights=False)
        network.features.to_empty(device="cpu")
        network.classifier = torch.nn.Linear(1, 1)
    else:
        network = torchvision.models.resnet50()
    randomise(network)
    asked = []

    def get_state_dict(self: WeightsEnum, *args: object, **options: object) -> dict[str, torch.Tensor]:
        asked.append((str(self), options.get("check_hash")))
        return dict(network.state_dict())

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    model = load_model(name, (2,) if name == "vgg16-imagenet" else None)
    kind = "VGG16" if name == "vgg16-imagenet" else "ResNet50"
    assert asked == [(f"{kind}_Weights.IMAGENET1K_V1", True)]
    assert model.name == (name or "resnet50-imagenet")
    assert model.encoder.channels == channels
    assert not model.encoder.training
    assert EncoderLayout.from_metadata(model.metadata) == model.encoder.layout
    assert "ImageNet" in model.metadata["trained_on"]
    first = next(iter(network.state_dict().values()))
    torch.testing.assert_close(next(iter(model.encoder.state_dict().values())), first)


@pytest.mark.parametrize(
    "error",
    [
        URLError("no route to host"),
        ConnectionResetError("reset"),
        TimeoutError("slow"),
        RuntimeError('invalid hash value (expected "0676ba61", got "00")'),
        http.client.IncompleteRead(b"half"),
        pickle.UnpicklingError("damaged"),
        EOFError("short"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_download_that_fails(error: Exception, no_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    for name in (None, "resnet50-imagenet"):
        with pytest.raises(ModelError, match=r"resnet50-imagenet could not be downloaded.*--model") as caught:
            load_model(name)
        assert caught.value.__cause__ is error


def test_wrong_layers_are_refused_before_the_download(
    no_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *args, **options: pytest.fail("downloaded"))
    with pytest.raises(ModelError, match="Layers"):
        load_model("vgg16-imagenet", (1,))
