"""A label map to polygons: small patches, fewer points, names, what can go wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy.ndimage import gaussian_filter

from backend.cli import run
from backend.errors import Cancelled, OutputError, ProtolabelError, RasterError
from backend.messages import Vectorize
from backend.progress import CancelToken
from backend.rasters import coverage, polygonize
from backend.rasters.label_map import class_tags
from backend.rasters.support import ClassInfo
from backend.tasks.vectorize import vectorize as do_task
from backend.vectorize import vectorize

CLASSES = [ClassInfo(1, "water"), ClassInfo(2, "Straße")]


def patchy(side: int = 160, seed: int = 0, holes: bool = True) -> NDArray[np.uint8]:
    """Patches of four classes of all sizes, in parts without a label."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.normal(size=(side, side)), 1.5) for _ in range(4)]
    pixels = np.argmax(fields, axis=0).astype(np.uint8) + 1
    if holes:
        pixels[gaussian_filter(rng.normal(size=(side, side)), 12) > 0.02] = 255
    return pixels.astype(np.uint8)


def save(
    path: Path, pixels: NDArray[Any], crs: str | None = "EPSG:32632", origin: tuple[float, float] = (5e5, 5e6)
) -> Path:
    height, width = pixels.shape
    size = {"width": width, "height": height, "count": 1, "dtype": str(pixels.dtype), "nodata": 255}
    transform = Affine(0.5, 0, origin[0], 0, -0.5, origin[1])
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **size) as dst:
        dst.write(pixels, 1)
        dst.update_tags(**class_tags(CLASSES, {1: (0, 0, 255), 2: (90, 90, 90)}))
    return path


def load(path: Path) -> tuple[NDArray[np.object_], dict[str, NDArray[Any]]]:
    meta, _, wkb, values = pyogrio.raw.read(path)
    return shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True))


def test_fields(tmp_path: Path) -> None:
    pixels = np.full((20, 20), 255, np.uint8)
    pixels[2:6, 3:9] = 1
    pixels[3, 4] = 9
    source = save(tmp_path / "labels.tif", pixels)
    assert vectorize(source, tmp_path / "a.gpkg") == 2
    polygons, fields = load(tmp_path / "a.gpkg")
    rows = set(
        zip(*(fields[name] for name in ("class_id", "class_name", "area_m2", "perimeter_m")), strict=True)
    )
    assert rows == {(1, "water", 23 / 4, 12.0), (9, "class 9", 1 / 4, 2.0)}  # a hole's edge counts as well
    assert shapely.total_bounds(polygons).tolist() == [500_001.5, 4_999_997.0, 500_004.5, 4_999_999.0]


def test_measures_in_web_mercator_are_those_on_the_ground(tmp_path: Path) -> None:
    """Its metres are half a metre long at 60 degrees."""
    source = save(tmp_path / "labels.tif", np.ones((200, 200), np.uint8), "EPSG:3857", (1e6, 8_399_738.0))
    vectorize(source, tmp_path / "a.gpkg")
    _, fields = load(tmp_path / "a.gpkg")
    assert fields["area_m2"][0] == pytest.approx(2500.0, rel=0.01)
    assert fields["perimeter_m"][0] == pytest.approx(200.0, rel=0.01)


def test_without_a_system_measures_are_pixels(tmp_path: Path) -> None:
    vectorize(save(tmp_path / "labels.tif", np.ones((10, 20), np.uint8), None), tmp_path / "a.gpkg")
    _, fields = load(tmp_path / "a.gpkg")
    assert (fields["area_px"].tolist(), fields["perimeter_px"].tolist()) == ([200.0], [60.0])


@pytest.mark.parametrize("together", [100_000, 50])
@pytest.mark.parametrize("tolerance", [0.8, 3.0])
@pytest.mark.skipif(not coverage.can_simplify(), reason="needs Shapely 2.1 with GEOS 3.12")
def test_simplified_neighbours_have_no_gaps_and_no_overlaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int, tolerance: float
) -> None:
    monkeypatch.setattr(coverage, "_TOGETHER", together)
    monkeypatch.setattr(coverage, "_PART", 30)
    monkeypatch.setattr(polygonize, "_CHUNK", 40)
    source = save(tmp_path / "labels.tif", patchy(holes=False))
    count = vectorize(source, tmp_path / "edges.gpkg")
    assert vectorize(source, tmp_path / "a.gpkg", simplify=tolerance) == count > 500
    before, _ = load(tmp_path / "edges.gpkg")
    polygons, fields = load(tmp_path / "a.gpkg")
    assert shapely.is_valid(polygons).all()
    assert set(shapely.get_type_id(polygons)) == {3}
    total = shapely.area(polygons).sum()
    union = shapely.union_all(polygons)
    assert union.area == pytest.approx(total, rel=1e-9)  # no overlaps
    assert not [hole for part in shapely.get_parts(union) for hole in part.interiors]  # no gaps
    assert total == pytest.approx(160 * 160 / 4, rel=1e-3)  # the raster's corners may go
    assert shapely.get_num_coordinates(polygons).sum() < 0.9 * shapely.get_num_coordinates(before).sum()
    assert np.allclose(fields["area_m2"], shapely.area(polygons))


