"""The command line as a user meets it: exit codes, messages, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import Affine
from shapely import box

from backend.cli import run

ROOT = Path(__file__).resolve().parents[2]
TWO = [(3, "green", box(10, 20, 50, 70)), (7, "blue", box(100, 30, 150, 90))]


@pytest.fixture
def inputs(make_raster, make_support, two_halves) -> tuple[Path, Path]:
    return make_raster(two_halves), make_support(TWO)


def label(inputs: tuple[Path, Path], output: Path, model: Path, *more: str) -> int:
    return run(
        [
            "label",
            str(inputs[0]),
            str(inputs[1]),
            str(output),
            "--model",
            str(model),
            "--device",
            "cpu",
            *more,
        ]
    )


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The error message, checked to be one line without a traceback."""
    captured = capsys.readouterr().err
    assert "Traceback" not in captured
    lines = [line for line in captured.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, captured
    return lines[0]


class TestLabel:
    def test_json_progress(self, inputs, random_model, tmp_path, capsys) -> None:
        assert label(inputs, tmp_path / "labels.tif", random_model, "--json-progress") == 0
        messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert {message["type"] for message in messages} == {"progress", "log", "result"}
        last = messages[-1]
        assert last["output"] == str(tmp_path / "labels.tif")
        assert [entry["id"] for entry in last["classes"]] == [3, 7]
        assert sum(entry["pixels"] for entry in last["classes"]) == 120 * 160

    def test_every_option(self, inputs, random_model, tmp_path, capsys) -> None:
        x, y = 400_000, 4_300_000
        code = label(
            inputs, tmp_path / "labels.tif", random_model, "--class-field", "class_id", "--name-field", "class_name",
            "--layers", "2", "--head", "polygons", "--no-spectral", "--bands", "3,2,1", "--scale", "1", "--no-crf",
            "--confidence", str(tmp_path / "c.tif"), "--vector", str(tmp_path / "p.geojson"),
            "--extent", f"{x},{y - 60},{x + 90},{y}", "--tile", "512",
        )  # fmt: skip
        assert code == 0, capsys.readouterr().err
        with rasterio.open(tmp_path / "labels.tif") as src:
            assert src.shape == (100, 150)
            tags = src.tags()
        assert (tags["PROTOLABEL_BANDS"], tags["PROTOLABEL_SCALE"], tags["PROTOLABEL_CRF"]) == (
            "3,2,1",
            "1",
            "none",
        )
        assert (tmp_path / "c.tif").exists()
        assert (tmp_path / "p.geojson").exists()
        assert "Wrote" in capsys.readouterr().err

    def test_classes_of_the_user(self, inputs, random_model, tmp_path, capsys) -> None:
        (tmp_path / "classes.csv").write_text("id,name,color\n7,Großer See,#1020fe\n8,unused,#000000\n")
        outputs = tmp_path / "labels.tif", tmp_path / "p.gpkg"
        options = "--classes", str(tmp_path / "classes.csv"), "--vector", str(outputs[1])
        assert label(inputs, outputs[0], random_model, *options) == 0
        with rasterio.open(outputs[0]) as src:
            assert src.colormap(1)[7] == (16, 32, 254, 255)
            entries = json.loads(src.tags()["PROTOLABEL_CLASSES"])
        assert [(entry["id"], entry["name"]) for entry in entries] == [(3, "green"), (7, "Großer See")]
        assert entries[1]["color"] == "#1020fe"
        assert 'color="#1020fe" label="Großer See"' in outputs[0].with_suffix(".qml").read_text(
            encoding="utf-8"
        )
        meta, _, _, values = pyogrio.raw.read(outputs[1])
        fields = dict(zip(meta["fields"], values, strict=True))
        assert set(fields["class_name"]) == {"green", "Großer See"}
        assert fields["area_m2"].sum() == pytest.approx(120 * 160 * 0.36)
        assert (fields["perimeter_m"] > 0).all()
        assert "Großer See" in capsys.readouterr().err
        assert run(["vectorize", str(outputs[0]), str(tmp_path / "again.gpkg")]) == 0
        assert set(pyogrio.raw.read(tmp_path / "again.gpkg")[3][1]) == {"green", "Großer See"}

    def test_support_rasters(self, inputs, make_raster, two_halves, random_model, tmp_path) -> None:
        other = make_raster(two_halves, "other.tif", transform=Affine(0.6, 0, 5e5, 0, -0.6, 4.3e6))
        options = "--support-raster", str(inputs[0]), "--stretch", "0:255,0:255,0:250"
        assert label((other, inputs[1]), tmp_path / "labels.tif", random_model, *options) == 0
        with rasterio.open(tmp_path / "labels.tif") as src:
            assert (src.read(1)[:, :75] == 3).mean() > 0.95
            assert json.loads(src.tags()["PROTOLABEL_SUPPORT_RASTERS"]) == [inputs[0].name]
            assert json.loads(src.tags()["PROTOLABEL_STRETCH"])["high"] == [255.0, 255.0, 250.0]

    def test_names_are_not_markup(
        self, make_raster, make_support, two_halves, random_model, tmp_path, capsys
    ) -> None:
        rows = [(3, "[/red] :smile:", TWO[0][2]), (7, "[bold]b", box(40, 30, 150, 90))]  # they overlap
        inputs = make_raster(two_halves), make_support(rows)
        assert label(inputs, tmp_path / "a [x].tif", random_model) == 0
        told = capsys.readouterr().err
        assert "[/red] :smile: " in told
        assert "[bold]b" in told
        assert "a [x].tif" in told

    def test_inspect(self, inputs, capsys) -> None:
        assert run(["inspect", str(inputs[0]), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["size"] == "160 x 120"
        assert "EPSG:26917" in facts["crs"]
        assert run(["inspect", str(inputs[0])]) == 0
        table = capsys.readouterr().out
        assert "26917" in table
        assert "band_names" not in table
        assert facts["values"]["stretch"] == [[0.0] * 3, [255.0] * 3]
        assert (facts["values"]["bands"], facts["values"]["band_count"]) == ([1, 2, 3], 3)


class TestBadInput:
    """Exit code 2, one sentence that names the thing and the fix, and nothing in the folder that was not there."""

    @pytest.fixture(autouse=True)
    def _nothing_left(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path / "out"
        self.folder.mkdir()
        yield
        assert list(self.folder.iterdir()) == []

    def check_fails(self, inputs, model, capsys, *more: str, says: tuple[str, ...]) -> None:
        assert label(inputs, self.folder / "labels.tif", model, *more) == 2
        message = one_sentence(capsys)
        for part in says:
            assert part in message, message

    @pytest.mark.parametrize(
        ("option", "value", "says"),
        [
            ("--classes", "gone.csv", "gone.csv does not exist"),
            ("--stretch", "0-255", "write LOW:HIGH"),
            ("--stretch", "0:255", "meant for 1 bands"),
            ("--support-raster", "gone.tif", "gone.tif does not exist"),
        ],
    )
    def test_wrong_options(self, inputs, random_model, capsys, option, value, says) -> None:
        self.check_fails(inputs, random_model, capsys, option, value, says=(says,))

    def test_missing_raster(self, inputs, random_model, capsys) -> None:
        self.check_fails(
            (Path("gone.tif"), inputs[1]), random_model, capsys, says=("gone.tif", "does not exist")
        )

    def test_corrupt_raster(self, inputs, random_model, capsys, tmp_path) -> None:
        data = inputs[0].read_bytes()
        (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
        self.check_fails((tmp_path / "cut.tif", inputs[1]), random_model, capsys, says=("cut.tif", "check"))
        (tmp_path / "noise.tif").write_bytes(b"II*\0" + bytes(range(256)) * 20)
        self.check_fails((tmp_path / "noise.tif", inputs[1]), random_model, capsys, says=("noise.tif",))

    def test_missing_or_corrupt_support(self, inputs, random_model, capsys, tmp_path) -> None:
        self.check_fails(
            (inputs[0], Path("gone.gpkg")), random_model, capsys, says=("gone.gpkg", "does not exist")
        )
        (tmp_path / "noise.gpkg").write_bytes(b"SQLite format 3\0" + b"\1" * 3000)
        self.check_fails((inputs[0], tmp_path / "noise.gpkg"), random_model, capsys, says=("noise.gpkg",))

    def test_geometry(self, inputs, make_support, random_model, capsys) -> None:
        for name, shape in (
            ("empty", shapely.Polygon()),
            ("bow", shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])),
        ):
            support = make_support([*TWO, (9, "odd", shape)], name=f"{name}.gpkg")
            self.check_fails((inputs[0], support), random_model, capsys, says=(f"{name}.gpkg", "eature 3"))

    def test_no_polygon_inside(self, inputs, make_support, random_model, capsys) -> None:
        support = make_support(
            [(1, "a", box(900, 900, 950, 950)), (2, "b", box(990, 900, 999, 950))], name="far.gpkg"
        )
        self.check_fails((inputs[0], support), random_model, capsys, says=("far.gpkg", "inside"))

    def test_one_class_only(self, inputs, make_support, random_model, capsys) -> None:
        self.check_fails(
            (inputs[0], make_support(TWO[:1], name="one.gpkg")),
            random_model,
            capsys,
            says=("one.gpkg", "green"),
        )

    def test_no_class_field(self, inputs, random_model, capsys) -> None:
        self.check_fails(
            inputs, random_model, capsys, "--class-field", "kind", says=("kind", "class_id", "--class-field")
        )

    def test_too_many_classes(self, inputs, make_support, random_model, capsys) -> None:
        rows = [
            (i, "x", box(i % 160, i // 160 % 120, i % 160 + 1, i // 160 % 120 + 1)) for i in range(65_001)
        ]
        self.check_fails(
            (inputs[0], make_support(rows, name="many.gpkg")), random_model, capsys, says=("many.gpkg", "65")
        )

    def test_unknown_model(self, inputs, random_model, capsys) -> None:
        self.check_fails(inputs, Path("no-such-model"), capsys, says=("no-such-model", "safetensors"))
        self.check_fails(
            inputs, Path("no-such-file.safetensors"), capsys, says=("no-such-file", "check the path")
        )

    def test_damaged_checkpoint(self, inputs, random_model, capsys, tmp_path) -> None:
        data = random_model.read_bytes()
        (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
        self.check_fails(inputs, tmp_path / "cut.safetensors", capsys, says=("cut.safetensors", "damaged"))

    def test_cuda_absent(self, inputs, random_model, capsys, monkeypatch) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        self.check_fails(inputs, random_model, capsys, "--device", "cuda", says=("CUDA", "--device cpu"))
        self.check_fails(inputs, random_model, capsys, "--device", "toaster", says=("toaster",))

    def test_bands_scale_extent(self, inputs, random_model, capsys) -> None:
        self.check_fails(inputs, random_model, capsys, "--bands", "1,2,9", says=("band 9",))
        self.check_fails(inputs, random_model, capsys, "--scale", "99", says=("99",))
        self.check_fails(inputs, random_model, capsys, "--extent", "1,2,3", says=("extent",))
        self.check_fails(inputs, random_model, capsys, "--extent", "1,2,3,4", says=("outside",))

    def test_same_input_and_output(self, inputs, random_model, capsys) -> None:
        before = inputs[0].read_bytes()
        assert label(inputs, inputs[0], random_model) == 2
        assert "overwrite" in one_sentence(capsys)
        assert inputs[0].read_bytes() == before

    def test_output_folder(self, inputs, random_model, capsys, tmp_path) -> None:
        assert label(inputs, tmp_path / "gone" / "labels.tif", random_model) == 2
        assert "gone" in one_sentence(capsys)
        (tmp_path / "file").write_text("x")
        assert label(inputs, tmp_path / "file" / "labels.tif", random_model) == 2
        assert "file" in one_sentence(capsys)

    def test_closed_streams(self) -> None:
        """As a daemon or a launcher without a terminal starts it."""
        command = f"{sys.executable} -m backend models >&- 2>&-"
        assert subprocess.run(["sh", "-c", command], cwd=ROOT, check=False).returncode == 0

    def test_wrong_arguments(self, capsys) -> None:
        assert run(["label", "only-one"]) == 2
        assert "Missing argument" in capsys.readouterr().err
        assert run(["label", "a", "b", "c.tif", "--head", "none"]) == 2
        assert run(["nonsense"]) == 2

    def test_debug_shows_the_traceback(self, inputs, random_model, capsys) -> None:
        assert label((Path("gone.tif"), inputs[1]), self.folder / "labels.tif", random_model, "--debug") == 2
        assert "Traceback" in capsys.readouterr().err


class TestDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "disk"
        folder.mkdir()
        mount = shutil.which("mount")
        done = mount and subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if not done or done.returncode:
            pytest.skip("mounting a small disk is not permitted here")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)

    def test_full_disk(self, make_raster, make_support, random_model, small_disk, capsys) -> None:
        """Labels of noise do not compress into the disk; an earlier output survives."""
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (3, 600, 700)).astype(np.uint8)
        support = make_support(
            [(1, "a", box(5, 5, 9, 9)), (2, "b", box(60, 60, 63, 63)), (3, "c", box(90, 9, 92, 14))]
        )
        (small_disk / "labels.tif").write_bytes(b"earlier")
        inputs = make_raster(image), support
        assert label(inputs, small_disk / "labels.tif", random_model, "--no-crf", "--scale", "1") == 2
        message = one_sentence(capsys)
        assert "No space left" in message
        assert str(small_disk) in message
        assert [path.name for path in small_disk.iterdir()] == ["labels.tif"]
        assert (small_disk / "labels.tif").read_bytes() == b"earlier"


class TestInterrupt:
    @pytest.mark.slow
    @pytest.mark.skipif(os.name == "nt", reason="sends signals to a process group")
    @pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
    def test_signals_leave_only_a_message(
        self, signal_number, make_raster, make_support, random_model, tmp_path
    ) -> None:
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (3, 2500, 2500)).astype(np.uint8)
        raster, support = make_raster(image), make_support(TWO)
        output = tmp_path / "labels.tif"
        arguments = [
            "label",
            str(raster),
            str(support),
            str(output),
            "--model",
            str(random_model),
            "--json-progress",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell has what it starts in the background ignore Ctrl-C, these tests too, and children inherit that.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stdout is not None
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] == "progress" and message["stage"] == "labels" and message["done"] > 25:
                break
        assert any(path.name.endswith(".part") for path in tmp_path.iterdir())
        started = time.monotonic()
        os.killpg(process.pid, signal_number)  # as a terminal does: every process of the group
        _, err = process.communicate(timeout=30)
        assert time.monotonic() - started < 15
        assert process.returncode == 130
        assert err.strip() == "Cancelled; nothing was written."
        assert {path.name for path in tmp_path.iterdir()} == {"raster.tif", "support.gpkg"}
        # Helper processes end by themselves when they find their parent gone.
        for _ in range(100):
            if not group_alive(process.pid):
                break
            time.sleep(0.1)
        assert not group_alive(process.pid)


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
