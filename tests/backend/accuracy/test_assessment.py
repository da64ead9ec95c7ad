"""From files to numbers, and what is said when that cannot be."""

from __future__ import annotations

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely

from backend.accuracy import mapped
from backend.accuracy.assessment import assess
from backend.accuracy.estimation import StratifiedSample, Tally
from backend.accuracy.numbers import numbers
from backend.accuracy.sample_design import SampleDesign
from backend.accuracy.sampling import draw_sample
from backend.errors import AssessmentError, Cancelled, ProtolabelError
from backend.progress import CancelToken, Progress


@pytest.fixture
def truth(thirds) -> np.ndarray:
    """The map's thirds with a shifted border, and errors here and there."""
    rng = np.random.default_rng(0)
    moved = np.roll(thirds, 2, axis=1)
    wrong = rng.random(thirds.shape) < 0.1
    result = np.where(wrong, rng.choice(np.array([1, 2, 5], np.uint8), thirds.shape), moved)
    result[0] = 5  # where the map has no label
    return result.astype(np.uint8)


def confusion(mapped_ids, truth_ids, where) -> np.ndarray:
    """The plain reference: pixel by pixel."""
    result = np.zeros((3, 3), np.int64)
    for place in zip(*np.nonzero(where & (mapped_ids != 255) & (truth_ids != 255)), strict=True):
        result[[1, 2, 5].index(mapped_ids[place]), [1, 2, 5].index(truth_ids[place])] += 1
    return result


def label_points(path, truth_ids) -> None:
    """Does the analyst's work: the class of each point from the truth."""
    meta, _, wkb, values = pyogrio.raw.read(path)
    fields = dict(zip(meta["fields"], values, strict=True))
    cols, rows = (
        ((shapely.get_coordinates(shapely.from_wkb(wkb)) - [500_000, 5_400_000]) / [10, -10]).astype(int).T
    )
    fields["class_id"] = truth_ids[rows, cols].astype(np.int32)
    pyogrio.raw.write(
        path, wkb, list(fields.values()), list(fields), layer="points", geometry_type="Point", crs=meta["crs"]
    )


class TestRaster:
    @pytest.mark.parametrize("block", [7, 1024])
    def test_a_census_is_exact(self, block, make_map, make_vector, thirds, truth, monkeypatch) -> None:
        monkeypatch.setattr(mapped, "_BLOCK", block)
        polygon = shapely.box(5, 5, 18, 20)
        support = make_vector([polygon], {"class_id": [1]}, name="support.gpkg")
        seen: list[Progress] = []
        found = assess(
            make_map(thirds), make_map(truth, "truth.tif", nodata=None), support=support, progress=seen.append
        )
        outside = np.ones(thirds.shape, bool)
        outside[5:20, 5:18] = False
        expected = confusion(thirds, truth, outside)
        np.testing.assert_array_equal(found.matrix, expected)
        assert (found.kind, found.design, found.counted) == ("raster", "census", expected.sum())
        assert (found.removed, found.outside) == (15 * 13, 60)
        assert found.estimates.overall.value == pytest.approx(np.trace(expected) / expected.sum())
        assert found.estimates.overall.se == 0
        hectares = expected.sum(axis=0) * 0.01
        areas = [item.value for item in found.areas]
        np.testing.assert_allclose(areas, hectares)
        np.testing.assert_allclose(found.mapped, expected.sum(axis=1) * 0.01)
        assert found.unit == "ha" and found.pixels == expected.sum()
        assert seen[-1].done == seen[-1].total and seen[-1].stage == "assessing"

    def test_a_part_is_weighted_by_the_whole_map_s_areas(self, make_map, thirds, truth) -> None:
        truth[:, 30:] = np.where(np.arange(40)[:, None] < 20, truth[:, 30:], 255)
        found = assess(make_map(thirds), make_map(truth, "truth.tif"))
        assert found.design == "partial"
        counts = confusion(thirds, truth, np.ones(thirds.shape, bool))
        expected = StratifiedSample(Tally.of_matrix(counts), np.full(3, 780), counts.sum(axis=1)).estimates(3)
        assert found.estimates.overall.value == expected.overall.value
        assert np.isnan(found.estimates.overall.se) and np.isnan(found.estimates.shares[0].low)
        assert "no intervals" in found.statement

    def test_classes_that_do_not_occur_are_left_out(self, make_map, thirds) -> None:
        labels = make_map(np.where(thirds == 5, 1, thirds))
        found = assess(labels, make_map(np.where(thirds == 5, 2, thirds), "truth.tif"))
        assert [info.name for info in found.classes] == ["forest", "water"]
        assert found.matrix.tolist() == [[780, 780], [0, 780]]

    def test_degrees_are_measured_on_the_ellipsoid(self, make_map, thirds) -> None:
        place = rasterio.Affine(0.0001, 0, 15, 0, -0.0001, 60)
        truth = make_map(np.where(thirds == 5, 1, thirds), "t.tif", crs="EPSG:4326", transform=place)
        found = assess(make_map(thirds, crs="EPSG:4326", transform=place), truth)
        third = shapely.box(15, 60 - 0.004, 15.002, 60 - 0.0001)
        expected = abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(third)[0]) / 1e4
        np.testing.assert_allclose(found.mapped, expected, rtol=1e-6)

    def test_without_a_system_pixels_are_counted(self, make_map, thirds, truth) -> None:
        found = assess(make_map(thirds, crs=None), make_map(truth, "truth.tif", crs=None))
        assert found.unit == "px"
        np.testing.assert_allclose(found.mapped, 780)

    def test_a_map_from_elsewhere(self, make_map, thirds, truth, tmp_path) -> None:
        labels = make_map(thirds, classes=())
        (tmp_path / "map.tif.aux.xml").write_text(
            '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category></Category><Category>wood</Category>'
            "</CategoryNames></PAMRasterBand></PAMDataset>"
        )
        with rasterio.open(labels, "r+") as dst:
            dst.write_colormap(1, {1: (10, 20, 30, 255)})
        found = assess(labels, make_map(truth, "truth.tif"))
        assert [info.name for info in found.classes] == ["wood", "class 2", "class 5"]
        assert found.classes[0].color == (10, 20, 30)


