"""The main job on small generated rasters, with a random encoder: everything but the quality of the features."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from shapely import box

from backend.encoders.runner import EncoderRunner
from backend.errors import Cancelled, OutputError, ProtolabelError, SupportError
from backend.heads import HEADS
from backend.labeling import LabelOptions, LabelResult, label_raster
from backend.progress import CancelToken, Progress
from backend.rasters.extent import Extent
from backend.refine.densecrf import CrfParameters

GREEN, BLUE = (3, "green"), (7, "blue")


@pytest.fixture
def options(random_model: Path) -> LabelOptions:
    return LabelOptions(model=str(random_model), device="cpu", tile=384, scale=2.0)


def read(path: Path, band: int = 1) -> NDArray[np.generic]:
    with rasterio.open(path) as src:
        return src.read(band)


def landscape(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """Four textured materials in large patches: hard enough that labels depend on features."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 4, (height // 40 + 2, width // 40 + 2))
    material = np.kron(coarse, np.ones((40, 40), int))[:height, :width]
    colors = np.array([[70, 110, 60], [95, 115, 80], [120, 110, 95], [60, 90, 85]])
    grain = np.array([4.0, 18.0, 9.0, 12.0])
    noise = rng.normal(size=(3, height, width)) * grain[material]
    return np.clip(colors[material].transpose(2, 0, 1) + noise, 0, 255).astype(np.uint8)


FOUR = [
    (1, "a", box(20, 20, 60, 50)),
    (2, "b", box(150, 30, 200, 70)),
    (5, "c", box(60, 200, 110, 240)),
    (9, "d", box(250, 150, 300, 200)),
]


def two_polygons() -> list[tuple[int, str, shapely.Geometry]]:
    return [(*GREEN, box(10, 20, 50, 70)), (*BLUE, box(100, 30, 150, 90))]


