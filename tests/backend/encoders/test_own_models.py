"""Models come into the user's folder whole or not at all, and only the user's own ones go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from backend.encoders import catalogue, own_models
from backend.encoders.catalogue import load_model, shipped_folder, user_folder
from backend.encoders.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from backend.encoders.checksums import record_path, recorded_sha256
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.encoders.own_models import add_model, remove_model
from backend.errors import ModelError, OutputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which is not there yet, and a root of its own for the shipped models."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data ü"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data ü"))
    monkeypatch.delenv("PROTOLABEL_MODELS", raising=False)
    monkeypatch.setattr(catalogue, "_ROOT", tmp_path / "checkout" / "root")
    shipped_folder().mkdir(parents=True)
    return user_folder()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another model than ``random_model``."""
    path = tmp_path / "other.safetensors"
    save_checkpoint(Encoder(EncoderLayout(layers=(2,), bn_eps=1e-3)), path, {"trained_on": "something else"})
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_add_and_remove(random_model: Path, folder: Path) -> None:
    path = add_model(random_model)
    assert path == folder / "random.safetensors"
    assert names(folder) == ["random.safetensors", "random.safetensors.sha256"]
    assert path.read_bytes() == random_model.read_bytes()
    assert recorded_sha256(path) == file_sha256(random_model)
    assert path.stat().st_mode & 0o044 == 0o044 & ~_umask() or os.name == "nt"
    assert load_model("random").name == "random"
    assert remove_model("random") == path
    assert names(folder) == []


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_another_name_the_checksum_and_the_card(random_model: Path, folder: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(random_model, tmp_path / "download"))
    file.with_name("download.md").write_text("# Card\n", encoding="utf-8")
    path = add_model(file, "my model v1.5.safetensors", file_sha256(file).upper())
    assert path.name == "my model v1.5.safetensors"
    assert (folder / "my model v1.5.md").read_text(encoding="utf-8") == "# Card\n"
    remove_model("my model v1.5")
    assert names(folder) == []


def test_another_checksum_is_refused(random_model: Path, folder: Path) -> None:
    with pytest.raises(ModelError, match=r"has the checksum [0-9a-f]{64}, not 0{64}; get it again"):
        add_model(random_model, sha256="0" * 64)
    with pytest.raises(ModelError, match="is no SHA-256"):
        add_model(random_model, sha256="123")
    assert not folder.exists()


def test_what_cannot_be_loaded_is_refused(random_model: Path, folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copy(random_model, tmp_path / "broken.safetensors"))
    os.truncate(broken, 5000)
    with pytest.raises(ModelError, match="is damaged"):
        add_model(broken)
    with pytest.raises(ModelError, match="does not exist"):
        add_model(tmp_path / "gone.safetensors")
    with pytest.raises(ModelError, match="does not exist"):
        add_model(tmp_path)
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a\\b", "/etc/x", "C:x", ".hidden", "end.", " a", "a ", "a\nb", "-x", "a\0b",
     ".safetensors", "what?", "x" * 201, "ü" * 101],
)  # fmt: skip
def test_names_that_no_file_can_have(name: str, random_model: Path, folder: Path) -> None:
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        add_model(random_model, name)
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        remove_model(name)
    assert not folder.exists()


def test_another_model_of_the_name_stays(random_model: Path, other: Path, folder: Path) -> None:
    path = add_model(random_model, "m")
    path.with_name("m.md").write_text("# Old\n", encoding="utf-8")
    before = content(folder)
    with pytest.raises(
        ModelError, match=r"Another model m is in .*; choose another --name, or add --replace"
    ):
        add_model(other, "m")
    assert content(folder) == before
    assert add_model(random_model, "m") == path, "the same again is no other"
    assert content(folder) == before
    add_model(other, "m", replace=True)
    assert names(folder) == ["m.safetensors", "m.safetensors.sha256"], "the card was of the old one"
    assert load_model("m").metadata["trained_on"] == "something else"


