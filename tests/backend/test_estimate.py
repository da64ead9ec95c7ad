"""What a run would take: near to what it takes, with warnings, and nothing written."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely import box

from backend import estimate as module
from backend.cli import run
from backend.errors import Cancelled, ProtolabelError
from backend.estimate import duration, estimate_run, size
from backend.labeling import LabelOptions, label_raster
from backend.messages import Estimate
from backend.progress import CancelToken
from backend.rasters.extent import Extent
from backend.tasks.estimate import estimate as do_task

ROWS = [(3, "green", box(10, 20, 50, 70)), (7, "blue", box(100, 30, 150, 90))]


@pytest.fixture
def options(random_model: Path) -> LabelOptions:
    return LabelOptions(model=str(random_model), device="cpu", tile=384, scale=2.0)


@pytest.fixture
def inputs(make_raster, make_support, two_halves) -> tuple[Path, Path]:
    return make_raster(two_halves), make_support(ROWS)


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A raster of 60,000 x 60,000, of which little is stored."""
    path = tmp_path / "huge.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=60_000, height=60_000, count=3, dtype="uint16", crs="EPSG:26917",
        transform=Affine(0.6, 0, 400_000, 0, -0.6, 4_300_000), tiled=True, sparse_ok=True, compress="deflate",
    ) as dst:  # fmt: skip
        noise = np.random.default_rng(0).integers(50, 900, (3, 512, 512)).astype(np.uint16)
        for place in ((0, 0), (30_000, 30_000)):
            dst.write(noise, window=Window(*place, 512, 512))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("crf", [True, False])
def test_near_to_a_real_run(make_raster, make_support, random_model, tmp_path, crf) -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 4, (26, 26)).repeat(40, 0).repeat(40, 1)[:1000, :1000]
    colors = np.array([[70, 110, 60], [95, 115, 80], [120, 110, 95], [60, 90, 85]])
    image = np.clip(colors[coarse].transpose(2, 0, 1) + rng.normal(0, 12, (3, 1000, 1000)), 0, 255)
    raster, support = make_raster(image.astype(np.uint8)), make_support(ROWS)
    chosen = LabelOptions(model=str(random_model), device="cpu", confidence=tmp_path / "c.tif")
    if not crf:
        chosen = dataclasses.replace(chosen, crf=None)
    label_raster(raster, support, tmp_path / "warm.tif", chosen)
    before = estimate_run(raster, support, tmp_path / "labels.tif", chosen)
    result = label_raster(raster, support, tmp_path / "labels.tif", chosen)
    after = estimate_run(raster, support, tmp_path / "labels.tif", chosen)
    # Whatever else runs on the machine may do so more at one time than at another.
    low, high = sorted((before.seconds, after.seconds))
    assert low / 2.5 < result.seconds < high * 2.5
    written = sum((tmp_path / name).stat().st_size for name in ("labels.tif", "c.tif"))
    assert written < before.disk_expected < before.disk


