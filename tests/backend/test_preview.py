"""Previews and uncertain places on small generated rasters, with a random encoder, inside of this process."""

from __future__ import annotations

import copy
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from shapely import box

from backend.encoders import runner as runner_module
from backend.encoders.runner import EncoderRunner, HalfPrecision
from backend.labeling import label_raster
from backend.preview.places import choose_places
from backend.preview.view import View
from backend.preview.workbench import Workbench
from backend.progress import CancelToken
from backend.protocol import Cancelled, Error, Partial, Preview, Reply, Result, Uncertain
from backend.rasters.source import RasterSource
from backend.rasters.stretch import Stretch
from backend.tasks import preview as preview_task
from backend.tasks.answer import TaskRunner
from backend.tasks.options import labeling_options

FOUR = [
    (1, "a", box(20, 20, 60, 50)),
    (2, "b", box(150, 30, 200, 70)),
    (5, "c", box(60, 200, 110, 240)),
    (9, "d", box(250, 150, 300, 200)),
]
SMALL = [
    (id, name, box(*at, at[0] + 6, at[1] + 6))
    for id, name, at in ((1, "a", (30, 30)), (2, "b", (160, 40)), (5, "c", (70, 210)), (9, "d", (260, 160)))
]
HEIGHT, WIDTH = 420, 500