class TestPoints:
    def test_drawn_points_give_the_estimates_of_their_design(
        self, make_map, make_vector, thirds, truth, tmp_path
    ) -> None:
        labels, points = make_map(thirds), tmp_path / "points.gpkg"
        draw_sample(labels, points, SampleDesign(count=150, minimum=30, seed=3))
        label_points(points, truth)
        found = assess(labels, points)
        assert (found.kind, found.design, found.counted) == ("points", "stratified", 150)
        sample = StratifiedSample(Tally.of_matrix(found.matrix), np.full(3, 780), found.matrix.sum(axis=1))
        expected = sample.estimates(3)
        assert found.estimates.overall == expected.overall and found.estimates.users == expected.users
        right = (thirds == truth)[1:].mean()
        assert found.estimates.overall.low < right < found.estimates.overall.high
        assert 0 < found.estimates.overall.se < 0.05

        # The same points on a new map: its classes are no longer the strata.
        newer = np.where(np.arange(40)[:, None] < 25, truth, thirds).astype(np.uint8)
        newer[0] = 255
        again = assess(make_map(newer, "newer.tif"), points)
        assert again.design == "stratified" and again.counted == 150
        assert again.estimates.overall.value > found.estimates.overall.value
        right = (newer == truth)[1:].mean()
        assert again.estimates.overall.low < right <= again.estimates.overall.high

        # Points that came to lie under support are out, but were drawn all the same.
        support = make_vector([shapely.box(0, 0, 10, 40)], {"class_id": [1]}, name="support.gpkg")
        less = assess(labels, points, support=support)
        assert less.removed > 0 and less.counted == 150 - less.removed
        assert less.pixels == 2340 - 390 and less.represented == pytest.approx(19.5)
        assert any("stand for 2,340 pixels, but the map has 1,950" in note for note in less.notes)

    def test_a_part_that_is_labelled_serves_already(self, make_map, make_vector, thirds) -> None:
        fields = {
            "class_id": [1, 1, 2, None, None, 2], "map_class": [1, 1, 2, 2, 5, 2],
            "stratum_pixels": [780] * 6, "skipped": [0, 0, 0, 0, 0, 1],
        }  # fmt: skip
        places = [shapely.Point(x, 5) for x in (3, 4, 25, 26, 50, 27)]
        found = assess(make_map(thirds), make_vector(places, fields))
        assert (found.counted, found.unlabelled, found.skipped) == (3, 2, 1)
        notes = " ".join(found.notes)
        assert "tells nothing of what the map shows as field (33.3 % of the map)" in notes
        # Of a class without a labelled point no area is known.
        assert found.represented == pytest.approx(2 * 7.8)
        assert [item.value for item in found.areas] == [pytest.approx(7.8), pytest.approx(7.8), 0]
        assert "water: a single point gives no standard error" in notes
        assert "1 points were skipped" in notes
        assert "No error was found in what the map shows as forest (they may be up to about 100%)" in notes
        assert numbers(found)["overall"]["se"] is None

    def test_points_of_one_s_own_are_taken_as_random(self, make_map, make_vector, thirds) -> None:
        places = [shapely.Point(x + 0.5, y + 0.5) for x in (1, 9, 18, 23, 33, 45, 58) for y in (3, 12, 30)]
        classes = [5 if x.y > 20 else int(thirds[int(x.y), int(x.x)]) for x in places]
        outside = [shapely.Point(-5, 3), shapely.Point(70, 3), shapely.Point(5, 0.5)]
        path = make_vector([*places, *outside], {"class_id": [*classes, 1, 1, 1]})
        found = assess(make_map(thirds), path)
        assert (found.design, found.counted, found.outside) == ("assumed", 21, 3)
        assert "taken as drawn" in found.statement or "take the points as drawn" in found.statement
        expected = StratifiedSample(
            Tally.of_matrix(found.matrix), np.full(3, 780), found.matrix.sum(axis=1)
        ).estimates(3)
        assert found.estimates.shares == expected.shares


