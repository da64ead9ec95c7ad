"""Records of checksums: those of sha256sum are understood, others are told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from backend.encoders.checkpoint import file_sha256, load_checkpoint
from backend.encoders.checksums import (
    check_sha256,
    parse_sha256,
    record_path,
    record_text,
    recorded_sha256,
)
from backend.errors import ModelError

HEX = "0123456789abcdef" * 4


@pytest.fixture
def model(random_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(random_model, tmp_path / "a model.safetensors"))


def test_without_a_record(model: Path) -> None:
    assert recorded_sha256(model) is None
    check_sha256(model, HEX)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_sha256sum_and_this_read_each_others_records(model: Path) -> None:
    command = ["sha256sum", model.name]
    done = subprocess.run(command, cwd=model.parent, capture_output=True, text=True, check=True)
    record_path(model).write_text(done.stdout, encoding="utf-8")
    assert load_checkpoint(model).sha256 == recorded_sha256(model)
    assert record_text(model, file_sha256(model)) == done.stdout
    subprocess.run(["sha256sum", "-c", record_path(model).name], cwd=model.parent, check=True)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEX}  a model.safetensors\n",
        f"{HEX} *a model.safetensors\r\n",
        f"\ufeff{HEX.upper()}\t./folder/other.safetensors",
        f"\\{HEX}  a\\\\b.safetensors\n",
        f"\n{HEX}\n\n",
    ],
)
def test_understood(model: Path, text: str) -> None:
    record_path(model).write_text(text, encoding="utf-8", newline="")
    assert recorded_sha256(model) == HEX


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        HEX[:-1].encode(),
        f"{HEX}0  a model.safetensors".encode(),
        f"SHA256 (a model.safetensors) = {HEX}".encode(),
        f"{HEX}  a\n{HEX}  b\n".encode(),
        b"<html>404 Not Found</html>",
        bytes(range(256)) * 100,
    ],
)
def test_malformed(model: Path, content: bytes) -> None:
    record_path(model).write_bytes(content)
    with pytest.raises(ModelError, match=r"a model\.safetensors\.sha256 is not understood; .*remove it"):
        load_checkpoint(model)


def test_a_record_that_is_a_folder(model: Path) -> None:
    record_path(model).mkdir()
    with pytest.raises(ModelError, match=r"sha256 cannot be read \(.+\); mend or remove it"):
        load_checkpoint(model)


def test_a_changed_file_is_refused_before_it_is_loaded(model: Path) -> None:
    record_path(model).write_text(record_text(model, file_sha256(model)), encoding="utf-8")
    load_checkpoint(model)
    content = bytearray(model.read_bytes())
    content[-1] ^= 1  # one bit of one weight: still a model, and still finite
    model.write_bytes(content)
    message = r"does not fit its checksum in a model\.safetensors\.sha256: .*get it again.*models add"
    with pytest.raises(ModelError, match=message):
        load_checkpoint(model)
    os.truncate(model, len(content) // 2)
    with pytest.raises(ModelError, match=message):
        load_checkpoint(model)
    record_path(model).unlink()
    with pytest.raises(ModelError, match="is damaged"):
        load_checkpoint(model)


def test_checksums_of_people() -> None:
    assert parse_sha256(f" {HEX.upper()}\n") == HEX
    for text in ("", "12", HEX + "0", HEX[:-1] + "g"):
        with pytest.raises(ModelError, match="is no SHA-256 checksum"):
            parse_sha256(text)