class TestResult:
    def test_label_map_is_right_and_complete(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        raster, support = make_raster(two_halves), make_support(two_polygons())
        output = tmp_path / "labels.tif"
        told: list[str] = []
        result = label_raster(raster, support, output, options, say=told.append)
        labels = read(output)
        expected = np.where(np.arange(160) < 80, 3, 7)[None].repeat(120, 0)
        assert (labels == expected).mean() > 0.98
        assert isinstance(result, LabelResult)
        assert sum(result.pixels) == labels.size
        assert dict(zip((3, 7), result.pixels, strict=True)) == {i: int((labels == i).sum()) for i in (3, 7)}
        with rasterio.open(output) as src, rasterio.open(raster) as given:
            assert (src.dtypes, src.nodata, src.shape) == (("uint8",), 255, given.shape)
            assert (src.crs, src.transform) == (given.crs, given.transform)
            assert src.tags()["PROTOLABEL_MODEL"] == "random"
            assert json.loads(src.tags()["PROTOLABEL_STRETCH"]) == {"low": [0.0] * 3, "high": [255.0] * 3}
            names = {entry["id"]: entry["name"] for entry in json.loads(src.tags()["PROTOLABEL_CLASSES"])}
            assert names == {3: "green", 7: "blue"}
            assert src.colormap(1)[3] != src.colormap(1)[7]
            assert src.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert "green" in output.with_suffix(".qml").read_text()
        assert any("scale 2" in text for text in told)
        assert not list(tmp_path.glob("**/*.part"))

    def test_two_runs_give_the_same_file(self, make_raster, make_support, options, tmp_path) -> None:
        raster, support = make_raster(landscape(300, 400)), make_support(FOUR)
        for name in ("a.tif", "b.tif"):
            label_raster(raster, support, tmp_path / name, options)
        assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()

    def test_confidence_and_polygons(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        chosen = dataclasses.replace(options, confidence=tmp_path / "conf.tif", vector=tmp_path / "poly.gpkg")
        mask = np.ones((120, 160), bool)
        mask[:30] = False
        label_raster(
            make_raster(two_halves, mask=mask), make_support(two_polygons()), tmp_path / "labels.tif", chosen
        )
        labels, confidence, margin = (
            read(tmp_path / "labels.tif"),
            *(read(tmp_path / "conf.tif", b) for b in (1, 2)),
        )
        assert (labels[:30] == 255).all()
        assert ((confidence == 255) == (labels == 255)).all()
        assert (confidence[labels != 255] <= 100).all()
        assert (confidence[labels != 255] > 50).mean() > 0.95
        assert (margin[labels != 255] <= 100).all()
        frame = pyogrio.raw.read(tmp_path / "poly.gpkg")
        assert set(frame[3][list(frame[0]["fields"]).index("class_name")]) == {"green", "blue"}
        area = sum(shapely.area(shapely.from_wkb(frame[2])))
        assert area == pytest.approx((labels != 255).sum() * 0.36, rel=1e-6)

    def test_large_ids_give_uint16(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        rows = [(300, "x", box(10, 20, 50, 70)), (0, "y", box(100, 30, 150, 90))]
        label_raster(make_raster(two_halves), make_support(rows), tmp_path / "labels.tif", options)
        with rasterio.open(tmp_path / "labels.tif") as src:
            assert (src.dtypes[0], src.nodata) == ("uint16", 65535)
            assert set(np.unique(src.read(1))) == {0, 300}

    @pytest.mark.parametrize("head", HEADS)
    def test_heads(self, make_raster, make_support, two_halves, options, tmp_path, head) -> None:
        chosen = dataclasses.replace(options, head=head, spectral=False, crf=None)
        label_raster(make_raster(two_halves), make_support(two_polygons()), tmp_path / "labels.tif", chosen)
        labels = read(tmp_path / "labels.tif")
        assert (labels[:, :70] == 3).mean() > 0.9
        assert (labels[:, 90:] == 7).mean() > 0.9


class TestRasters:
    @pytest.mark.parametrize(
        ("height", "width"), [(1, 90), (90, 1), (3, 5), (37, 53), (120, 160), (129, 641)]
    )
    def test_any_size(self, make_raster, make_support, options, tmp_path, height, width) -> None:
        image = np.zeros((3, height, width), np.uint8)
        across = width >= height
        half = (width if across else height) // 2
        image[1] = 160
        if across:
            image[:, :, half:] = 30
            rows = [(1, "a", box(0, 0, half, height)), (2, "b", box(half, 0, width, height))]
        else:
            image[:, half:] = 30
            rows = [(1, "a", box(0, 0, width, half)), (2, "b", box(0, half, width, height))]
        label_raster(make_raster(image), make_support(rows), tmp_path / "labels.tif", options)
        labels = read(tmp_path / "labels.tif")
        assert labels.shape == (height, width)
        expected = np.where((np.arange(width)[None] if across else np.arange(height)[:, None]) < half, 1, 2)
        assert (labels == np.broadcast_to(expected, labels.shape)).mean() > 0.9

    @pytest.mark.parametrize("bands", [1, 2, 4, 11])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_any_bands_and_dtype(
        self, make_raster, make_support, two_halves, options, tmp_path, bands, dtype
    ) -> None:
        gain = {"uint8": 1, "uint16": 40, "float32": 1e-3}[dtype]
        image = (two_halves[np.arange(bands) % 3].astype(np.float64) * gain).astype(dtype)
        if dtype == "float32":
            image[0, 50:60, 50:60] = np.nan
        raster = make_raster(image, photometric="minisblack")
        label_raster(raster, make_support(two_polygons()), tmp_path / "labels.tif", options)
        labels = read(tmp_path / "labels.tif")
        hole = np.zeros(labels.shape, bool)
        if dtype == "float32":
            hole[50:60, 50:60] = True
        assert ((labels == 255) == hole).all()
        right = np.where(np.arange(160) < 80, 3, 7)[None].repeat(120, 0) == labels
        assert right[~hole].mean() > 0.95

    def test_band_choice_is_followed(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        """The classes differ in band 5 alone."""
        image = np.full((5, 120, 160), 90, np.uint8)
        image[4] = two_halves[2]
        raster, support = make_raster(image, photometric="minisblack"), make_support(two_polygons())
        chosen = dataclasses.replace(options, bands=(5,))
        label_raster(raster, support, tmp_path / "labels.tif", chosen)
        assert (read(tmp_path / "labels.tif") == np.where(np.arange(160) < 80, 3, 7)[None]).mean() > 0.95
        with rasterio.open(tmp_path / "labels.tif") as src:
            assert src.tags()["PROTOLABEL_BANDS"] == "5,5,5"


class TestNodata:
    @pytest.mark.parametrize("kind", ["mask", "alpha", "nodata", "nan"])
    @pytest.mark.parametrize("crf", [True, False])
    def test_never_labelled_and_never_leaking(
        self, make_raster, make_support, options, tmp_path, kind, crf
    ) -> None:
        """What lies under nodata must not change a single label outside of it, near its edge or far."""
        image = landscape(240, 320)
        valid = np.ones((240, 320), bool)
        valid[90:150, 120:220] = False
        valid[:, 300:] = False
        contents = (0, 255) if kind in ("mask", "alpha") else (0,)
        results = []
        for number, content in enumerate(contents):
            garbage = image.copy()
            garbage[:, ~valid] = content
            profile: dict[str, object] = {}
            if kind == "alpha":
                garbage = np.concatenate([garbage, np.where(valid, 255, 0).astype(np.uint8)[None]])
                profile = {"photometric": "RGB", "alpha": "YES"}
            elif kind == "nodata":
                garbage = np.clip(garbage, 1, 255)
                garbage[:, ~valid] = 0
                profile = {"nodata": 0}
            elif kind == "nan":
                garbage = np.where(valid, garbage, np.nan).astype(np.float32)
            raster = make_raster(
                garbage, f"{kind}{number}.tif", mask=valid if kind == "mask" else None, **profile
            )
            output = tmp_path / f"labels{number}.tif"
            chosen = dataclasses.replace(options, crf=CrfParameters() if crf else None)
            label_raster(raster, make_support(FOUR, name=f"s{number}.gpkg"), output, chosen)
            results.append(read(output))
        for labels in results:
            assert ((labels == 255) == ~valid).all()
        assert (results[0] == results[-1]).all()

    def test_edge_of_data_is_labelled_like_the_ground(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        mask = np.ones((120, 160), bool)
        mask[70:, 30:60] = False
        mask[:40, 120:] = False
        chosen = dataclasses.replace(options, spectral=False)
        label_raster(
            make_raster(two_halves, mask=mask), make_support(two_polygons()), tmp_path / "labels.tif", chosen
        )
        labels = read(tmp_path / "labels.tif")
        expected = np.where(np.arange(160) < 80, 3, 7)[None].repeat(120, 0)
        far = mask & (np.abs(np.arange(160) - 80) > 10)[None]
        assert (labels == expected)[far].mean() > 0.99

    def test_all_nodata_tiles_are_skipped(
        self, make_raster, make_support, options, tmp_path, monkeypatch
    ) -> None:
        image = np.zeros((3, 900, 900), np.uint8)
        image[:, :120, :160] = landscape(120, 160)
        encoded = []
        original = EncoderRunner.encode
        monkeypatch.setattr(
            EncoderRunner, "encode", lambda *args, **kwargs: encoded.append(1) or original(*args, **kwargs)
        )
        rows = [(1, "a", box(5, 5, 40, 40)), (2, "b", box(80, 5, 110, 40))]
        states: list[Progress] = []
        label_raster(
            make_raster(image, nodata=0), make_support(rows), tmp_path / "labels.tif", options, states.append
        )
        assert 1 <= len(encoded) <= 4
        assert states[-1].total > 40
        assert (read(tmp_path / "labels.tif")[200:] == 255).all()


class TestTiles:
    @pytest.mark.parametrize("spectral", [True, False])
    def test_tiled_equals_untiled(self, make_raster, make_support, options, tmp_path, spectral) -> None:
        raster, support = make_raster(landscape(420, 560)), make_support(FOUR)
        maps = {}
        for crf in (True, False):
            for tile in (384, 4096):
                chosen = dataclasses.replace(
                    options, tile=tile, spectral=spectral, crf=CrfParameters() if crf else None
                )
                label_raster(raster, support, tmp_path / "labels.tif", chosen)
                maps[crf, tile] = read(tmp_path / "labels.tif")
        assert (maps[False, 384] != maps[False, 4096]).mean() <= 0.002
        assert (maps[True, 384] != maps[True, 4096]).mean() <= 0.005

    @pytest.mark.slow
    def test_tiled_equals_untiled_on_real_imagery(self, shared, options, tmp_path) -> None:
        weights = next((shared / "weights").glob("*.safetensors"))
        scene = shared / "data" / "naip" / "scene06"
        for crf, limit in ((None, 0.002), (CrfParameters(), 0.005)):
            maps = []
            for tile in (704, 8192):
                chosen = dataclasses.replace(options, model=str(weights), tile=tile, crf=crf, spectral=False)
                support = scene.with_name("scene06_support_k5_s0.geojson")
                label_raster(scene.with_suffix(".tif"), support, tmp_path / "labels.tif", chosen)
                maps.append(read(tmp_path / "labels.tif"))
            assert (maps[0] != maps[1]).mean() <= limit

    def test_blocks_of_the_refinement_leave_no_seam(
        self, make_raster, make_support, options, tmp_path, monkeypatch
    ) -> None:
        raster, support = make_raster(landscape(300, 400)), make_support(FOUR)
        label_raster(raster, support, tmp_path / "whole.tif", options)
        monkeypatch.setattr("backend.streaming._BLOCK", 200)
        label_raster(raster, support, tmp_path / "blocks.tif", options)
        assert (read(tmp_path / "whole.tif") != read(tmp_path / "blocks.tif")).mean() <= 0.005

    def test_area_gets_the_labels_of_a_whole_run(self, make_raster, make_support, options, tmp_path) -> None:
        raster, support = make_raster(landscape(260, 340)), make_support(FOUR)
        area = make_support(
            [(1, "x", shapely.Point(90, 80).buffer(45)), (1, "y", box(250, 180, 300, 230))], name="area.gpkg"
        )
        options = dataclasses.replace(options, crf=CrfParameters())
        tiles: list[int] = []
        whole, part = tmp_path / "whole.tif", tmp_path / "part.tif"
        label_raster(raster, support, whole, options)
        chosen = dataclasses.replace(options, area=area, confidence=tmp_path / "c.tif")
        label_raster(raster, support, part, chosen, lambda state: tiles.append(state.total))
        with rasterio.open(part) as src:
            labels, (col, row) = src.read(1), ~src.transform * (src.bounds.left, src.bounds.top)
            left = round((src.transform.c - 400_000) / 0.6)
            top = round((4_300_000 - src.transform.f) / 0.6)
        assert (round(col), round(row)) == (0, 0)
        rows, cols = np.indices(labels.shape)
        centres = shapely.points(cols + left + 0.5, rows + top + 0.5)
        inside = shapely.distance(centres, shapely.Point(90, 80)) < 44
        inside |= shapely.within(centres, box(250, 180, 300, 230))
        outside = (shapely.distance(centres, shapely.Point(90, 80)) > 46) & ~inside
        expected = read(whole)[top : top + labels.shape[0], left : left + labels.shape[1]]
        assert (labels[outside] == 255).all() and (read(tmp_path / "c.tif")[outside] == 255).all()
        assert (labels[inside] == expected[inside]).mean() > 0.995

    def test_extent_and_area_with_nothing_in_common(
        self, make_raster, make_support, options, tmp_path
    ) -> None:
        raster, support = make_raster(landscape(120, 160)), make_support(two_polygons())
        area = make_support([(1, "x", box(0, 0, 20, 20))], name="area.gpkg")
        left, top = 400_000 + 100 * 0.6, 4_300_000 - 100 * 0.6
        extent = Extent(left, top - 6, left + 6, top)
        with pytest.raises(ProtolabelError, match="no pixel in common"):
            label_raster(
                raster, support, tmp_path / "x.tif", dataclasses.replace(options, area=area, extent=extent)
            )
        assert not (tmp_path / "x.tif").exists()

    def test_extent_gets_the_labels_of_a_whole_run(
        self, make_raster, make_support, options, tmp_path
    ) -> None:
        raster, support = make_raster(landscape(420, 560)), make_support(FOUR)
        label_raster(raster, support, tmp_path / "whole.tif", options)
        x, y = 400_000 + 0.6 * 203, 4_300_000 - 0.6 * 301
        chosen = dataclasses.replace(options, extent=Extent(x, y, x + 0.6 * 150, y + 0.6 * 140))
        label_raster(raster, support, tmp_path / "part.tif", chosen)
        with rasterio.open(tmp_path / "part.tif") as src:
            part = src.read(1)
            assert src.shape == (140, 150)
            assert src.transform.almost_equals(Affine(0.6, 0, x, 0, -0.6, y + 0.6 * 140), 1e-6)
        assert (part != read(tmp_path / "whole.tif")[161:301, 203:353]).mean() <= 0.005

    @pytest.mark.parametrize("scale", [4.0, 1.0, 0.5])
    def test_scales(self, make_raster, make_support, two_halves, options, tmp_path, scale) -> None:
        chosen = dataclasses.replace(options, scale=scale)
        label_raster(make_raster(two_halves), make_support(two_polygons()), tmp_path / "labels.tif", chosen)
        assert (read(tmp_path / "labels.tif") == np.where(np.arange(160) < 80, 3, 7)[None]).mean() > 0.97

    def test_out_of_memory_halves_the_tiles(
        self, make_raster, make_support, options, tmp_path, monkeypatch
    ) -> None:
        raster, support = make_raster(landscape(300, 400)), make_support(FOUR)
        label_raster(raster, support, tmp_path / "before.tif", options)
        original = EncoderRunner._forward

        def limited(self: EncoderRunner, image: object) -> object:
            if max(image.shape[1:]) > 300:  # type: ignore[attr-defined]
                raise RuntimeError(
                    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
                )
            return original(self, image)

        monkeypatch.setattr(EncoderRunner, "_forward", limited)
        told: list[str] = []
        label_raster(raster, support, tmp_path / "after.tif", options, say=told.append)
        assert any("Memory ran out" in text for text in told)
        assert (read(tmp_path / "before.tif") != read(tmp_path / "after.tif")).mean() <= 0.02


class TestPlaces:
    def test_polygons_in_another_crs(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        raster = make_raster(two_halves)
        label_raster(raster, make_support(two_polygons()), tmp_path / "own.tif", options)
        rows = []
        for class_id, name, polygon in two_polygons():
            left, top, right, bottom = polygon.bounds
            x0, y1 = 400_000 + 0.6 * left, 4_300_000 - 0.6 * top
            bounds = (x0, 4_300_000 - 0.6 * bottom, 400_000 + 0.6 * right, y1)
            rows.append((class_id, name, box(*transform_bounds("EPSG:26917", "EPSG:4326", *bounds))))
        support = make_support(rows, transform=Affine.identity(), crs="EPSG:4326", name="other.geojson")
        label_raster(raster, support, tmp_path / "other.tif", options)
        assert (read(tmp_path / "own.tif") == read(tmp_path / "other.tif")).mean() > 0.99

    @pytest.mark.parametrize(
        ("crs", "transform"),
        [
            ("EPSG:4326", Affine(6e-6, 0, -81.0, 0, -6e-6, 38.0)),
            ("EPSG:26917", Affine.translation(4e5, 4.3e6) @ Affine.rotation(30) @ Affine.scale(0.6, -0.6)),
            (None, Affine.identity()),
        ],
        ids=["geographic", "rotated", "pixels"],
    )
    def test_georeferences(
        self, make_raster, make_support, two_halves, options, tmp_path, crs, transform
    ) -> None:
        raster = make_raster(two_halves, crs=crs, transform=transform)
        support = make_support(two_polygons(), transform=transform, crs=crs, name="s.geojson")
        label_raster(raster, support, tmp_path / "labels.tif", options)
        assert (read(tmp_path / "labels.tif") == np.where(np.arange(160) < 80, 3, 7)[None]).mean() > 0.97
        with rasterio.open(tmp_path / "labels.tif") as src:
            assert src.transform.almost_equals(transform)

    def test_polygons_partly_outside(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        rows = [
            (*GREEN, box(-50, -50, 50, 70)),
            (*BLUE, box(100, 30, 500, 300)),
            (*BLUE, box(900, 900, 950, 950)),
        ]
        told: list[str] = []
        label_raster(
            make_raster(two_halves), make_support(rows), tmp_path / "labels.tif", options, say=told.append
        )
        assert (read(tmp_path / "labels.tif") == np.where(np.arange(160) < 80, 3, 7)[None]).mean() > 0.97
        assert any("1 of 3 polygons lie outside" in text for text in told)

    def test_overlapping_polygons_support_neither(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        """The blue polygon covers much green, where a green polygon lies too: only its blue part may count."""
        rows = [(*GREEN, box(5, 5, 78, 110)), (*BLUE, box(30, 10, 100, 100))]
        told: list[str] = []
        label_raster(
            make_raster(two_halves), make_support(rows), tmp_path / "labels.tif", options, say=told.append
        )
        assert (read(tmp_path / "labels.tif") == np.where(np.arange(160) < 80, 3, 7)[None]).mean() > 0.95
        assert any(
            ("overlap" in text and "blue and green" in text) or "green and blue" in text for text in told
        )

    def test_tiny_polygons(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        rows = [(*GREEN, box(30.1, 40.1, 30.3, 40.3)), (*BLUE, box(120.6, 60.6, 121.4, 61.4))]
        label_raster(make_raster(two_halves), make_support(rows), tmp_path / "labels.tif", options)
        assert (read(tmp_path / "labels.tif") == np.where(np.arange(160) < 80, 3, 7)[None]).mean() > 0.9

    def test_multipolygons_and_holes(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        """The hole of the green polygon holds all that is blue in its reach."""
        green = shapely.MultiPolygon(
            [box(5, 5, 25, 25), box(30, 10, 150, 110).difference(box(75, 12, 148, 108))]
        )
        rows = [(*GREEN, green.difference(box(80, 0, 160, 120))), (*BLUE, box(100, 30, 140, 90))]
        label_raster(make_raster(two_halves), make_support(rows), tmp_path / "labels.tif", options)
        assert (read(tmp_path / "labels.tif") == np.where(np.arange(160) < 80, 3, 7)[None]).mean() > 0.97

    def test_support_under_nodata_is_named(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        mask = np.ones((120, 160), bool)
        mask[:, 80:] = False
        with pytest.raises(SupportError, match="blue"):
            label_raster(
                make_raster(two_halves, mask=mask),
                make_support(two_polygons()),
                tmp_path / "labels.tif",
                options,
            )
        assert not list(tmp_path.glob("labels*"))


class TestStopping:
    def test_cancel_leaves_nothing(self, make_raster, make_support, options, tmp_path) -> None:
        raster, support = make_raster(landscape(600, 700)), make_support(FOUR)
        token = CancelToken()
        states: list[Progress] = []

        def progress(state: Progress) -> None:
            states.append(state)
            if state.done == 3:
                token.cancel()

        before = threading.active_count()
        with pytest.raises(Cancelled):
            label_raster(raster, support, tmp_path / "labels.tif", options, progress, token)
        assert states[-1].done < states[-1].total
        assert {path.name for path in tmp_path.iterdir()} == {"raster.tif", "support.gpkg"}
        # A tile that was on its way ends by itself.
        deadline = time.monotonic() + 20
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threading.active_count() <= before

    def test_progress_ends_at_its_total(self, make_raster, make_support, options, tmp_path) -> None:
        states: list[Progress] = []
        label_raster(
            make_raster(landscape(420, 560)),
            make_support(FOUR),
            tmp_path / "labels.tif",
            options,
            states.append,
        )
        assert [state.done for state in states] == sorted(state.done for state in states)
        assert states[-1].done == states[-1].total
        assert states[-1].megapixels == pytest.approx(420 * 560 / 1e6)

    @pytest.mark.parametrize("which", ["output", "confidence", "vector"])
    def test_output_over_input(self, make_raster, make_support, two_halves, options, which) -> None:
        raster, support = make_raster(two_halves), make_support(two_polygons())
        before = raster.read_bytes(), support.read_bytes()
        output = raster if which == "output" else raster.with_name("labels.tif")
        if which == "confidence":
            options = dataclasses.replace(options, confidence=raster)
        elif which == "vector":
            options = dataclasses.replace(options, vector=support)
        with pytest.raises(OutputError):
            label_raster(raster, support, output, options)
        assert (raster.read_bytes(), support.read_bytes()) == before

    def test_outputs_must_differ(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        chosen = dataclasses.replace(options, confidence=tmp_path / "labels.tif")
        with pytest.raises(ProtolabelError):
            label_raster(
                make_raster(two_halves), make_support(two_polygons()), tmp_path / "labels.tif", chosen
            )

    def test_mosaic_is_not_written_over(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        raster, support = make_raster(two_halves), make_support(two_polygons())
        rasterio.shutil.copy(raster, tmp_path / "mosaic.vrt", driver="VRT")
        before = raster.read_bytes()
        with pytest.raises(OutputError, match="overwrite"):
            label_raster(tmp_path / "mosaic.vrt", support, raster, options)
        assert raster.read_bytes() == before

    @pytest.mark.parametrize("named", ["drawn", "drawn/s.dbf", "drawn/s.shp"])
    def test_shapefile_is_not_written_over(
        self, make_raster, make_support, two_halves, options, tmp_path, named
    ) -> None:
        (tmp_path / "drawn").mkdir()
        support = make_support(two_polygons(), name="drawn/s.shp")
        before = support.read_bytes()
        chosen = dataclasses.replace(options, vector=support)
        with pytest.raises(OutputError, match="overwrite"):
            label_raster(make_raster(two_halves), tmp_path / named, tmp_path / "labels.tif", chosen)
        assert support.read_bytes() == before

    def test_style_is_not_shared(self, make_raster, make_support, two_halves, options, tmp_path) -> None:
        chosen = dataclasses.replace(options, confidence=tmp_path / "labels.tiff")
        with pytest.raises(OutputError, match="style"):
            label_raster(
                make_raster(two_halves), make_support(two_polygons()), tmp_path / "labels.tif", chosen
            )

    def test_failure_of_the_last_output_leaves_none(
        self, make_raster, make_support, two_halves, options, tmp_path, monkeypatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("backend.outputs.polygonize", interrupted)
        chosen = dataclasses.replace(options, vector=tmp_path / "p.gpkg", confidence=tmp_path / "c.tif")
        raster, support = make_raster(two_halves), make_support(two_polygons())
        with pytest.raises(KeyboardInterrupt):
            label_raster(raster, support, tmp_path / "labels.tif", chosen)
        assert {path.name for path in tmp_path.iterdir()} == {"raster.tif", "support.gpkg"}

    def test_extent_with_a_system_needs_one_in_the_raster(
        self, make_raster, make_support, two_halves, options, tmp_path
    ) -> None:
        raster = make_raster(two_halves, crs=None, transform=Affine.identity())
        support = make_support(two_polygons(), transform=Affine.identity(), crs=None, name="s.geojson")
        chosen = dataclasses.replace(options, extent=Extent(8.0, 49.0, 9.0, 50.0, "EPSG:4326"))
        with pytest.raises(ProtolabelError, match="no coordinate system"):
            label_raster(raster, support, tmp_path / "labels.tif", chosen)