def test_polygons_are_clusters(make_map, make_vector, thirds) -> None:
    boxes = [shapely.box(x, y, x + 4, y + 4) for x in (2, 10, 18, 24, 36, 44, 54) for y in (4, 20)]
    classes = [1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 5, 5, 5, 5]
    support = make_vector([boxes[0], boxes[1]], {"class_id": [1, 1]}, name="support.gpkg")
    found = assess(make_map(thirds), make_vector(boxes, {"class_id": classes}), support=support)
    assert (found.kind, found.design, found.removed) == ("polygons", "clusters", 32)
    truth = np.full(thirds.shape, 255, np.uint8)
    for box, class_id in zip(boxes[2:], classes[2:], strict=True):
        left, top, right, bottom = map(int, box.bounds)
        truth[top:bottom, left:right] = class_id
    np.testing.assert_array_equal(found.matrix, confusion(thirds, truth, np.ones(thirds.shape, bool)))
    assert found.estimates.shares == () and found.estimates.overall.se > 0
    assert all(entry["area"]["value"] is None for entry in numbers(found)["classes"])


class TestFaults:
    def test_one_sentence_each(self, make_map, make_vector, thirds) -> None:
        labels = make_map(thirds)
        everything = make_vector([shapely.box(0, 0, 60, 40)], {"class_id": [1]}, name="support.gpkg")
        single = make_map(np.full((40, 60), 1, np.uint8), "single.tif")
        nothing = make_map(np.full((40, 60), 255, np.uint8), "nothing.tif")
        corner = make_vector([shapely.box(0, 0, 9, 1)], {"class_id": [1]}, name="corner.gpkg")
        point = make_vector([shapely.Point(80, 5)], {"class_id": [1]}, name="point.gpkg")
        empty = make_vector([shapely.Point(80, 5)], {"class_id": [None]}, name="empty.gpkg")
        truth = make_map(thirds, "truth.tif")
        cases = [
            ((labels, truth, "class_id", everything), "lies under the support polygons"),
            ((labels, nothing), "has no pixel with a class on the label map"),
            ((nothing, truth), "the label map has no label|no label where"),
            ((labels, corner), "no label where the reference"),
            ((labels, point), "no label where the reference"),
            ((labels, empty), "label some of them first"),
            ((single, truth), "label map .* holds a single class \\(forest\\)"),
            ((labels, single), "reference .* holds a single class \\(forest\\)"),
            ((make_map(thirds, "x.tif", classes=()[:0], nodata=None).with_name("gone.tif"), truth), "cannot be read"),
            ((make_map(np.full((9, 9), 7, np.uint8), "odd.tif"), truth), "class id 7, which its list of classes lacks"),
            ((make_map(np.full((9, 9), 255, np.uint8), "e.tif", classes=()), truth), "no labelled pixel"),
            ((make_map(np.arange(1500, dtype=np.int32)[None].repeat(2, 0), "m.tif", classes=(), nodata=-1), truth),
             "classes; one with at most 1000"),
        ]  # fmt: skip
        for arguments, says in cases:
            with pytest.raises(ProtolabelError, match=says) as caught:
                assess(*arguments)
            text = str(caught.value)
            assert text.endswith(".") and "\n" not in text and len(text) < 500, text

    def test_cancelled(self, make_map, thirds) -> None:
        cancel = CancelToken()
        cancel.cancel()
        with pytest.raises(Cancelled):
            assess(make_map(thirds), make_map(thirds, "truth.tif"), cancel=cancel)

    def test_support_elsewhere_is_told(self, make_map, make_vector, thirds, truth) -> None:
        support = make_vector([shapely.box(900, 0, 909, 9)], {"class_id": [1]})
        found = assess(make_map(thirds), make_map(truth, "truth.tif"), support=support)
        assert found.removed == 0 and any("none of it is left out" in note for note in found.notes)

    def test_a_support_layer_without_support(self, make_map, make_vector, thirds) -> None:
        support = make_vector([shapely.box(0, 0, 9, 9)], {"class_id": [1], "use": ["validation"]})
        with pytest.raises(ProtolabelError, match="holds no support polygon"):
            assess(make_map(thirds), make_map(thirds, "truth.tif"), support=support)