def test_simplifying_keeps_every_class_in_its_place(tmp_path: Path) -> None:
    pixels = patchy()
    vectorize(save(tmp_path / "labels.tif", pixels), tmp_path / "a.gpkg", sieve=40, simplify=1.0)
    polygons, fields = load(tmp_path / "a.gpkg")
    burnt = rasterio.features.rasterize(
        zip(polygons, fields["class_id"].tolist(), strict=True),
        pixels.shape,
        fill=255,
        transform=Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
        dtype="uint8",
    )
    vectorize(tmp_path / "labels.tif", tmp_path / "b.gpkg", sieve=40)
    edges, fields = load(tmp_path / "b.gpkg")
    assert len(edges) == len(polygons)
    expected = rasterio.features.rasterize(
        zip(edges, fields["class_id"].tolist(), strict=True),
        pixels.shape,
        fill=255,
        transform=Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
        dtype="uint8",
    )
    assert ((expected == 255) == (pixels == 255)).all()
    assert (burnt == expected).mean() > 0.97


def test_old_libraries_keep_the_edges_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "labels.tif", patchy(60))
    vectorize(source, tmp_path / "edges.gpkg")
    monkeypatch.delattr(shapely, "coverage_simplify")
    told: list[str] = []
    vectorize(source, tmp_path / "a.gpkg", simplify=2.0, say=told.append)
    assert len(told) == 1
    assert "install Shapely 2.1" in told[0]
    points = [
        shapely.get_num_coordinates(load(tmp_path / name)[0]).sum() for name in ("a.gpkg", "edges.gpkg")
    ]
    assert points[0] == points[1]


def test_wrong_inputs(tmp_path: Path) -> None:
    source = save(tmp_path / "labels.tif", patchy(30))
    picture = tmp_path / "picture.tif"
    with rasterio.open(picture, "w", driver="GTiff", width=9, height=9, count=3, dtype="uint8") as dst:
        dst.write(np.ones((3, 9, 9), np.uint8))
    for arguments, says in (
        ((picture, tmp_path / "a.gpkg"), "has 3 bands, not one of class ids"),
        ((tmp_path / "gone.tif", tmp_path / "a.gpkg"), "gone.tif cannot be read"),
        ((source, tmp_path / "a.kml"), r"use \.gpkg or"),
        ((source, tmp_path / "no" / "a.gpkg"), "does not exist"),
        ((source, source), "cannot have this extension"),
        ((source, tmp_path / "a.gpkg", -1), "from 0"),
        ((source, tmp_path / "a.gpkg", 0, float("nan")), "from 0"),
    ):
        with pytest.raises(ProtolabelError, match=says):
            vectorize(*arguments)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.tif", "picture.tif"]


def test_output_over_the_input(tmp_path: Path) -> None:
    """A raster may lie in a GeoPackage."""
    pixels = np.ones((9, 9), np.uint8)
    source = tmp_path / "labels.gpkg"
    with rasterio.open(
        source, "w", driver="GPKG", width=9, height=9, count=1, dtype="uint8", crs="EPSG:32632",
        transform=Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
    before = source.read_bytes()
    with pytest.raises(OutputError, match="overwrite"):
        vectorize(source, source)
    assert source.read_bytes() == before


@pytest.mark.parametrize("options", [{}, {"sieve": 5}, {"sieve": 5, "simplify": 1.0}])
def test_cancel_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    source = save(tmp_path / "labels.tif", patchy(100))
    (tmp_path / "a.gpkg").write_text("earlier")
    write, token = pyogrio.raw.write, CancelToken()

    def cancelling(*args: Any, **more: Any) -> None:
        write(*args, **more)
        token.cancel()

    monkeypatch.setattr(pyogrio.raw, "write", cancelling)
    with pytest.raises(Cancelled):
        vectorize(source, tmp_path / "a.gpkg", cancel=token, **options)
    assert (tmp_path / "a.gpkg").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gpkg", "labels.tif"]


@pytest.mark.parametrize("options", [{"simplify": 1.0}, {"sieve": 2}])
def test_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, options: dict[str, Any], capsys
) -> None:
    noise = np.random.default_rng(0).integers(1, 200, (1500, 1500)).astype(np.uint8)
    source = save(tmp_path / "labels.tif", noise if "sieve" in options else noise[:250, :250])
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here")
    more = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    try:
        assert run(["vectorize", str(source), str(disk / "a.gpkg"), *more]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert "No space left on" in lines[0]
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_command(tmp_path: Path, capsys) -> None:
    source = save(tmp_path / "labels.tif", patchy(60))
    assert (
        run(["vectorize", str(source), str(tmp_path / "a.geojson"), "--sieve", "20", "--simplify", "1.5"])
        == 0
    )
    assert "polygons to" in capsys.readouterr().out
    assert len(load(tmp_path / "a.geojson")[0]) > 2
    assert run(["vectorize", str(source), str(tmp_path / "b.gpkg"), "--sieve", "-3"]) == 2
    assert run(["vectorize", str(tmp_path / "gone.tif"), str(tmp_path / "b.gpkg")]) == 2
    error = capsys.readouterr().err
    assert "Error: The label map" in error
    assert "Traceback" not in error


def test_task(tmp_path: Path) -> None:
    source = save(tmp_path / "labels.tif", patchy(60))
    output = str(tmp_path / "a.gpkg")
    value = do_task(Vectorize(1, str(source), output, sieve=9, simplify=1.0), CancelToken())
    assert value == {"output": output, "polygons": len(load(tmp_path / "a.gpkg")[0]), "notes": []}
    with pytest.raises(RasterError):
        do_task(Vectorize(1, "gone.tif", output), CancelToken())
