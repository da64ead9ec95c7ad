"""References on the map's grid, against plain ways to get there."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from rasterio.windows import Window

from backend.accuracy.class_values import match_classes
from backend.accuracy.mapped import LabelMap
from backend.accuracy.reference import open_reference
from backend.errors import AssessmentError, ProtolabelError, RasterError


def whole(labels: LabelMap) -> Window:
    return Window(0, 0, labels.width, labels.height)


def opened(path, labels, field="class_id", notes=None):
    return open_reference(path, field, labels, [] if notes is None else notes, ExitStack())


def as_array(units, labels: LabelMap) -> np.ndarray:
    result = np.full((labels.height, labels.width), -1)
    result[units.rows, units.cols] = units.reference
    return result


class TestRaster:
    def test_another_system_and_grid_is_met_by_the_nearest_pixel(self, make_map, thirds) -> None:
        rng = np.random.default_rng(0)
        truth = rng.choice(np.array([1, 2, 5, 255], np.uint8), (60, 70))
        place = rasterio.Affine(0.00011, 0, 14.9975, 0, -0.00008, 48.7516)
        with LabelMap(make_map(thirds)) as labels:
            reference = opened(make_map(truth, "truth.tif", crs="EPSG:4326", transform=place), labels)
            assert reference.kind == "raster"
            found = as_array(reference.units(whole(labels)), labels)
            cols, rows = np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5)
            x, y = labels.transform @ (cols, rows)
            lon, lat = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)
            near_col, near_row = ~place @ (lon, lat)
            inside = (near_col >= 0) & (near_col < 70) & (near_row >= 0) & (near_row < 60)
            values = truth[near_row.astype(int).clip(0, 59), near_col.astype(int).clip(0, 69)]
            expected = np.where(inside & (values != 255), np.searchsorted([1, 2, 5], values), -1)
            assert 0 < (expected >= 0).sum() < expected.size
            # A pixel centre within a thousandth of an edge may fall to either side.
            edge = np.minimum(abs(near_col - near_col.round()), abs(near_row - near_row.round())) < 0.005
            np.testing.assert_array_equal(found[~edge], expected[~edge])

    def test_beyond_its_edge_there_is_no_class(self, make_map, thirds) -> None:
        # Without nodata, GDAL would fill what lies beyond with 0, which is a class here.
        classes = ((0, "other", "#000000"), (1, "forest", "#00ff00"))
        east = rasterio.Affine(10, 0, 500_300, 0, -10, 5_400_000)
        with LabelMap(make_map(thirds % 2, classes=classes)) as labels:
            truth = make_map(np.ones((40, 60), np.uint8), "truth.tif", transform=east, nodata=None)
            found = as_array(opened(truth, labels).units(whole(labels)), labels)
            assert (found[:, :30] == -1).all() and (found[:, 30:] == 1).all()

    def test_windows_are_parts_of_the_whole(self, make_map, thirds) -> None:
        turned = rasterio.Affine.translation(500_000, 5_400_000) @ rasterio.Affine.rotation(-20)
        turned @= rasterio.Affine.scale(9, -9)
        rng = np.random.default_rng(1)
        with LabelMap(make_map(thirds)) as labels:
            truth = make_map(rng.choice(np.array([1, 2], np.uint8), (50, 50)), "t.tif", transform=turned)
            reference = opened(truth, labels)
            full = as_array(reference.units(whole(labels)), labels)
            part = reference.units(Window(13, 7, 20, 10))
            found = np.full((10, 20), -1)
            found[part.rows, part.cols] = part.reference
            np.testing.assert_array_equal(found, full[7:17, 13:33])

    def test_without_a_system_the_grid_must_be_the_same(self, make_map, thirds) -> None:
        with LabelMap(make_map(thirds, crs=None)) as labels:
            same = opened(make_map(thirds, "same.tif", crs=None), labels)
            assert len(same.units(whole(labels))) == 60 * 39
            with pytest.raises(AssessmentError, match="another grid"):
                opened(make_map(thirds[:20], "part.tif", crs=None), labels)

    @pytest.mark.parametrize(
        ("values", "options", "says"),
        [
            (np.zeros((3, 8, 8), np.uint8), {}, "3 bands"),
            (np.zeros((8, 8), np.float32), {"nodata": None}, "float32 values"),
            (np.full((40, 60), 9, np.uint8), {}, "holds 9, but the classes of the label map are 1 forest, 2 water, 5"),
            (np.ones((4, 6), np.uint8), {"transform": rasterio.Affine(10, 0, 900_000, 0, -10, 0)}, "not overlap"),
        ],
    )  # fmt: skip
    def test_what_cannot_serve(self, values, options, says, make_map, thirds) -> None:
        with LabelMap(make_map(thirds)) as labels, pytest.raises(ProtolabelError, match=says):
            opened(make_map(values, "truth.tif", **options), labels).units(whole(labels))

    def test_a_broken_file_is_called_by_its_name(self, make_map, thirds, tmp_path) -> None:
        rng = np.random.default_rng(0)
        truth = make_map(rng.choice(np.array([1, 2], np.uint8), (400, 600)), "truth.tif", compress="deflate")
        truth.write_bytes(truth.read_bytes()[:4000])
        (tmp_path / "noise.gpkg").write_bytes(rng.bytes(500))
        with LabelMap(make_map(thirds)) as labels:
            with pytest.raises(RasterError, match=r"reference \S*truth\.tif cannot be read"):
                opened(truth, labels).units(whole(labels))
            with pytest.raises(RasterError, match=r"noise\.gpkg cannot be read"):
                opened(tmp_path / "noise.gpkg", labels)
            with pytest.raises(RasterError, match=r"gone\.tif cannot be read"):
                opened(tmp_path / "gone.tif", labels)


class TestPolygons:
    def test_pixels_by_their_centres_each_once(self, make_map, make_vector, thirds) -> None:
        shapes = [shapely.box(2, 2, 6, 5), shapely.box(4, 3, 8, 7), shapely.box(30, 3, 33, 5)]
        with LabelMap(make_map(thirds)) as labels:
            units = opened(make_vector(shapes, {"class_id": [1, 1, 5]}), labels).units(whole(labels))
            expected = np.full((40, 60), -1)
            expected[2:5, 2:6] = expected[3:7, 4:8] = 0
            expected[3:5, 30:33] = 2
            np.testing.assert_array_equal(as_array(units, labels), expected)
            assert len(units) == (expected >= 0).sum()
            assert np.bincount(units.group).tolist() == [12, 16 - 4, 6]

    def test_overlaps_of_two_classes_do_not_count(self, make_map, make_vector, thirds) -> None:
        notes: list[str] = []
        shapes = [shapely.box(2, 2, 6, 6), shapely.box(4, 2, 8, 6)]
        with LabelMap(make_map(thirds)) as labels:
            units = opened(make_vector(shapes, {"class_id": [1, 2]}), labels, notes=notes).units(
                whole(labels)
            )
        assert len(units) == 16 and set(units.cols[units.reference == 0]) == {2, 3}
        assert any("overlap (forest and water)" in note and "do not count" in note for note in notes)

    def test_another_system_names_and_use(self, make_map, make_vector, thirds) -> None:
        """Names in any case; what is support in the same layer does not count."""
        box = shapely.box(500_020, 5_399_920, 500_070, 5_399_980)
        to_degrees = pyproj.Transformer.from_crs(32633, 4326, always_xy=True)
        lon_lat = shapely.transform(
            shapely.segmentize(box, 5), lambda xy: np.stack(to_degrees.transform(xy[:, 0], xy[:, 1]), axis=1)
        )
        path = make_vector(
            [lon_lat, shapely.box(0, 0, 1, 1)], {"kind": [" Water", "nonsense"], "use": ["validation", "support"]},
            name="reference.geojson", crs="EPSG:4326", transform=rasterio.Affine.identity(),
        )  # fmt: skip
        with LabelMap(make_map(thirds)) as labels:
            units = opened(path, labels, "kind").units(whole(labels))
            assert len(units) == 30 and set(units.reference) == {1}
            assert {int(units.rows.min()), int(units.rows.max())} == {2, 7}

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"class": [1]}, "has no field 'class_id'; choose one of class with --class-field"),
            ({"class_id": [3]}, "holds 3, but the classes of the label map"),
            ({"class_id": ["swamp"]}, "holds swamp"),
            ({"class_id": [None]}, "has a class in the field 'class_id'"),
            ({"class_id": [1], "use": ["support"]}, "holds no validation polygon"),
        ],
    )
    def test_what_cannot_serve(self, fields, says, make_map, make_vector, thirds) -> None:
        with LabelMap(make_map(thirds)) as labels, pytest.raises(ProtolabelError, match=says):
            opened(make_vector([shapely.box(2, 2, 9, 9)], fields), labels)

    def test_elsewhere(self, make_map, make_vector, thirds) -> None:
        path = make_vector([shapely.box(900, 2, 909, 9)], {"class_id": [1]})
        with LabelMap(make_map(thirds)) as labels, pytest.raises(AssessmentError, match="No polygon of"):
            opened(path, labels)


class TestPoints:
    def test_pixels_classes_and_what_is_left_out(self, make_map, make_vector, thirds) -> None:
        points = [shapely.Point(x, y) for x, y in ((0.5, 3.5), (25.2, 7.9), (50, 9), (8.5, 8.5), (9.5, 9.5))]
        path = make_vector(points, {"class_id": [1, 5, None, None, 2], "skipped": [0, 0, 0, 1, 1]})
        with LabelMap(make_map(thirds)) as labels:
            reference = opened(path, labels)
            assert reference.kind == "points"
            found = reference.points
            assert (found.rows.tolist(), found.cols.tolist()) == ([3, 7], [0, 25])
            assert found.reference.tolist() == [0, 2]
            assert (found.unlabelled, found.skipped, found.strata) == (1, 2, None)
            part = reference.units(Window(20, 5, 10, 10))
            assert (part.rows.tolist(), part.cols.tolist()) == ([2], [5])

    def test_geojson_in_degrees(self, make_map, make_vector, thirds) -> None:
        to_degrees = pyproj.Transformer.from_crs(32633, 4326, always_xy=True)
        places = [shapely.Point(*to_degrees.transform(500_255, 5_399_925)), shapely.Point(15.0, 0.0)]
        path = make_vector(
            places, {"class_id": ["field", "Water"]}, name="points.geojson", crs="EPSG:4326",
            transform=rasterio.Affine.identity(),
        )  # fmt: skip
        with LabelMap(make_map(thirds)) as labels:
            reference = opened(path, labels)
            assert (reference.points.rows[0], reference.points.cols[0]) == (7, 25)
            assert reference.points.reference.tolist() == [2, 1]
            assert len(reference.units(whole(labels))) == 1

    def test_strata_with_and_without_labels(self, make_map, make_vector, thirds) -> None:
        notes: list[str] = []
        fields = {
            "class_id": [1, 2, None, 5], "map_class": [1, 1, 5, None], "stratum_pixels": [780, 780, 700, None],
        }  # fmt: skip
        path = make_vector([shapely.Point(i, 2) for i in (1, 2, 50, 51)], fields)
        with LabelMap(make_map(thirds)) as labels:
            found = opened(path, labels, notes=notes).points
        assert found.strata.tolist() == [1, 5] and found.sizes.tolist() == [780, 700]
        assert found.group.tolist() == [0, 0]
        assert any("1 points were not drawn with the others" in note for note in notes)

    @pytest.mark.parametrize(
        ("points", "values", "says"),
        [
            ([shapely.Point(1, 2)], [None], "label some of them first"),
            ([shapely.Point(1, 2)], [9], "holds 9"),
        ],
    )
    def test_what_cannot_serve(self, points, values, says, make_map, make_vector, thirds) -> None:
        with LabelMap(make_map(thirds)) as labels, pytest.raises(AssessmentError, match=says):
            opened(make_vector(points, {"class_id": values}), labels)


def test_class_values_of_all_sorts(make_map, thirds) -> None:
    with LabelMap(make_map(thirds)) as labels:

        def match(*values: object) -> list[int]:
            array = np.array(values, object)
            return match_classes(array, "f", "file", labels).tolist()

        assert match(1, 5, None) == [0, 2, -1]
        assert match(2.0, float("nan")) == [1, -1]
        assert match("2", " 5 ", "") == [1, 2, -1]
        assert match("WATER", "Field") == [1, 2]
        for wrong in (3, 1.5, "3", "water2", -1):
            with pytest.raises(AssessmentError, match="classes of the label map are 1 forest"):
                match(wrong, 1)