def landscape(height: int = HEIGHT, width: int = WIDTH, seed: int = 1) -> NDArray[np.uint8]:
    """Four textured materials in large patches: hard enough that labels depend on features."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 4, (height // 40 + 2, width // 40 + 2))
    material = np.kron(coarse, np.ones((40, 40), int))[:height, :width]
    colors = np.array([[70, 110, 60], [95, 115, 80], [120, 110, 95], [60, 90, 85]])
    grain = np.array([4.0, 18.0, 9.0, 12.0])
    noise = rng.normal(size=(3, height, width)) * grain[material]
    return np.clip(colors[material].transpose(2, 0, 1) + noise, 0, 255).astype(np.uint8)


class Answer:
    """What came of a preview: all of its answers, with their pictures."""

    def __init__(self, final: Reply, sent: list[Reply]) -> None:
        self.final = final
        self.values: list[dict[str, Any]] = [reply.value for reply in sent if isinstance(reply, Partial)]
        if isinstance(final, Result):
            self.values.append(final.value)

    @property
    def stages(self) -> list[str]:
        return [value["stage"] for value in self.values]

    def labels(self, position: int = -1) -> NDArray[np.uint8]:
        """Class ids, 255 where there are no data."""
        value = self.values[position]
        index = np.fromfile(value["labels"], np.uint8).reshape(value["height"], value["width"])
        ids = np.full(256, 255, np.uint8)
        ids[: len(value["classes"])] = [info["id"] for info in value["classes"]]
        return ids[index]

    def uncertainty(self, position: int = -1) -> NDArray[np.uint8]:
        value = self.values[position]
        return np.fromfile(value["uncertainty"], np.uint8).reshape(value["height"], value["width"])


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[TaskRunner]:
    """Computes in full precision, so that no result depends on the machine."""
    monkeypatch.setattr(runner_module, "faster", lambda encoder: encoder)
    runner = TaskRunner()
    yield runner
    runner.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


@pytest.fixture
def ask(runner: TaskRunner, random_model: Path, folder: Path) -> Callable[..., Answer]:
    """Asks for a preview of a part of a raster, given in pixels: left, top, right, bottom."""
    number = iter(range(1, 1000))

    def ask(
        raster: Path,
        support: Path,
        part: tuple[int, int, int, int] = (0, 0, WIDTH, HEIGHT),
        size: tuple[int, int] | None = None,
        cancel: CancelToken | None = None,
        on_reply: Callable[[Reply], None] = lambda reply: None,
        **options: Any,
    ) -> Answer:
        given = {"model": str(random_model), "device": "cpu", "scale": 2.0, "tile": 384, **options}
        if "extent" not in given:
            with rasterio.open(raster) as src:
                matrix = src.transform
            xs, ys = zip(*(matrix @ point for point in (part[:2], part[2:])), strict=True)
            given["extent"] = (min(xs), min(ys), max(xs), max(ys))
        width, height = size or (part[2] - part[0], part[3] - part[1])
        task = Preview(
            next(number), str(raster), str(support), folder=str(folder), width=width, height=height, **given
        )
        sent: list[Reply] = []

        def send(reply: Reply) -> None:
            sent.append(reply)
            on_reply(reply)

        return Answer(runner.answer(task, send, cancel or CancelToken()), sent)

    return ask


@pytest.fixture
def full_run(random_model: Path, tmp_path: Path) -> Callable[..., NDArray[np.uint8]]:
    """The label map of a run over all of a raster."""

    def run(raster: Path, support: Path, **options: Any) -> NDArray[np.uint8]:
        given = {"model": str(random_model), "device": "cpu", "scale": 2.0, "tile": 384, **options}
        chosen = labeling_options(Preview(0, "r", "s", folder="f", extent=(0, 0, 1, 1), **given))
        label_raster(raster, support, tmp_path / "full.tif", chosen)
        with rasterio.open(tmp_path / "full.tif") as src:
            return src.read(1)

    return run


@pytest.fixture
def raster(make_raster) -> Path:
    return make_raster(landscape())


@pytest.fixture
def support(make_support) -> Path:
    return make_support(FOUR)


class TestLikeAFullRun:
    @pytest.mark.parametrize("part", [(0, 0, WIDTH, HEIGHT), (130, 90, 370, 300)])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"head": "polygons"},
            {"head": "ridge"},
            {"head": "density"},
            {"spectral": False},
            {"scale": 1.0},
        ],
        ids=str,
    )
    def test_the_same_pixels_without_refinement(self, ask, full_run, raster, support, part, options) -> None:
        answer = ask(raster, support, part, crf=False, **options)
        expected = full_run(raster, support, crf=False, **options)[part[1] : part[3], part[0] : part[2]]
        assert len(set(np.unique(expected))) >= 3
        assert (answer.labels() == expected).mean() >= 0.9995  # ties of a random encoder
        assert answer.stages[-1] == "features"

    def test_nearly_the_same_pixels_with_it(self, ask, full_run, raster, support) -> None:
        answer = ask(raster, support, (130, 90, 370, 300))
        assert answer.stages[-2:] == ["features", "refined"]
        expected = full_run(raster, support)[90:300, 130:370]
        assert (answer.labels() == expected).mean() >= 0.995
        assert (answer.labels() != answer.labels(-2)).any()  # the refinement does something

    def test_nearer_than_the_pixels(self, ask, raster, support) -> None:
        answer = ask(raster, support, (130, 90, 190, 130), size=(1000, 700), crf=False)
        assert answer.labels().shape == (40, 60)

    def test_16_bits_and_a_given_stretch(self, ask, full_run, make_raster, support) -> None:
        raster = make_raster(landscape().astype(np.uint16) * 10)
        stretch = ((0.0, 100.0, 0.0), (2550.0, 2000.0, 2550.0))
        answer = ask(raster, support, crf=False, stretch=stretch)
        expected = full_run(raster, support, crf=False, stretch=stretch)
        assert (answer.labels() == expected).mean() >= 0.9999
        own = ask(raster, support, crf=False)
        assert (own.labels() != answer.labels()).any()

    def test_support_on_another_raster(self, ask, full_run, make_raster, make_support, transform) -> None:
        raster = make_raster(landscape(seed=2))
        away = transform @ Affine.translation(2000, 0)
        other = make_raster(landscape(seed=1), name="other.tif", transform=away)
        support = make_support(FOUR, transform=away)
        rasters = (str(other),)
        answer = ask(raster, support, crf=False, support_rasters=rasters)
        assert isinstance(answer.final, Result), answer.final
        expected = full_run(raster, support, crf=False, support_rasters=rasters)
        assert (answer.labels() == expected).mean() >= 0.9999

    def test_half_precision_hardly_shows(self, ask, full_run, raster, support, monkeypatch) -> None:
        monkeypatch.setattr(runner_module, "faster", _half)
        answer = ask(raster, support, crf=False)
        assert (answer.labels() == full_run(raster, support, crf=False)).mean() >= 0.99


class TestStages:
    def test_coarse_first_then_only_what_is_better(self, ask, raster, support) -> None:
        first = ask(raster, support)
        assert first.stages[0] == "coarse" and first.stages[-2:] == ["features", "refined"]
        assert first.values[-1]["tiles"] == first.values[-1]["tiles_total"] > 0
        second = ask(raster, support)
        assert second.stages == ["features", "refined"]
        assert (first.labels() == second.labels()).all()

    def test_coarse_is_right_already(self, ask, make_raster, make_support, two_halves) -> None:
        two = [(3, "green", box(10, 20, 50, 70)), (7, "blue", box(100, 30, 150, 90))]
        answer = ask(make_raster(two_halves), make_support(two), (0, 0, 160, 120), spectral=False)
        expected = np.where(np.arange(160) < 80, 3, 7)[None].repeat(120, 0)
        assert answer.stages[0] == "coarse"
        assert (answer.labels(0) == expected).mean() > 0.98

    def test_a_new_polygon_needs_no_encoding_and_no_other_reading(
        self, ask, raster, support, make_support, monkeypatch
    ) -> None:
        ask(raster, support, crf=False)
        monkeypatch.setattr(EncoderRunner, "encode", _never)
        read: list[Any] = []
        reads = RasterSource.read
        monkeypatch.setattr(
            RasterSource,
            "read",
            lambda self, window, shape=None: read.append(window) or reads(self, window, shape),
        )
        more = make_support([*FOUR, (9, "d", box(300, 300, 330, 330))], name="more.gpkg")
        answer = ask(raster, more, crf=False)
        assert answer.stages == ["features"]
        assert read
        assert all(window.col_off >= 250 and window.width <= 40 for window in read)

    def test_panning_encodes_new_tiles_only(self, ask, make_raster, support, monkeypatch) -> None:
        raster = make_raster(landscape(420, 1000))
        ask(raster, support, (0, 0, 400, 420), crf=False)
        encoded: list[Any] = []
        encode = EncoderRunner.encode
        monkeypatch.setattr(
            EncoderRunner, "encode", lambda self, *rest: encoded.append(rest) or encode(self, *rest)
        )
        answer = ask(raster, support, (350, 0, 750, 420), crf=False)
        assert 0 < len(encoded) < answer.values[-1]["tiles_total"]
        assert answer.values[0]["tiles"] > 0

    def test_scattered_polygons_are_encoded_closely(
        self, ask, make_raster, make_support, monkeypatch
    ) -> None:
        raster = make_raster(landscape(1000, 1200))
        corners = [(20, 20), (1150, 30), (30, 950), (1150, 950)]
        support = make_support(
            [(n, "abcd"[n], box(x, y, x + 12, y + 12)) for n, (x, y) in enumerate(corners)]
        )
        sizes: list[int] = []
        encode = EncoderRunner.encode
        monkeypatch.setattr(
            EncoderRunner,
            "encode",
            lambda self, image, *rest: sizes.append(image[0].numel()) or encode(self, image, *rest),
        )
        ask(raster, support, (500, 400, 700, 600), crf=False)
        # 50 x 50 cells in view with their margin, and at most 3 x 3 patches with theirs around each polygon.
        assert sum(sizes) / 64 <= 1.3 * (50 + 16 + 8) ** 2 + 4 * 40**2

    def test_more_tiles_than_one_preview_encodes(self, ask, raster, support, monkeypatch) -> None:
        monkeypatch.setattr(preview_task, "_MOST_PATCHES", 2)
        answer = ask(raster, support, crf=False, spectral=False, tile=384, scale=4.0)
        assert "Zoom in" in answer.values[-1]["notes"][-1]
        assert answer.values[-1]["tiles_total"] == 2
        assert (answer.labels() != 255).all()

    def test_files_are_unique_and_whole(self, ask, raster, support, folder) -> None:
        answers = [ask(raster, support), ask(raster, support)]
        named = [
            value[key] for answer in answers for value in answer.values for key in ("labels", "uncertainty")
        ]
        assert len(set(named)) == len(named)
        assert sorted(map(str, folder.iterdir())) == sorted(named)
        for value in answers[0].values:
            assert os.path.getsize(value["labels"]) == value["width"] * value["height"]


class TestPictures:
    def test_counts_and_uncertainty(self, ask, make_raster, support) -> None:
        mask = np.ones((HEIGHT, WIDTH), bool)
        mask[300:] = False
        answer = ask(make_raster(landscape(), mask=mask), support, crf=False)
        labels, uncertainty = answer.labels(), answer.uncertainty()
        assert ((labels == 255) == ~mask).all()
        assert ((uncertainty == 255) == ~mask).all()
        assert uncertainty[mask].max() <= 100
        assert len(np.unique(uncertainty[mask])) > 20
        for info in answer.values[-1]["classes"]:
            assert info["pixels"] == (labels == info["id"]).sum()

    def test_uncertainty_is_what_the_margin_leaves(
        self, ask, raster, support, random_model, tmp_path
    ) -> None:
        given = {"model": str(random_model), "device": "cpu", "scale": 2.0, "tile": 384, "crf": False}
        chosen = labeling_options(Preview(0, "r", "s", folder="f", extent=(0, 0, 1, 1), **given))
        chosen = dataclasses.replace(chosen, confidence=tmp_path / "confidence.tif")
        label_raster(raster, support, tmp_path / "full.tif", chosen)
        with rasterio.open(chosen.confidence) as src:
            margin = src.read(2).astype(int)
        difference = ask(raster, support, crf=False).uncertainty() - (100 - margin)
        assert abs(difference).max() <= 1

    def test_zoomed_out(self, ask, full_run, make_raster, support) -> None:
        raster = make_raster(landscape(840, 1001))
        answer = ask(raster, support, (0, 0, 1001, 840), size=(334, 280))
        assert (answer.values[-1]["width"], answer.values[-1]["height"]) == (333, 280)
        fine = full_run(raster, support)[1::3, 1::3][:, :333]
        assert (answer.labels() == fine).mean() > 0.9
        assert sum(info["pixels"] for info in answer.values[-1]["classes"]) == 999 * 840

    def test_corners(self, ask, raster, support, transform) -> None:
        value = ask(raster, support, (100, 50, 300, 200), crf=False).values[-1]
        expected = [transform @ point for point in ((100, 50), (300, 50), (300, 200), (100, 200))]
        assert np.allclose(value["corners"], expected)

    def test_corners_of_a_rotated_raster(self, ask, make_raster, make_support, transform) -> None:
        turned = transform @ Affine.rotation(30)
        raster = make_raster(landscape(), transform=turned)
        answer = ask(raster, make_support(FOUR, transform=turned), crf=False)
        value = answer.values[-1]
        points = [~turned @ tuple(corner) for corner in value["corners"]]
        lefts, tops = zip(*points, strict=True)
        assert max(lefts) - min(lefts) == pytest.approx(value["width"])
        assert max(tops) - min(tops) == pytest.approx(value["height"])
        assert points[0] == pytest.approx((min(lefts), min(tops)), abs=1e-6)

    @pytest.mark.parametrize("upside_down", [True, False])
    def test_corners_without_georeference(self, ask, make_raster, make_support, upside_down) -> None:
        sign = -1.0 if upside_down else 1.0
        shown = Affine.scale(1, sign)
        raster = make_raster(landscape(), transform=Affine.identity(), crs=None)
        support = make_support(FOUR, transform=shown, crs=None)
        extent = (100.0, -200.0, 300.0, -50.0) if upside_down else (100.0, 50.0, 300.0, 200.0)
        value = ask(raster, support, crf=False, extent=extent).values[-1]
        assert value["corners"] == [[100, sign * 50], [300, sign * 50], [300, sign * 200], [100, sign * 200]]

    def test_names_of_the_user(self, ask, raster, support) -> None:
        names = ({"id": 5, "name": "Water", "color": "#0000ff"},)
        value = ask(raster, support, crf=False, classes=names).values[-1]
        assert [info["name"] for info in value["classes"]] == ["a", "b", "Water", "d"]


class TestErrors:
    def test_one_class(self, ask, raster, make_support) -> None:
        answer = ask(raster, make_support(FOUR[:1]))
        assert isinstance(answer.final, Error) and answer.final.kind == "user"
        assert "only one class" in answer.final.message and not answer.values

    def test_view_outside(self, ask, raster, support) -> None:
        final = ask(raster, support, extent=(0.0, 0.0, 10.0, 10.0)).final
        assert isinstance(final, Error) and "outside the raster" in final.message

    def test_raster_that_vanishes(self, ask, raster, support) -> None:
        with rasterio.open(raster) as src:
            known = tuple(src.bounds)
        ask(raster, support, crf=False)
        raster.unlink()
        final = ask(raster, support, extent=known, crf=False).final
        assert isinstance(final, Error) and final.kind == "user"
        assert "does not exist" in final.message

    def test_raster_that_changes(self, ask, make_raster, support, full_run) -> None:
        first = ask(make_raster(landscape(seed=1)), support, crf=False)
        raster = make_raster(landscape(seed=4))
        second = ask(raster, support, crf=False)
        assert second.stages[0] == "coarse"
        assert (second.labels() == full_run(raster, support, crf=False)).mean() >= 0.9999
        assert (first.labels() != second.labels()).any()

    def test_folder_that_is_gone(self, ask, raster, support, folder) -> None:
        folder.rmdir()
        final = ask(raster, support, crf=False).final
        assert isinstance(final, Error) and final.kind == "user" and "free some space" in final.message


class TestCancel:
    def test_in_the_middle_of_a_tile(self, ask, raster, support, monkeypatch) -> None:
        slow, encode = threading.Event(), EncoderRunner.encode

        def encode_slowly(self: EncoderRunner, *rest: Any) -> Any:
            slow.set()
            time.sleep(2)
            return encode(self, *rest)

        monkeypatch.setattr(EncoderRunner, "encode", encode_slowly)
        cancel, asked = CancelToken(), []

        def stop() -> None:
            assert slow.wait(60)
            asked.append(time.monotonic())
            cancel.cancel()

        thread = threading.Thread(target=stop)
        thread.start()
        answer = ask(raster, support, cancel=cancel)
        ended = time.monotonic()
        thread.join()
        assert isinstance(answer.final, Cancelled)
        assert ended - asked[0] < 1
        # What was begun is not lost, and the next one is as good as ever.
        monkeypatch.undo()
        assert ask(raster, support).stages[-1] == "refined"

    def test_in_the_refinement(self, ask, raster, support) -> None:
        cancel = CancelToken()

        def stop(reply: Reply) -> None:
            if isinstance(reply, Partial) and reply.value["stage"] == "features":
                threading.Timer(0.1, cancel.cancel).start()

        answer = ask(raster, support, cancel=cancel, on_reply=stop)
        if isinstance(answer.final, Cancelled):  # else it was faster than that
            assert "refined" not in answer.stages
        assert ask(raster, support).stages == ["features", "refined"]


class TestWorkbench:
    def test_encoder_is_loaded_again_when_its_file_changes(self, random_model, raster) -> None:
        bench = Workbench()
        try:
            task = Preview(0, str(raster), "s", folder="f", extent=(0, 0, 1, 1), model=str(random_model))
            options = labeling_options(task)
            first = bench.encoder(options)
            assert bench.encoder(options) is first
            os.utime(random_model, (1, 1))
            assert bench.encoder(options) is not first
            assert bench.encoder(dataclasses.replace(options, model="no.safetensors")).exception()
        finally:
            bench.close()

    def test_few_rasters_are_kept(self, make_raster, random_model) -> None:
        bench = Workbench()
        try:
            paths = [make_raster(landscape(40, 50), name=f"{n}.tif") for n in range(5)]
            task = Preview(0, "r", "s", folder="f", extent=(0, 0, 1, 1), model=str(random_model))
            options = labeling_options(task)
            opened = [bench.rasters(str(path), options)[0] for path in paths]
            assert [raster.source._src.closed for raster in opened] == [True, True, False, False, False]
            assert bench.rasters(str(paths[-1]), options)[0] is opened[-1]
            (stretched,) = bench.rasters(
                str(paths[-1]), dataclasses.replace(options, stretch=Stretch((0, 0, 0), (99, 99, 99)))
            )
            assert stretched.source.stretch.high == (99, 99, 99)
        finally:
            bench.close()


class TestView:
    @pytest.mark.parametrize(
        ("size", "step"),
        [((500, 420), 1), ((1000, 1000), 1), ((450, 380), 1), ((250, 210), 2), ((100, 84), 5)],
    )
    def test_step(self, raster, size, step) -> None:
        with RasterSource(raster) as source:
            view = View.of(source, source.window, size[0] * size[1], 60)
            assert view.step == step
            assert (view.inner.width, view.inner.height) == (WIDTH // step, HEIGHT // step)

    def test_margin_is_cut_at_the_edge(self, raster) -> None:
        with RasterSource(raster) as source:
            window = rasterio.windows.Window(20, 100, 200, 100)
            view = View.of(source, window, 200 * 100, 60)
            assert view.outer.flatten() == (0, 40, 280, 220)


class TestUncertain:
    @pytest.mark.parametrize(
        ("polygons", "side"), [(SMALL, 20 * 6), (FOUR, HEIGHT // 3)], ids=["small", "large"]
    )
    def test_places(self, runner, raster, make_support, random_model, transform, polygons, side) -> None:
        given = {"model": str(random_model), "device": "cpu", "scale": 2.0, "tile": 384}
        task = Uncertain(1, str(raster), str(make_support(polygons)), count=3, **given)
        reply = runner.answer(task, lambda reply: None, CancelToken())
        assert isinstance(reply, Result), reply
        places = reply.value["places"]
        assert 1 <= len(places) <= 3
        for place in places:
            left, bottom, right, top = place["extent"]
            assert 0 < place["uncertainty"] <= 100
            col, row = ~transform @ ((left + right) / 2, (bottom + top) / 2)
            assert 0 <= col <= WIDTH and 0 <= row <= HEIGHT
            # Twenty typical polygons, but no more than a third of the raster.
            assert right - left == pytest.approx(0.6 * side) == top - bottom
        assert len({tuple(place["extent"]) for place in places}) == len(places)

    def test_the_class_that_is_missing_comes_first(self) -> None:
        image = np.full((3, 100, 100), 60, np.float32)
        image[:, 60:90, 55:95] = 200
        uncertainty = np.where(image[0] > 100, 80, 10).astype(np.float32)
        uncertainty[10, 10] = 100  # one odd pixel helps nobody
        usable = np.ones((100, 100), bool)
        first, *others = choose_places(uncertainty, usable, image, 9, 40, 5)
        assert 60 <= first.row < 90 and 55 <= first.col < 95
        assert first.uncertainty == pytest.approx(80, abs=1)
        assert all(abs(p.row - first.row) >= 40 or abs(p.col - first.col) >= 40 for p in others)

    def test_what_is_covered_is_left_out(self) -> None:
        uncertainty = np.full((60, 60), 50, np.float32)
        usable = np.zeros((60, 60), bool)
        usable[:, 40:] = True
        places = choose_places(uncertainty, usable, np.full((3, 60, 60), 9, np.float32), 5, 10, 4)
        assert places and all(place.col >= 40 for place in places)

    def test_nothing_to_choose_from(self) -> None:
        nothing = np.zeros((20, 20), np.float32)
        assert choose_places(nothing, np.zeros((20, 20), bool), nothing[None], 3, 5, 4) == []


def _half(encoder: Any) -> Any:
    half = copy.deepcopy(encoder)
    half.backbone = HalfPrecision(half.backbone)
    return half


def _never(*arguments: Any) -> None:
    raise AssertionError("nothing should be encoded")
