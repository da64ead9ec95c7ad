"""``models``: as a person and a program meet it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from torchvision.models._api import WeightsEnum

from backend.cli import run
from backend.encoders import catalogue
from backend.encoders.catalogue import shipped_folder, user_folder
from backend.encoders.checkpoint import file_sha256
from backend.encoders.checksums import record_path, record_text


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.delenv("PROTOLABEL_MODELS", raising=False)
    monkeypatch.setattr(catalogue, "_ROOT", tmp_path / "checkout" / "root")
    for folder in (shipped_folder(), user_folder()):
        folder.mkdir(parents=True)


@pytest.fixture
def shipped(random_model: Path) -> Path:
    """A shipped model with its checksum and card."""
    path = Path(shutil.copy(random_model, shipped_folder() / "aerial.safetensors"))
    record_path(path).write_text(record_text(path, file_sha256(path)), encoding="utf-8")
    path.with_suffix(".md").write_text("# aerial\n\nFor pixels of *0.1 to 1 m*.\n", encoding="utf-8")
    return path


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run the command; what it says, which is one line for an error."""
    assert run(["models", *arguments]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    if captured.err:
        assert len(captured.err.splitlines()) == 1 and captured.err.startswith("Error: ")
    return captured.out + captured.err


def test_list(shipped: Path, random_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(random_model, user_folder() / "mine.safetensors")
    shutil.copy(random_model, user_folder() / "aerial.safetensors")
    text = said(capsys, 0)
    assert said(capsys, 0, "list") == text
    lines = text.splitlines()
    assert lines[0] == "aerial  (default)"
    assert lines[1].strip() == str(shipped)
    assert lines[2].strip().endswith("MB, checksum right")
    assert lines[3].strip() == "For pixels of 0.1 to 1 m."
    assert lines[4] == "aerial  (hidden)"
    assert lines[8] == "mine"
    assert lines[10].strip().endswith("checksum not recorded")
    assert lines[11].strip() == "Trained on nothing, random weights for tests."
    assert "vgg16-imagenet" in lines
    assert lines[-1].startswith("Folders that are searched: ") and str(user_folder()) in lines[-1]


def test_list_for_programs(shipped: Path, random_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(random_model, user_folder() / "mine.safetensors")
    (user_folder() / "broken.safetensors").write_bytes(b"x")
    record_path(user_folder() / "broken.safetensors").write_text("?", encoding="utf-8")
    value = json.loads(said(capsys, 0, "list", "--json"))
    assert value["folders"][1] == str(user_folder())
    models = {model["name"]: model for model in value["models"]}
    assert [*models] == ["aerial", "broken", "mine", "resnet50-imagenet", "vgg16-imagenet"]
    assert models["aerial"] == {
        "name": "aerial", "path": str(shipped), "bytes": shipped.stat().st_size, "checksum": "right",
        "default": True, "hidden": False, "about": "For pixels of 0.1 to 1 m.",
    }  # fmt: skip
    assert models["broken"]["checksum"] == "not understood" and "is damaged" in models["broken"]["about"]
    assert models["vgg16-imagenet"]["path"] is None and not models["vgg16-imagenet"]["default"]


def test_without_files_torchvisions_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, 0).startswith("resnet50-imagenet  (default)")
    assert said(capsys, 0, "show").startswith("# resnet50-imagenet\n")
    assert "no model file" in said(capsys, 0, "verify")


def test_show(shipped: Path, random_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, 0, "show", "aerial") == "# aerial\n\nFor pixels of *0.1 to 1 m*.\n"
    assert said(capsys, 0, "show") == "# aerial\n\nFor pixels of *0.1 to 1 m*.\n"
    assert "Trained on nothing" in said(capsys, 0, "show", str(random_model))
    assert "VGG-16" in said(capsys, 0, "show", "vgg16-imagenet")
    assert "Unknown model 'x'; give a .safetensors file or one of: aerial," in said(capsys, 2, "show", "x")
    assert "does not exist" in said(capsys, 2, "show", "gone.safetensors")


def test_verify(shipped: Path, random_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, 0, "verify") == "aerial: OK\n"
    shutil.copy(random_model, user_folder() / "mine.safetensors")
    assert said(capsys, 0, "verify", "mine") == "mine: OK, but no checksum is recorded for it\n"
    broken = Path(shutil.copy(random_model, user_folder() / "broken.safetensors"))
    os.truncate(broken, 5000)
    record_path(shipped).write_text(record_text(shipped, "0" * 64), encoding="utf-8")
    lines = said(capsys, 2, "verify").splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("aerial: ") and "does not fit its checksum" in lines[0]
    assert lines[1].startswith("broken: ") and "is damaged" in lines[1]
    assert lines[2].startswith("mine: OK")
    assert said(capsys, 0, "verify", str(random_model), "mine").count(": OK") == 2
    assert "Unknown model 'x'" in said(capsys, 2, "verify", "mine", "x")


def test_verify_torchvisions(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    assert "resnet50-imagenet: The weights" in said(capsys, 2, "verify", "resnet50-imagenet")


def test_add_and_remove(random_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sha256 = file_sha256(random_model)
    text = said(capsys, 0, "add", str(random_model), "--name", "mine", "--sha256", sha256)
    assert text == f"Added mine as {user_folder() / 'mine.safetensors'}.\n"
    assert said(capsys, 0, "verify") == "mine: OK\n"
    assert said(capsys, 0, "remove", "mine").startswith("Removed ")
    assert list(user_folder().iterdir()) == []


def test_what_cannot_be_mended_by_itself_is_told(
    shipped: Path, random_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot be removed" in said(capsys, 2, "remove", "aerial")
    assert "cannot be the name" in said(capsys, 2, "remove", "../resources/models/aerial")
    assert "cannot be the name" in said(capsys, 2, "add", str(random_model), "--name", "a/b")
    assert "shipped model" in said(capsys, 2, "add", str(shipped))
    assert "has the checksum" in said(capsys, 2, "add", str(random_model), "--sha256", "0" * 64)
    assert "does not exist" in said(capsys, 2, "add", "gone.safetensors")
    assert shipped.exists() and not list(user_folder().iterdir())