def test_a_damaged_model_is_replaced(random_model: Path, folder: Path) -> None:
    path = add_model(random_model)
    os.truncate(path, 5000)
    with pytest.raises(ModelError, match="does not fit its checksum"):
        load_model("random")
    add_model(random_model, replace=True)
    load_model("random")


def test_a_file_that_was_put_there_by_hand_gets_its_checksum(random_model: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    path = Path(shutil.copy(random_model, folder / "hand.safetensors"))
    path.with_name("hand.md").write_text("# Hand\n", encoding="utf-8")
    assert add_model(path) == path
    assert names(folder) == ["hand.md", "hand.safetensors", "hand.safetensors.sha256"]
    load_model("hand")


def test_names_that_others_have(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(random_model, shipped_folder() / "aerial.safetensors")
    with pytest.raises(ModelError, match="aerial is the name of the shipped model"):
        add_model(random_model, "aerial", replace=True)
    with pytest.raises(ModelError, match="torchvision"):
        add_model(random_model, "resnet50-imagenet")
    monkeypatch.setenv("PROTOLABEL_MODELS", str(tmp_path / "team"))
    (tmp_path / "team").mkdir()
    shutil.copy(random_model, tmp_path / "team" / "ours.safetensors")
    with pytest.raises(ModelError, match=r"ours is the name of the model in .*team, which is found first"):
        add_model(random_model, "ours")
    monkeypatch.setenv("PROTOLABEL_MODELS", str(user_folder()))
    add_model(random_model, "aerial")  # now the user's folder is the first


def test_a_full_disk_leaves_what_was_there(random_model: Path, other: Path, folder: Path) -> None:
    resource = pytest.importorskip("resource")
    add_model(random_model, "m")
    before = content(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name in ("m", "new"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (other.stat().st_size // 2, limits[1]))
        try:
            with pytest.raises(
                OutputError, match=rf"{name}\.safetensors cannot be written \(File too large\)"
            ):
                add_model(other, name, replace=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert content(folder) == before
    add_model(other, "m", replace=True)


def test_a_disk_that_fills_up_at_the_checksum(
    random_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, *arguments: Any, **options: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        add_model(random_model)
    assert names(folder) == []


def test_a_file_that_changes_meanwhile(
    random_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:-1])

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(ModelError, match="changed while it was copied"):
        add_model(random_model)
    assert names(folder) == []


def test_a_folder_that_is_a_file(random_model: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.touch()
    with pytest.raises(OutputError, match="cannot be written"):
        add_model(random_model)


def test_only_the_users_own_models_are_removed(
    random_model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(shutil.copy(random_model, shipped_folder() / "aerial.safetensors"))
    with pytest.raises(ModelError, match="aerial is shipped with Protolabel and cannot be removed"):
        remove_model("aerial")
    with pytest.raises(ModelError, match="comes with torchvision"):
        remove_model("vgg16-imagenet")
    monkeypatch.setenv("PROTOLABEL_MODELS", str(tmp_path / "team"))
    (tmp_path / "team").mkdir()
    team = Path(shutil.copy(random_model, tmp_path / "team" / "ours.safetensors"))
    with pytest.raises(ModelError, match=r"ours\.safetensors is not in your folder"):
        remove_model("ours")
    with pytest.raises(ModelError, match=r"There is no model nothing in .*; it has none"):
        remove_model("nothing")
    add_model(random_model, "mine")
    with pytest.raises(ModelError, match=r"it has mine\."):
        remove_model("nothing")
    assert shipped.exists() and team.exists()


def test_a_model_that_cannot_be_removed(
    random_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add_model(random_model)

    def fail(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        with pytest.raises(OutputError, match=r"cannot be removed \(Permission denied\)"):
            remove_model("random")
    assert load_checkpoint(path).sha256 == recorded_sha256(path)
    assert record_path(path).exists()
    assert own_models.remove_model("random") == path