def test_writes_nothing(inputs, options, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    told = estimate_run(*inputs, tmp_path / "out" / "labels.tif", options)
    assert (told.width, told.height, told.tiles) == (160, 120, 1)
    assert 0 < told.seconds < 60
    assert 500e6 < told.memory < 4e9
    assert 160 * 120 < told.disk < 160 * 120 * 3
    assert told.disk_expected <= told.disk
    assert told.free_memory > 0
    assert told.free_disk > 0
    assert told.warnings == ()
    assert not list((tmp_path / "out").iterdir())


def test_parts(make_raster, make_support, options, tmp_path) -> None:
    """The polygons lie far from the part that is labelled: their tiles come on top."""
    raster = make_raster(np.full((3, 1500, 1500), 90, np.uint8))
    x, y = 400_000 + 0.6 * 1400, 4_300_000 - 0.6 * 1400
    part = Extent(x, y - 30, x + 60, y)
    options = dataclasses.replace(options, extent=part, confidence=tmp_path / "c.tif", crf=None)
    told = estimate_run(raster, make_support(ROWS), tmp_path / "labels.tif", options)
    assert (told.width, told.height) == (100, 50)
    assert told.disk == 100 * 50 * 7
    assert told.tiles == 1 + 2


def test_huge_raster(huge, make_support, options, tmp_path) -> None:
    options = dataclasses.replace(options, confidence=tmp_path / "c.tif")
    begun = time.monotonic()
    told = estimate_run(huge, make_support(ROWS), tmp_path / "labels.tif", options)
    assert time.monotonic() - begun < 60
    assert told.tiles > 100_000
    assert told.seconds > 3600
    assert told.disk > 20e9
    told_once = [
        [text for text in told.warnings if part in text] for part in ("The run takes about", "lie together")
    ]
    assert [len(texts) for texts in told_once] == [1, 1]
    assert all(text.endswith(".") for text in told.warnings)


def test_too_little_memory_and_disk(inputs, options, tmp_path, monkeypatch) -> None:
    memory, disk = namedtuple("memory", "available total"), namedtuple("usage", "total used free")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(10**8, 10**9))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: disk(10**9, 10**9 - 100, 100))
    first, second = estimate_run(*inputs, tmp_path / "labels.tif", options).warnings
    assert "The outputs need about" in first
    assert "free some space" in first
    assert "The run needs about" in second
    assert "100 MB are free" in second
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: disk(10**9, 0, 20_000))
    assert "may need up to" in estimate_run(*inputs, tmp_path / "labels.tif", options).warnings[0]


def test_what_is_wrong_with_the_output_is_a_warning(inputs, options, tmp_path) -> None:
    found = estimate_run(*inputs, tmp_path / "gone" / "labels.tif", options)
    assert "does not exist" in found.warnings[0] and not found.possible
    assert estimate_run(*inputs, tmp_path / "labels.tif", options).possible
    assert "overwrite the input" in estimate_run(*inputs, inputs[0], options).warnings[0]
    if os.name != "nt" and os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        (text,) = estimate_run(*inputs, tmp_path / "closed" / "labels.tif", options).warnings
        assert "cannot be written" in text


def test_what_is_wrong_with_the_inputs_is_an_error(inputs, options, tmp_path) -> None:
    for wrong in (("gone.tif", inputs[1]), (inputs[0], "gone.gpkg")):
        with pytest.raises(ProtolabelError, match="does not exist"):
            estimate_run(*wrong, tmp_path / "labels.tif", options)


def test_nothing_valid_takes_no_time(make_raster, make_support, options, tmp_path) -> None:
    raster = make_raster(np.zeros((3, 120, 160), np.uint8), nodata=0)
    assert estimate_run(raster, make_support(ROWS), tmp_path / "labels.tif", options).seconds < 10


def test_cancel(inputs, options, tmp_path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        estimate_run(*inputs, tmp_path / "labels.tif", options, token)


def test_command(inputs, random_model, tmp_path, capsys) -> None:
    arguments = [
        "label",
        *map(str, inputs),
        str(tmp_path / "labels.tif"),
        "--model",
        str(random_model),
        "--dry-run",
    ]
    assert run([*arguments, "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["size", "time", "memory", "disk"]
    assert run([*arguments, "--device", "cpu", "--json-progress"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["type"], told["tiles"], told["warnings"]) == ("estimate", 1, [])
    assert not (tmp_path / "labels.tif").exists()


def test_task(inputs, random_model, tmp_path) -> None:
    task = Estimate(
        1, str(inputs[0]), str(inputs[1]), model=str(random_model), device="cpu", output=str(tmp_path / "labels.tif"),
        extent=(400_000, 4_299_970, 400_060, 4_300_000),
    )  # fmt: skip
    value = do_task(task, lambda reply: None, CancelToken())
    assert (value["width"], value["height"], value["warnings"]) == (100, 50, [])
    assert value["disk"] == 100 * 50 * 7  # with a confidence raster
    assert json.loads(json.dumps(value)) == value


def test_texts() -> None:
    assert [size(count) for count in (10, 2_000_000, 25.2e9)] == ["0 kB", "2 MB", "25.2 GB"]
    texts = [duration(seconds) for seconds in (0.1, 42, 600, 5 * 3600, 3 * 86400)]
    assert texts == ["1 seconds", "42 seconds", "10 minutes", "5 hours", "3 days"]
