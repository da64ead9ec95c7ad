"""The folder of a run: whole files, one run at a time, a journal that a kill cannot spoil."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from backend.errors import OutputError, ProtolabelError
from backend.finetuning.options import FinetuneOptions, LabeledRaster
from backend.finetuning.run_folder import RunFolder
from backend.rasters.class_styles import ClassStyle
from backend.rasters.stretch import Stretch

OPTIONS = FinetuneOptions(
    (LabeledRaster("a.tif", polygons="b.gpkg|layername=c"),),
    classes=(ClassStyle(3, "road", (1, 2, 3)),),
    ignored=(4,),
    bands=(4, 1, 2),
    stretch=Stretch((0.0,), (9.0,)),
    minutes=3.0,
)


def test_options_are_kept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with run.alone():
        run.claim(OPTIONS)
        assert run.options() == OPTIONS
        with pytest.raises(ProtolabelError, match="holds a fine-tuning already; resume it"):
            run.claim(OPTIONS)


def test_paths_of_files_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.gpkg"):
        (tmp_path / name).touch()
    (given,) = OPTIONS.to_json()["data"]
    assert given["raster"] == str(tmp_path / "a.tif")
    assert given["polygons"] == f"{tmp_path / 'b.gpkg'}|layername=c"


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"data": [{"rasters": "a"}]}', '{"data": []}'])
def test_a_folder_without_a_run(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "finetuning.json").write_text(text)
    with pytest.raises(ProtolabelError):
        RunFolder(tmp_path).options()


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).alone(),
        pytest.raises(ProtolabelError, match="at work in"),
        RunFolder(tmp_path).alone(),
    ):
        pass
    with RunFolder(tmp_path).alone():
        pass


def test_the_journal_forgets_what_is_done_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for iteration in range(4):
        run.note({"iteration": iteration})
    with run.journal.open("a") as file:
        file.write('{"iteration": 4, "sec')
    run.forget_after(2)
    assert [json.loads(line)["iteration"] for line in run.journal.read_text().splitlines()] == [0, 1, 2]
    run.forget_after(-1)
    assert run.journal.read_text() == ""


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path)
    run.save({"iteration": 1, "values": torch.ones(4)})

    def full(checkpoint: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match=r"No space left on device.*what was saved before is kept"):
        run.save({"iteration": 2})
    kept = run.restore()
    assert kept is not None and kept["iteration"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"nonsense")
    with pytest.raises(ProtolabelError, match="damaged"):
        RunFolder(tmp_path).restore()


def test_the_picture_is_replaced_as_a_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for color in ("red", "blue"):
        run.draw(Image.new("RGB", (4, 4), color))
    with Image.open(run.picture) as picture:
        assert picture.getpixel((0, 0)) == (0, 0, 255)
    assert len(list(tmp_path.iterdir())) == 1
    run.picture.unlink()
    run.picture.mkdir()
    run.draw(Image.new("RGB", (4, 4)))  # which cannot be, and is no reason to end a run
    assert [path.name for path in tmp_path.iterdir()] == ["example.png"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": ()}, "no labelled raster"),
        ({"data": (LabeledRaster("a.tif"),)}, "give a label raster or polygons"),
        ({"minutes": 0.0}, "more than 0"),
        ({"minutes": float("nan")}, "more than 0"),
        ({"iterations": 0}, "1 or more"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"learning_rate": float("inf")}, "learning rate"),
        ({"crop": 100}, "multiple of 8"),
        ({"crop": 88}, "multiple of 8"),
        ({"hold_out": "pixels"}, "choose one of auto, raster, group"),
        ({"trained": "none"}, "choose one of upper, all, last"),
    ],
)
def test_options_that_cannot_serve(change: dict[str, object], text: str) -> None:
    values: dict[str, object] = {"data": (LabeledRaster("a.tif", "b.tif"),), **change}
    with pytest.raises(ProtolabelError, match=text):
        FinetuneOptions(**values)  # type: ignore[arg-type]
