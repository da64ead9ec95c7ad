"""``accuracy`` and ``sample-points`` as a user meets them, on tiny and on real data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from backend.cli import run


@pytest.fixture
def files(make_raster, make_support) -> tuple[str, str]:
    ids = np.repeat(np.array([1, 2], np.uint8), 50)[None, None].repeat(60, axis=1)
    polygons = [(1, "a", shapely.box(5, 5, 60, 20)), (2, "b", shapely.box(70, 5, 80, 20))]
    return str(make_raster(ids, name="map.tif")), str(make_support(polygons))


def test_numbers_report_and_tables(files, tmp_path, capsys) -> None:
    report, folder = tmp_path / "report.html", tmp_path / "tables"
    assert run(["accuracy", *files, "--report", str(report), "--csv", str(folder), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["overall_accuracy"] == pytest.approx((45 + 10) / 65, abs=1e-6)
    assert (value["kind"], value["design"], value["unit"]) == ("polygons", "clusters", "pixels")
    assert value["confusion"] == [[675, 0], [150, 150]]
    assert value["report"] == str(report) and report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [Path(path).parent for path in value["tables"]] == [folder] * 3
    assert run(["accuracy", *files]) == 0
    assert "Overall accuracy 84.6 %" in capsys.readouterr().out


def test_points_from_drawing_to_the_estimate(files, tmp_path, capsys) -> None:
    points = tmp_path / "points.gpkg"
    assert run(["sample-points", files[0], str(points), "--count", "40", "--dry-run"]) == 0
    assert "40 points." in capsys.readouterr().out and not points.exists()
    assert run(["sample-points", files[0], str(points), "--count", "40", "--expected", "2=0.6"]) == 0
    assert run(["accuracy", files[0], str(points)]) == 2
    assert "label some of them first" in capsys.readouterr().err
    meta, _, wkb, values = pyogrio.raw.read(points)
    fields = dict(zip(meta["fields"], values, strict=True))
    fields["class_id"] = np.where(np.arange(40) % 10 == 0, 3 - fields["map_class"], fields["map_class"])
    pyogrio.raw.write(
        points,
        wkb,
        list(fields.values()),
        list(fields),
        layer="points",
        geometry_type="Point",
        crs=meta["crs"],
    )
    assert run(["accuracy", files[0], str(points), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["design"], value["counted"]) == ("stratified", 40)
    overall = value["overall"]
    assert overall["value"] == pytest.approx(0.9) and overall["low"] < 0.9 < overall["high"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--class-field", "gone"], "has no field 'gone'"),
        (["--report", "report.txt"], "use .html"),
        (["--support", "gone.gpkg"], "gone.gpkg"),
        (["--confidence", "gone.tif"], "gone.tif cannot be read"),
    ],
)
def test_faults_are_one_sentence(more, says, files, capsys) -> None:
    assert run(["accuracy", *files, *more]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: ") and says in lines[0]


def test_wrong_expectation(files, tmp_path, capsys) -> None:
    assert run(["sample-points", files[0], str(tmp_path / "p.gpkg"), "--expected", "2:0.6"]) == 2
    assert "write ID=SHARE" in capsys.readouterr().err


@pytest.mark.slow
def test_real_labels_have_the_accuracy_that_counting_them_gives(shared, tmp_path, capsys) -> None:
    scene = shared / "data" / "naip" / "scene06"
    truth, support = f"{scene}_labels.tif", f"{scene}_support_k5_s0.geojson"
    with rasterio.open(truth) as src:
        ids, profile = src.read(1), src.profile
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(ids.shape) < 0.2, rng.choice(np.unique(ids[ids != 255]), ids.shape), ids)
    with rasterio.open(tmp_path / "map.tif", "w", **profile) as dst:
        dst.write(noisy.astype(np.uint8), 1)
    assert run(["accuracy", str(tmp_path / "map.tif"), truth, "--support", support, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    whole = (noisy == ids)[ids != 255].mean()
    assert value["design"] == "census" and value["removed"] > 0
    assert value["overall_accuracy"] == pytest.approx(whole, abs=0.005)
    points = tmp_path / "points.gpkg"
    assert run(["sample-points", str(tmp_path / "map.tif"), str(points), "--count", "400"]) == 0
    capsys.readouterr()
    meta, _, wkb, values = pyogrio.raw.read(points)
    fields = dict(zip(meta["fields"], values, strict=True))
    with rasterio.open(truth) as src:
        xy = shapely.get_coordinates(shapely.from_wkb(wkb))
        fields["class_id"] = np.array([int(v[0]) for v in src.sample(xy)], np.int32)
    pyogrio.raw.write(
        points,
        wkb,
        list(fields.values()),
        list(fields),
        layer="points",
        geometry_type="Point",
        crs=meta["crs"],
    )
    assert run(["accuracy", str(tmp_path / "map.tif"), str(points), "--json"]) == 0
    sampled = json.loads(capsys.readouterr().out)["overall"]
    assert abs(sampled["value"] - whole) < 3.5 * sampled["se"]
