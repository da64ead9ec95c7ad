"""From label rasters and polygons to scenes, counted against plain references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio.transform import Affine
from shapely import box

from backend.errors import ProtolabelError
from backend.finetuning import reading
from backend.finetuning.material import Material
from backend.finetuning.options import FinetuneOptions, LabeledRaster
from backend.finetuning.reading import read_material
from backend.progress import CancelToken
from backend.rasters.class_styles import ClassStyle

from .conftest import SIZE, Pair, WritePair, colored, labeled, place, stripes, write

RED = (255, 0, 0)


def read(*data: LabeledRaster, **options: object) -> Material:
    return read_material(FinetuneOptions(data, **options), CancelToken())  # type: ignore[arg-type]


def counts(material: Material) -> dict[int, int]:
    """Pixels by class id."""
    tally = material.tally
    sums = np.bincount(tally.label, tally.pixels, len(material.classes))
    return {info.id: int(count) for info, count in zip(material.classes, sums, strict=True)}


def write_polygons(
    path: Path, rows: list[tuple[int, str, str, shapely.Geometry]], transform: Affine, classes: type = int
) -> str:
    """Polygons in pixels with class id, name and use."""
    matrix = [transform.a, transform.b, transform.d, transform.e, transform.c, transform.f]
    geometries = [shapely.affinity.affine_transform(row[3], matrix) for row in rows]
    columns = [
        np.array([classes(row[0]) for row in rows], np.int64 if classes is int else object),
        np.array([row[1] for row in rows], object),
        np.array([row[2] for row in rows], object),
    ]
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(np.array(geometries, object)), field_data=columns,
        fields=np.array(["class_id", "class_name", "use"], object), geometry_type="Polygon", crs="EPSG:26917",
        driver="GPKG",
    )  # fmt: skip
    return str(path)


def test_a_label_raster_is_counted(pairs: tuple[Pair, Pair]) -> None:
    material = read(*labeled(*pairs))
    expected = sum(np.bincount(stripes(shift).ravel(), minlength=3) for shift in (0, 8))
    assert counts(material) == dict(enumerate(expected.tolist()))
    assert [info.name for info in material.rasters] == ["scene0.tif", "scene1.tif"]
    assert [scene.cell for scene in material.scenes] == [4, 4]  # as the tool labels 0.6 m
    assert material.scenes[0].image.shape == (3, SIZE, SIZE)


def test_nodata_and_ignored_classes_are_no_labels(write_pair: WritePair) -> None:
    labels = stripes()
    labels[:40] = 255
    image = colored(np.where(labels > 2, 0, labels))
    pair = write_pair(labels=labels, image=image)
    raster = write(pair.raster, image, place(0), nodata=0)
    image[:, -30:] = 0
    write(raster, image, place(0), nodata=0)
    material = read(*labeled(pair), ignored=(2,))
    counted = np.bincount(labels[40:-30].ravel(), minlength=3)
    assert counts(material) == {0: counted[0], 1: counted[1]}


def test_unlabelled_values_of_files_that_do_not_say_it(write_pair: WritePair) -> None:
    labels = stripes()
    labels[:40] = 255
    material = read(*labeled(write_pair(labels=labels, nodata=None)))
    assert set(counts(material)) == {0, 1, 2}


def test_labels_of_another_grid_are_taken_by_the_nearest_pixel(tmp_path: Path, write_pair: WritePair) -> None:
    pair = write_pair()
    coarse = stripes()[::2, ::2]
    write(pair.labels, coarse, place(0) @ Affine.scale(2), nodata=255)
    found = read(*labeled(pair)).scenes[0].labels
    assert (found == np.repeat(np.repeat(coarse, 2, 0), 2, 1) + 1).all()


def test_polygons_lie_above_label_rasters(tmp_path: Path, write_pair: WritePair) -> None:
    pair = write_pair()
    layer = write_polygons(tmp_path / "p.gpkg", [(7, "pond", "support", box(10, 20, 50, 40))], place(0))
    both = (
        LabeledRaster(str(pair.raster), str(pair.labels)),
        LabeledRaster(str(pair.raster), polygons=layer),
    )
    material = read(*both)
    outside = stripes()
    outside[20:40, 10:50] = 3
    assert counts(material) == {**dict(enumerate(np.bincount(outside.ravel())[:3].tolist())), 7: 800}
    assert material.classes[-1].name == "pond"
    assert len(material.rasters) == 1


def test_a_polygon_is_one_unit_on_every_raster(tmp_path: Path, write_pair: WritePair) -> None:
    one, two = write_pair(0), write_pair(1)
    write(two.raster, colored(stripes(), 3), place(0))  # another year of the same place
    rows = [
        (1, "a", "support", box(0, 0, 20, 20)),
        (2, "b", "support", box(60, 60, 90, 90)),
        (2, "b", "Validation ", box(100, 0, 120, 20)),
    ]
    layer = write_polygons(tmp_path / "p.gpkg", rows, place(0))
    material = read(*(LabeledRaster(str(pair.raster), polygons=layer) for pair in (one, two)))
    assert len(material.units.polygon) == 1 + 3  # and nothing
    assert material.units.validation.tolist() == [False, False, False, True]
    assert counts(material) == {1: 800, 2: 2600}


def test_text_classes(tmp_path: Path, write_pair: WritePair) -> None:
    rows = [
        (0, "", "support", box(0, 0, 20, 20)),  # the text "0" and the like would be numbers
        (1, "", "support", box(60, 60, 90, 90)),
    ]
    layer = write_polygons(tmp_path / "p.gpkg", rows, place(0), classes=lambda n: "meadow" if n else "road")  # type: ignore[arg-type]
    material = read(LabeledRaster(str(write_pair().raster), polygons=layer))
    assert [(info.id, info.name) for info in material.classes] == [(1, "meadow"), (2, "road")]


def test_large_rasters_are_read_in_part(write_pair: WritePair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SMALL", 32)
    monkeypatch.setattr(reading, "_WHOLE", 6 * 32 * 32)
    labels = np.full((SIZE, SIZE), 255, np.uint8)
    labels[:64], labels[96:, :64] = stripes()[:64], 1  # 8 parts of several classes, 2 of one
    material = read(*labeled(write_pair(labels=labels)))
    assert len(material.scenes) == 6
    assert any("of 10 labelled parts" in note for note in material.notes)
    for scene in material.scenes:
        assert len(np.unique(scene.labels)) > 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("missing", r"labels .*none\.tif do not exist; check the path"),
        ("float", "one band of whole numbers is needed"),
        ("bands", "one band of whole numbers is needed"),
        ("negative", "have the value -4; class ids are whole numbers"),
        ("elsewhere", "lie elsewhere than the raster"),
        ("empty", r"Nothing that is labelled lies on the raster .*scene0\.tif"),
        ("unknown", r"have the value 2, which is none of the classes"),
        ("damaged", "cannot be read"),
        ("shape", "one of them has no georeference; give labels of the same pixels"),
        ("nodata", "All that is labelled on the raster"),
    ],
)
def test_labels_that_cannot_serve(write_pair: WritePair, tmp_path: Path, change: str, text: str) -> None:
    pair, options = write_pair(), {}
    if change == "missing":
        pair = Pair(pair.raster, tmp_path / "none.tif")
    elif change == "float":
        write(pair.labels, stripes().astype(np.float32), place(0))
    elif change == "bands":
        write(pair.labels, np.stack([stripes()] * 2), place(0))
    elif change == "negative":
        write(pair.labels, stripes().astype(np.int16) - 4, place(0))
    elif change == "elsewhere":
        write(pair.labels, stripes(), place(5), nodata=255)
    elif change == "empty":
        write(pair.labels, np.full_like(stripes(), 255), place(0), nodata=255)
    elif change == "unknown":
        options = {"classes": (ClassStyle(0, "a", RED), ClassStyle(1, "b", RED))}
    elif change == "damaged":
        pair.labels.write_bytes(pair.labels.read_bytes()[:900])
    elif change == "shape":
        write(pair.labels, stripes()[:50], Affine.identity(), crs=None)
    elif change == "nodata":
        write(pair.raster, np.zeros((3, SIZE, SIZE), np.uint8), place(0), nodata=0)
    with pytest.raises(ProtolabelError, match=text) as found:
        read(*labeled(pair), **options)
    assert "\n" not in str(found.value)


def test_polygons_elsewhere(tmp_path: Path, write_pair: WritePair) -> None:
    layer = write_polygons(tmp_path / "p.gpkg", [(1, "a", "support", box(0, 0, 9, 9))], place(4))
    with pytest.raises(ProtolabelError, match="Nothing that is labelled lies on the raster"):
        read(LabeledRaster(str(write_pair().raster), polygons=layer))


def test_one_id_with_two_names(tmp_path: Path, write_pair: WritePair) -> None:
    pair = write_pair()
    data = []
    for name in ("pond", "lake"):
        layer = write_polygons(tmp_path / f"{name}.gpkg", [(7, name, "support", box(0, 0, 9, 9))], place(0))
        data.append(LabeledRaster(str(pair.raster), polygons=layer))
    with pytest.raises(ProtolabelError, match=r"class 7 is called 'pond' in .* but 'lake'"):
        read(*data)
    listed = (ClassStyle(7, "water", RED),)
    assert read(*data, classes=listed).classes[0].name == "water"