class TestConfidence:
    def test_by_pixel(self, make_map, thirds, truth) -> None:
        rng = np.random.default_rng(2)
        percent = np.stack([rng.integers(0, 101, thirds.shape), np.zeros(thirds.shape)]).astype(np.uint8)
        percent[:, 0] = 255
        confidence = make_map(percent, "confidence.tif", classes=())
        found = assess(make_map(thirds), make_map(truth, "truth.tif"), confidence=confidence)
        assert found.reliability is not None
        where = thirds != 255
        values, right = percent[0][where] / 100, (thirds == truth)[where]
        number = np.minimum((values * 10 + 1e-9).astype(int), 9)
        ece = 0.0
        for place, item in enumerate(found.reliability.bins):
            inside = number == place
            assert item.count == inside.sum()
            assert item.confidence == pytest.approx(values[inside].mean())
            assert item.accuracy == pytest.approx(right[inside].mean())
            ece += inside.mean() * abs(values[inside].mean() - right[inside].mean())
        assert found.reliability.ece == pytest.approx(ece)

    def test_points_stand_for_their_strata(self, make_map, make_vector, thirds) -> None:
        percent = np.where(thirds == 1, 95, 55)[None].astype(np.uint8)
        confidence = make_map(percent, "confidence.tif", classes=())
        fields = {
            "class_id": [1, 2, 2, 2, 2, 1], "map_class": [1, 1, 2, 2, 2, 2], "stratum_pixels": [100, 100] + [900] * 4,
        }  # fmt: skip
        places = [shapely.Point(x, 5) for x in (3, 4, 24, 25, 26, 27)]
        found = assess(make_map(thirds), make_vector(places, fields), confidence=confidence)
        assert found.reliability is not None
        five, nine = found.reliability.bins[5], found.reliability.bins[9]
        assert (five.accuracy, nine.accuracy) == (0.75, 0.5)
        assert (five.share, nine.share) == (pytest.approx(0.9), pytest.approx(0.1))
        assert found.reliability.ece == pytest.approx(0.9 * 0.2 + 0.1 * 0.45)

    @pytest.mark.parametrize(
        ("values", "options", "says"),
        [
            (np.zeros((39, 60), np.uint8), {}, "another grid"),
            (np.zeros((40, 60), np.uint8), {"crs": "EPSG:32634"}, "another grid"),
            (
                np.zeros((40, 60), np.uint8),
                {"transform": rasterio.Affine(9, 0, 5e5, 0, -9, 54e5)},
                "another grid",
            ),
            (np.zeros((40, 60), np.float32), {}, "float32 values, not percent"),
            (np.full((40, 60), 200, np.uint8), {}, "values above 100"),
        ],
    )
    def test_what_cannot_serve(self, values, options, says, make_map, thirds) -> None:
        confidence = make_map(values, "confidence.tif", classes=(), **options)
        with pytest.raises(AssessmentError, match=says):
            assess(make_map(thirds), make_map(thirds, "truth.tif"), confidence=confidence)
