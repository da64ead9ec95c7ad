"""Support polygons of every kind become pixels of their class, or are refused with one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely import box

from backend.errors import SupportError
from backend.rasters.class_ids import class_ids
from backend.rasters.source import RasterSource
from backend.rasters.support import ClassInfo, SupportSet, burn_polygon, read_support

from .conftest import NORTH_UP, UTM, MakeRaster, MakeSupport

pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning",
    "ignore:'crs' was not provided:UserWarning",
    "ignore:invalid value encountered:RuntimeWarning",
    "ignore:Non closed ring:RuntimeWarning",
)

HEIGHT, WIDTH = 60, 80
WHOLE = Window(0, 0, WIDTH, HEIGHT)
LEFT, RIGHT = box(5, 5, 15, 15), box(30, 30, 42, 36)  # in pixels
Classes = tuple[ClassInfo, ...]


def ground(geometry: Any, transform: Affine = NORTH_UP) -> Any:
    """From pixels to coordinates."""
    matrix = np.array([[transform.a, transform.d], [transform.b, transform.e]])
    return shapely.transform(geometry, lambda xy: xy @ matrix + [transform.c, transform.f])


@pytest.fixture
def source(make_raster: MakeRaster) -> RasterSource:
    return RasterSource(make_raster(np.ones((3, HEIGHT, WIDTH), np.uint8)))


@pytest.fixture
def plain(make_raster: MakeRaster) -> RasterSource:
    """A raster without any georeference."""
    path = make_raster(np.ones((3, HEIGHT, WIDTH), np.uint8), "plain.tif", None, Affine.identity())
    return RasterSource(path)


def geojson(path: Path, features: Sequence[tuple[Any, dict[str, Any]]], **members: Any) -> Path:
    entries = [
        {"type": "Feature", "properties": values, "geometry": shape and json.loads(shapely.to_geojson(shape))}
        for shape, values in features
    ]
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": entries, **members}), encoding="utf-8"
    )
    return path


def pixels_of(support: SupportSet) -> dict[int, set[tuple[int, int]]]:
    """The (row, column)s of each class id."""
    found: dict[int, set[tuple[int, int]]] = {info.id: set() for info in support.classes}
    for index, label in enumerate(support.labels):
        place = support.bounds(index, WHOLE)
        assert place is not None
        cells = np.add(np.argwhere(support.mask(index, place)), (place.row_off, place.col_off))
        found[support.classes[label].id] |= set(map(tuple, cells.tolist()))
    return found


def cells_of(polygon: Any) -> set[tuple[int, int]]:
    """The pixels whose centres lie inside, written differently."""
    rows, cols = np.indices((HEIGHT, WIDTH)).reshape(2, -1)
    inside = shapely.contains_xy(polygon, cols + 0.5, rows + 0.5)
    return set(zip(rows[inside].tolist(), cols[inside].tolist(), strict=True))


# Files and coordinate systems


@pytest.mark.parametrize("name", ["support.gpkg", "support.shp", "support.fgb", "mit Leer ä 日本.gpkg"])
def test_formats(source: RasterSource, make_support: MakeSupport, name: str) -> None:
    path = make_support([ground(LEFT), ground(RIGHT)], name, kind="Polygon")
    support = read_support(path, source)
    assert support.classes == (ClassInfo(1, "class 1"), ClassInfo(2, "class 2"))
    assert pixels_of(support) == {1: cells_of(LEFT), 2: cells_of(RIGHT)}
    assert support.warnings == ()


@pytest.mark.parametrize("system", ["EPSG:4326", "EPSG:3857", "EPSG:32632", "EPSG:3035"])
def test_reprojection(source: RasterSource, make_support: MakeSupport, system: str) -> None:
    transform = pyproj.Transformer.from_crs(UTM, system, always_xy=True).transform
    # Away from pixel centres, which rounding could move to the other side of an edge.
    shapes = [shapely.transform(s, lambda xy: xy + 0.03) for s in (LEFT, RIGHT)]
    moved = [
        shapely.transform(shapely.segmentize(ground(s), 0.5), lambda xy: np.stack(transform(*xy.T), axis=1))
        for s in shapes
    ]
    support = read_support(make_support(moved, crs=system), source)
    assert pixels_of(support) == {1: cells_of(shapes[0]), 2: cells_of(shapes[1])}


def test_geojson_is_longitude_and_latitude(source: RasterSource, tmp_path: Path) -> None:
    transform = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform
    features = [
        (shapely.transform(ground(s), lambda xy: np.stack(transform(*xy.T), axis=1)), {"class_id": number})
        for number, s in ((7, shapely.buffer(LEFT, 0.1)), (3, shapely.buffer(RIGHT, 0.1)))
    ]
    support = read_support(geojson(tmp_path / "support.geojson", features), source)
    assert pixels_of(support) == {7: cells_of(LEFT), 3: cells_of(RIGHT)}


def test_rotated_raster(make_raster: MakeRaster, make_support: MakeSupport) -> None:
    turned = Affine(0.4, -0.3, 5e5, 0.3, 0.4, 5.4e6)
    source = RasterSource(make_raster(np.ones((HEIGHT, WIDTH), np.uint8), "turned.tif", transform=turned))
    shapes = [shapely.buffer(s, 0.1, join_style="mitre") for s in (LEFT, RIGHT)]
    support = read_support(make_support([ground(s, turned) for s in shapes]), source)
    assert pixels_of(support) == {1: cells_of(LEFT), 2: cells_of(RIGHT)}


def test_polygons_without_a_system(source: RasterSource, make_support: MakeSupport) -> None:
    support = read_support(make_support([ground(LEFT), ground(RIGHT)], crs=None), source)
    assert pixels_of(support)[1] == cells_of(LEFT)
    assert support.warnings == ("The polygons have no coordinate system; the raster's was assumed.",)


def test_raster_in_a_local_system(make_raster: MakeRaster, make_support: MakeSupport) -> None:
    path = make_raster(np.ones((HEIGHT, WIDTH), np.uint8), crs='LOCAL_CS["x",UNIT["metre",1]]')
    support = read_support(make_support([ground(LEFT), ground(RIGHT)], crs=UTM), RasterSource(path))
    assert pixels_of(support)[1] == cells_of(LEFT)
    assert "local" in support.warnings[0]


def test_pixel_coordinates(plain: RasterSource, tmp_path: Path) -> None:
    # GeoJSON always has a system; it is not taken seriously here.
    features = [(LEFT, {"class_id": 1}), (RIGHT, {"class_id": 2})]
    support = read_support(geojson(tmp_path / "support.json", features), plain)
    assert pixels_of(support) == {1: cells_of(LEFT), 2: cells_of(RIGHT)}
    assert "taken as they are" in support.warnings[0]


@pytest.mark.parametrize("reach", [0.0, 3.0])
def test_pixel_coordinates_as_qgis_shows_them(
    plain: RasterSource, make_support: MakeSupport, reach: float
) -> None:
    shapes = [box(5, -reach, 15, 15), RIGHT]
    drawn = [shapely.transform(s, lambda xy: xy * [1, -1]) for s in shapes]
    support = read_support(make_support(drawn, crs=None), plain)
    assert pixels_of(support) == {1: cells_of(shapes[0]), 2: cells_of(RIGHT)}
    assert support.warnings == (
        "The raster has no georeference; the polygons' negative y was taken as rows.",
    )


def test_pixel_coordinates_that_reach_over_the_top(plain: RasterSource, make_support: MakeSupport) -> None:
    shapes = [box(5, -3, 15, 5), box(30, -4, 40, 6)]
    support = read_support(make_support(shapes, crs=None), plain)
    assert pixels_of(support) == {1: cells_of(shapes[0]), 2: cells_of(shapes[1])}


def test_georeference_without_a_system(make_raster: MakeRaster, make_support: MakeSupport) -> None:
    path = make_raster(np.ones((HEIGHT, WIDTH), np.uint8), crs=None)
    support = read_support(make_support([ground(LEFT), ground(RIGHT)], crs=UTM), RasterSource(path))
    assert pixels_of(support) == {1: cells_of(LEFT), 2: cells_of(RIGHT)}


def test_reprojection_that_fails(source: RasterSource, make_support: MakeSupport) -> None:
    shapes = [box(14.9, 48.7, 15.1, 48.8), box(1e12, 0, 1e12 + 1e6, 1e6)]
    with pytest.raises(
        SupportError, match=r"Feature 2 of .*support\.gpkg cannot be brought .*check the coord"
    ):
        read_support(make_support(shapes, crs="EPSG:4326"), source)


def test_layers(source: RasterSource, make_support: MakeSupport) -> None:
    shapes = [ground(LEFT), ground(RIGHT)]
    make_support([shapely.Point(0, 0)], layer="points", kind="Point")
    make_support(shapes, layer="parcels", kind="MultiPolygon", owner=["a", "b"])
    path = make_support(shapes, layer="støtte", kind="Polygon")
    assert read_support(path, source).warnings == ()
    make_support(shapes[::-1], layer="other", kind="Polygon")
    support = read_support(path, source)
    assert pixels_of(support)[1] == cells_of(LEFT)
    assert "has the layers støtte, other; støtte is used" in support.warnings[0]
    assert pixels_of(read_support(f"{path}|layername=other", source))[1] == cells_of(RIGHT)
    with pytest.raises(SupportError, match=r"no layer 'foo'; choose one of points, parcels, støtte, other\."):
        read_support(f"{path}|layername=foo", source)


def test_table_before_the_polygons(source: RasterSource, make_support: MakeSupport, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.csv").write_text("class_id\n1\n", encoding="utf-8")
    path = make_support([ground(LEFT), ground(RIGHT)], "folder/b.shp").parent
    assert pixels_of(read_support(path, source))[1] == cells_of(LEFT)


@pytest.mark.parametrize("name", ["missing.gpkg", "Ünï #1?.gpkg"])
def test_missing_file(source: RasterSource, tmp_path: Path, name: str) -> None:
    with pytest.raises(SupportError, match="does not exist; check the path") as caught:
        read_support(tmp_path / name, source)
    assert name in str(caught.value)


@pytest.mark.parametrize("content", ["", "hello", '{"type": "FeatureCollection", "features": [{"ty', "PK"])
@pytest.mark.parametrize("ending", ["geojson", "gpkg", "shp"])
def test_not_a_vector_file(source: RasterSource, tmp_path: Path, content: str, ending: str) -> None:
    path = tmp_path / f"text.{ending}"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SupportError, match=rf"text\.{ending} cannot be read \(.*\); check") as caught:
        read_support(path, source)
    assert "\n" not in str(caught.value)


def test_a_raster_or_a_folder_as_support(source: RasterSource, tmp_path: Path) -> None:
    for path in (source.path, tmp_path):
        with pytest.raises(SupportError):
            read_support(path, source)


def test_empty_layers(source: RasterSource, make_support: MakeSupport, tmp_path: Path) -> None:
    empty = np.array([], np.int64)
    for path in (
        geojson(tmp_path / "empty.geojson", []),
        make_support([], kind="Polygon", class_id=empty),
        make_support([], "other.gpkg", kind="Polygon", foo=empty),
    ):
        with pytest.raises(SupportError, match="holds no support polygon; draw some"):
            read_support(path, source)


# Geometries


def test_height_holes_and_parts(source: RasterSource, make_support: MakeSupport) -> None:
    ring = LEFT.difference(box(8, 8, 11, 12))
    parts = shapely.MultiPolygon([RIGHT, box(60, 5, 66, 9)])
    path = make_support([shapely.force_3d(ground(ring), 100.0), shapely.force_3d(ground(parts))])
    assert pixels_of(read_support(path, source)) == {1: cells_of(ring), 2: cells_of(parts)}


def test_curves(source: RasterSource, tmp_path: Path) -> None:
    left, top = NORTH_UP.c, NORTH_UP.f
    rows = [
        f'1,"CURVEPOLYGON(CIRCULARSTRING({left + 5} {top - 5},{left + 10} {top - 10},{left + 5} {top - 5}))"',
        f'2,"{shapely.to_wkt(ground(RIGHT))}"',
    ]
    path = tmp_path / "curves.csv"
    path.write_text("class_id,WKT\n" + "\n".join(rows), encoding="utf-8")
    support = read_support(path, source)
    circle = shapely.Point(15, 15).buffer(np.hypot(5, 5), 64)
    assert len(pixels_of(support)[1] ^ cells_of(circle)) <= 4


def test_partly_and_wholly_outside(source: RasterSource, make_support: MakeSupport) -> None:
    partly, outside = box(-1000, -5, 4, 7), box(200, 200, 300, 300)
    beside = box(10, -50, 70, 1e-7)  # shares the raster's edge but for a hair
    path = make_support([ground(s) for s in (partly, outside, beside, RIGHT)], class_id=[1, 1, 1, 2])
    support = read_support(path, source)
    assert pixels_of(support) == {1: cells_of(partly), 2: cells_of(RIGHT)}
    assert support.warnings == ("2 of 4 polygons lie outside the raster.",)
    assert support.polygons[0].area == pytest.approx(28)


def test_all_outside(source: RasterSource, make_support: MakeSupport) -> None:
    with pytest.raises(
        SupportError, match=r"No polygon of .*support\.gpkg lies inside the raster .*raster\.tif"
    ):
        read_support(make_support([ground(box(-20, 0, -10, 10)), ground(box(90, 0, 99, 10))]), source)


@pytest.mark.parametrize(
    ("shape", "cells"),
    [
        (box(20.1, 20.1, 20.4, 20.4), {(20, 20)}),
        (box(20.6, 20.6, 21.4, 21.4), {(20, 20), (20, 21), (21, 20), (21, 21)}),
        (box(3.6, 20.6, 3.9, 22.2), {(20, 3), (21, 3), (22, 3)}),
        (box(2.2, 20.1, 78.7, 20.3), {(20, col) for col in range(2, 79)}),
        (box(20, 20, 20.2, 20.2), {(20, 20)}),
    ],
)
def test_a_polygon_between_pixel_centres_takes_what_it_touches(
    source: RasterSource, make_support: MakeSupport, shape: Any, cells: set[tuple[int, int]]
) -> None:
    support = read_support(make_support([ground(shape), ground(RIGHT)]), source)
    found = pixels_of(support)[1]
    assert cells <= found
    # An edge that runs along a pixel's edge touches both neighbours.
    assert found <= {(row + y, col + x) for row, col in cells for y in (-1, 0) for x in (-1, 0)}


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]), "invalid geometry .*Fix geometries"),
        (shapely.Polygon(), "empty geometry; delete"),
        (None, "empty geometry; delete"),
        (shapely.Point(3, 3), "is a Point, not a polygon; draw"),
        (shapely.LineString([(0, 0), (3, 3)]), "is a LineString, not a polygon"),
        (shapely.GeometryCollection([shapely.Point(3, 3)]), "is a GeometryCollection, not a polygon"),
        (shapely.Polygon([(0, 0), (0, np.inf), (5, 5)]), "invalid geometry"),
    ],
)
def test_geometries_that_cannot_serve(
    source: RasterSource, make_support: MakeSupport, shape: Any, text: str
) -> None:
    shapes = [ground(LEFT), ground(LEFT), shape and ground(shape), ground(RIGHT)]
    path = make_support(shapes, class_id=[1, 1, 1, 2], use=["validation", "", "", ""])
    with pytest.raises(SupportError, match=rf"Feature 3 of .*support\.gpkg .*{text}"):
        read_support(path, source)


def test_rings_that_are_none(source: RasterSource, tmp_path: Path) -> None:
    path = geojson(tmp_path / "ring.geojson", [(LEFT, {"class_id": 1})])
    broken = json.loads(path.read_text())
    broken["features"][0]["geometry"]["coordinates"] = [[[0, 0], [0, 1]]]
    path.write_text(json.dumps(broken))
    with pytest.raises(SupportError, match=r"Feature 1 of .* has an invalid geometry"):
        read_support(path, source)


def test_only_points(source: RasterSource, make_support: MakeSupport) -> None:
    with pytest.raises(SupportError, match="holds no polygon layer; save"):
        read_support(make_support([shapely.Point(0, 0)], kind="Point"), source)


# Overlaps


def test_overlap_of_two_classes_supports_neither(source: RasterSource, make_support: MakeSupport) -> None:
    a, b = box(5, 5, 25, 25), box(15, 15, 35, 35)
    path = make_support([ground(a), ground(b)], class_id=[1, 2], class_name=["Wald", "Weg"])
    support = read_support(path, source)
    assert pixels_of(support) == {1: cells_of(a) - cells_of(b), 2: cells_of(b) - cells_of(a)}
    assert support.warnings == (
        "Polygons of different classes overlap (Wald and Weg); the pixels in common support neither.",
    )


def test_identical_polygons_of_two_classes(source: RasterSource, make_support: MakeSupport) -> None:
    support = read_support(make_support([ground(LEFT), ground(LEFT), ground(RIGHT)]), source)
    assert pixels_of(support) == {1: set(), 2: set(), 3: cells_of(RIGHT)}
    assert "class 1 and class 2" in support.warnings[0]


def test_overlap_within_a_class(source: RasterSource, make_support: MakeSupport) -> None:
    a, b = box(5, 5, 25, 25), box(15, 15, 35, 35)
    path = make_support([ground(a), ground(b), ground(box(60, 5, 65, 9))], class_id=[1, 1, 2])
    support = read_support(path, source)
    assert pixels_of(support)[1] == cells_of(a) | cells_of(b)
    assert support.warnings == ()


@pytest.mark.parametrize("edge", [20.0, 20.3, 20.5, 20.5 + 1e-10])
@pytest.mark.parametrize("system", [UTM, "EPSG:4326"])
def test_neighbours_with_a_common_edge_do_not_overlap(
    source: RasterSource, make_support: MakeSupport, edge: float, system: str
) -> None:
    transform = pyproj.Transformer.from_crs(UTM, system, always_xy=True).transform
    # Two smaller neighbours on one side, so that the common edge has different corners on its two sides.
    shapes = [box(5, 5, edge, 45), box(edge, 2.2, 40, 21.7), box(edge, 21.7, 40, 50)]
    moved = [shapely.transform(ground(s), lambda xy: np.stack(transform(*xy.T), axis=1)) for s in shapes]
    support = read_support(make_support(moved, class_id=[1, 2, 2], crs=system), source)
    assert support.warnings == ()
    found = pixels_of(support)
    assert not found[1] & found[2]


def test_a_thin_polygon_shares_the_pixel_of_a_neighbour(
    source: RasterSource, make_support: MakeSupport
) -> None:
    thin, wide = box(20.1, 20.1, 20.3, 20.3), box(20.4, 15.0, 30.0, 25.0)
    support = read_support(make_support([ground(thin), ground(wide)]), source)
    assert pixels_of(support) == {1: set(), 2: cells_of(wide) - {(20, 20)}}
    assert "overlap" in support.warnings[0]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_pixel_supports_two_classes(data: st.DataObject) -> None:
    number = st.integers(0, 160).map(lambda n: n / 8)
    shapes = []
    for _ in range(data.draw(st.integers(2, 6))):
        x, y = data.draw(number), data.draw(number)
        width, height = data.draw(number) / 4 + 0.1, data.draw(number) / 4 + 0.1
        shapes.append(box(x, y, x + width, y + height))
    labels = tuple(data.draw(st.integers(0, 2)) for _ in shapes)
    support = SupportSet(tuple(ClassInfo(i, str(i)) for i in range(3)), tuple(shapes), labels)
    burnt = [{tuple(p) for p in np.argwhere(burn_polygon(s, WHOLE)).tolist()} for s in shapes]
    for index, own in enumerate(burnt):
        others = [b for b, label in zip(burnt, labels, strict=True) if label != labels[index]]
        expected = own - set().union(*others)
        assert {tuple(p) for p in np.argwhere(support.mask(index, WHOLE)).tolist()} == expected


# Masks


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_part_of_a_mask_is_the_mask_of_the_part(data: st.DataObject) -> None:
    number = st.floats(0, 40, width=32)
    points = data.draw(st.lists(st.tuples(number, number), min_size=3, max_size=6))
    polygon = shapely.MultiPoint(points).convex_hull
    if polygon.geom_type != "Polygon" or polygon.area < 1e-3:
        return
    x, y = data.draw(st.integers(0, 30)), data.draw(st.integers(0, 30))
    part = Window(x, y, data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20)))
    whole = burn_polygon(polygon, WHOLE)
    assert whole.any()
    expected = whole[y : y + int(part.height), x : x + int(part.width)]
    assert (burn_polygon(polygon, part) == expected).all()
    support = SupportSet((ClassInfo(0, "a"),), (polygon,), (0,))
    place = support.bounds(0, WHOLE)
    assert place is not None
    assert burn_polygon(polygon, place).sum() == whole.sum()
    assert (support.touching(part) == [0]) or not expected.any()
    assert (support.bounds(0, part) is not None) or not expected.any()


# Class ids and names


def test_names_and_order(source: RasterSource, make_support: MakeSupport) -> None:
    path = make_support(
        [ground(LEFT), ground(RIGHT), ground(box(60, 5, 66, 9))],
        Nummer=[30, 4, 30],
        Übersicht=["Straße", " ", "Weg"],
    )
    support = read_support(path, source, "Nummer", "Übersicht")
    assert support.classes == (ClassInfo(4, "class 4"), ClassInfo(30, "Straße"))
    assert support.labels == (1, 0, 1)
    assert support.warnings == ("Polygons of class 30 have different names; 'Straße' is used.",)


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (np.array([1.0, 2.0]), (1, 2)),
        (np.array([0, 65534]), (0, 65534)),
        (np.array(["3", " 1 "]), (1, 3)),
        (np.array(["3.0", "1"]), (1, 3)),
        (np.array([False, True]), (0, 1)),
        (np.array(["tree", "road"]), (1, 2)),
        (np.array(["²", "³"]), (1, 2)),
        (np.array(["--3", "5"]), (1, 2)),
        (np.array(["2020-01-02", "2021-03-04"], "datetime64[D]"), (1, 2)),
    ],
)
def test_ids(
    source: RasterSource, make_support: MakeSupport, values: np.ndarray, ids: tuple[int, int]
) -> None:
    if values.dtype.kind == "U":
        values = values.astype(object)
    support = read_support(make_support([ground(LEFT), ground(RIGHT)], class_id=values), source)
    assert tuple(info.id for info in support.classes) == ids


def test_text_classes_are_numbered_by_name(source: RasterSource, make_support: MakeSupport) -> None:
    path = make_support([ground(LEFT), ground(RIGHT)], class_id=np.array(["Weg", "Acker"], object))
    support = read_support(path, source)
    assert support.classes == (ClassInfo(1, "Acker"), ClassInfo(2, "Weg"))
    assert support.labels == (1, 0)
    assert "numbered 1 to 2" in support.warnings[0]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, -4], "class id -4; change it to one from 0 to 65534"),
        ([1, 65535], "class id 65535; change"),
        ([1, 2**40], "class id 1099511627776; change"),
        ([1.0, 2.5], "holds fractions; make"),
        ([1.0, np.inf], "holds fractions; make"),
        ([1.0, np.nan], "no value in the field 'class_id'; fill it in"),
        (np.array(["a", None], object), "no value in the field 'class_id'; fill it in"),
        (np.array(["1", "  "], object), "no value in the field 'class_id'; fill it in"),
        (np.array(["1", "-2"], object), "class id -2; change"),
    ],
)
def test_ids_that_cannot_serve(
    source: RasterSource, make_support: MakeSupport, values: Any, text: str
) -> None:
    path = make_support([ground(LEFT), ground(RIGHT)], class_id=values)
    with pytest.raises(SupportError, match=rf"support\.gpkg.*{text}"):
        read_support(path, source)


@pytest.mark.parametrize("texts", [False, True])
def test_too_many_classes(source: RasterSource, make_support: MakeSupport, texts: bool) -> None:
    ids = np.arange(65_001)
    values = np.array([f"c{i}" for i in ids], object) if texts else ids
    path = make_support([ground(LEFT)] * len(ids), "many.fgb", kind="Polygon", class_id=values)
    with pytest.raises(SupportError, match=r"many\.fgb has 65001 classes; choose a field with at most 65000"):
        read_support(path, source)


def test_missing_field(source: RasterSource, make_support: MakeSupport) -> None:
    path = make_support([ground(LEFT), ground(RIGHT)], Größe=[1, 2], name=["a", "b"])
    with pytest.raises(
        SupportError, match=r"no field 'class_id'; choose one of Größe, name with --class-field"
    ):
        read_support(path, source)


def test_one_class(source: RasterSource, make_support: MakeSupport) -> None:
    path = make_support(
        [ground(LEFT), ground(RIGHT), ground(box(200, 0, 210, 9))],
        class_id=[1, 1, 2],
        class_name=["Wald", "Wald", "Weg"],
    )
    with pytest.raises(SupportError, match=r"support\.gpkg has polygons of only one class .*\(Wald\); draw"):
        read_support(path, source)


def test_fields_with_several_duties(source: RasterSource, make_support: MakeSupport) -> None:
    path = make_support([ground(LEFT), ground(RIGHT)], use=np.array(["a", "b"], object))
    assert read_support(path, source, "use", "use").classes == (ClassInfo(1, "a"), ClassInfo(2, "b"))


def test_validation_is_left_out(source: RasterSource, make_support: MakeSupport) -> None:
    bow = shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    path = make_support(
        [ground(LEFT), ground(bow), ground(RIGHT), None],
        class_id=[1.0, np.nan, 2.0, 70000.0],
        use=np.array([None, "Validation ", "support", "validation"], object),
    )
    support = read_support(path, source)
    assert pixels_of(support) == {1: cells_of(LEFT), 2: cells_of(RIGHT)}
    path = make_support([ground(LEFT)], "other.gpkg", class_id=[1], use=["validation"])
    with pytest.raises(SupportError, match="holds no support polygon"):
        read_support(path, source)


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.one_of(st.text(max_size=6), st.integers().map(str), st.none()), min_size=1, max_size=8)
)
def test_any_texts_are_ids_or_refused(values: list[str | None]) -> None:
    # Any other error would get through.
    with suppress(SupportError):
        ids, names = class_ids(np.array([*values, None], object)[:-1], None, "field", "file", [])
        assert set(names) == set(ids)
        assert all(0 <= i <= 65534 for i in ids)
        assert len(set(ids)) <= len({str(value).strip() for value in values})
