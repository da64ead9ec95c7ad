"""The compare command: it draws what there is, reads large rasters decimated and counts the agreement exactly."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from matplotlib.image import imread
from rasterio.transform import Affine

from backend.commands.compare import command
from backend.errors import OutputError, RasterError
from backend.figures.comparison import agreement_of, read_comparison
from backend.figures.sheet import draw_comparison, round_length

HEIGHT, WIDTH = 60, 90
COLORS = {1: (200, 30, 30), 4: (30, 90, 200)}
TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_500_000)


def write(path, values, crs="EPSG:32632", transform=TRANSFORM, classes=None, **profile):
    """Write a raster from an array with shape (bands, height, width)."""
    count, height, width = values.shape
    profile |= {"count": count, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **profile) as dst:
        dst.write(values)
        if classes:
            dst.update_tags(
                PROTOLABEL_CLASSES=json.dumps(
                    [{"id": id_, "name": name, "color": "#ff00ff"} for id_, name in classes.items()]
                )
            )
            dst.write_colormap(1, COLORS)
    return path


def png_size(path):
    """Width and height of a PNG, from its header."""
    return struct.unpack(">II", path.read_bytes()[16:24])


def png_pixels(path):
    """Red, green and blue of a PNG, shape (3, height, width)."""
    return np.rint(imread(path)[:, :, :3].transpose(2, 0, 1) * 255).astype(np.uint8)


@pytest.fixture
def files(tmp_path):
    """A raster, its label map, truth, confidence and support; the left half is class 1, the right one class 4."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
    truth = np.full((1, HEIGHT, WIDTH), 1, np.uint8)
    truth[:, :, WIDTH // 2 :] = 4
    truth[:, :5] = 255
    labels = truth.copy()
    labels[:, :5] = 1
    labels[:, 10:20, :45] = 4  # 450 mistakes, of which 100 lie under a support polygon
    sure = np.full((2, HEIGHT, WIDTH), 80, np.uint8)
    polygons = [(1, "roof $a$", (0, 10, 10, 20)), (4, "water", (70, 40, 80, 50))]
    features = []
    for id_, name, (left, top, right, bottom) in polygons:
        ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        ring = [list(TRANSFORM @ (x, y)) for x, y in ring]
        properties = {"class_id": id_, "class_name": name}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    support = tmp_path / "support.geojson"
    support.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return {
        "raster": write(tmp_path / "image.tif", image),
        "labels": write(tmp_path / "labels.tif", labels, classes={1: "roof $a$", 4: "water"}, nodata=255),
        "truth": write(tmp_path / "truth.tif", truth, nodata=255),
        "confidence": write(tmp_path / "confidence.tif", sure, nodata=255),
        "support": support,
        "output": tmp_path / "figure.png",
    }


def compare(files, *options):
    arguments = [str(files[name]) for name in ("raster", "labels", "output")]
    return CliRunner().invoke(command, [*arguments, *options], catch_exceptions=False)


def test_all_panels(files):
    options = [f"--{name}={files[name]}" for name in ("truth", "support", "confidence")]
    result = compare(files, *options)
    assert result.exit_code == 0
    assert result.output.strip() == str(files["output"])
    pixels = png_pixels(files["output"])
    for color in COLORS.values():
        share = (pixels == np.array(color)[:, None, None]).all(axis=0).mean()
        assert share > 0.1, "both classes fill a good part of the label map and the truth"
    assert (pixels == 255).all(axis=0).mean() < 0.6


def test_two_panels_are_beside_each_other_and_four_in_two_rows(files):
    compare(files)
    width, height = png_size(files["output"])
    assert (width, height) == (2250, pytest.approx(1140, abs=150))
    compare(files, f"--truth={files['truth']}", f"--confidence={files['confidence']}")
    assert png_size(files["output"])[0] == width
    assert png_size(files["output"])[1] > 1.5 * height


@pytest.mark.parametrize(("height", "width"), [(12, 300), (300, 12), (1, 1)])
def test_any_shape_of_raster(tmp_path, height, width):
    raster = write(tmp_path / "image.tif", np.full((3, height, width), 90, np.uint8))
    labels = np.full((1, height, width), 4, np.uint8)
    labels = write(tmp_path / "labels.tif", labels, classes={1: "a", 4: "b"}, nodata=255)
    output = tmp_path / "figure.png"
    draw_comparison(read_comparison(raster, labels), output)
    assert all(300 < side < 4000 for side in png_size(output))


def test_many_long_class_names(tmp_path):
    classes = {number: f"class {number} with quite a long name, longer than fits" for number in range(1, 60)}
    raster = write(tmp_path / "image.tif", np.full((3, 40, 40), 90, np.uint8))
    values = np.arange(1600, dtype=np.uint8).reshape(1, 40, 40) % 59 + 1
    labels = write(tmp_path / "labels.tif", values, classes=classes, nodata=255)
    output = tmp_path / "figure.png"
    draw_comparison(read_comparison(raster, labels), output)
    assert png_size(output)[0] < 3000


def test_agreement_leaves_out_support_and_nodata(files):
    found = read_comparison(files["raster"], files["labels"], files["truth"], files["support"]).agreement
    first, second = 55 * 45 - 100, 55 * 45 - 100  # pixels with truth, less those of the support polygons
    wrong = 450 - 100
    assert found.pixels == first + second
    assert found.accuracy == pytest.approx(1 - wrong / (first + second))
    assert found.mean_iou == pytest.approx(((first - wrong) / first + second / (second + wrong)) / 2)


def test_agreement_without_support_counts_all_pixels(files):
    assert read_comparison(files["raster"], files["labels"], files["truth"]).agreement.pixels == 55 * 90


def test_pixels_without_a_label_count_as_wrong():
    found = agreement_of(np.array([[3, 0, 1], [0, 4, 0]]))
    assert found.accuracy == pytest.approx(7 / 8)
    assert found.mean_iou == pytest.approx((3 / 4 + 1) / 2)
    assert agreement_of(np.zeros((2, 3), int)) is None


def test_large_rasters_are_read_decimated(files):
    whole = read_comparison(files["raster"], files["labels"], files["truth"], files["support"])
    small = read_comparison(
        files["raster"], files["labels"], files["truth"], files["support"], files["confidence"], max_side=30
    )
    assert small.labels.shape == small.truth.shape == small.confidence.shape == (20, 30)
    assert small.image.shape == (20, 30, 4)
    assert small.pixel_size == pytest.approx(1.5, rel=0.01)
    assert small.agreement == whole.agreement
    assert small.support[0][1].bounds == pytest.approx((0, 10 / 3, 10 / 3, 20 / 3))


def test_label_map_of_a_part(files, tmp_path):
    with rasterio.open(files["labels"]) as src:
        part = src.read()[:, 10:30, 20:60]
    place = TRANSFORM @ Affine.translation(20, 10)
    labels = write(tmp_path / "part.tif", part, transform=place, classes={1: "a", 4: "b"}, nodata=255)
    found = read_comparison(files["raster"], labels, files["truth"], files["support"])
    with rasterio.open(files["raster"]) as src:
        assert np.array_equal(found.image[:, :, 0], src.read(1)[10:30, 20:60])
    assert found.agreement.pixels == 20 * 40
    assert found.agreement.accuracy == pytest.approx(1 - 250 / 800)
    assert found.support[0][1].bounds == pytest.approx((-20, 0, -10, 10))


def test_colors_and_names_come_from_the_label_map(files):
    classes = read_comparison(files["raster"], files["labels"]).classes
    assert [(c.id, c.name, c.color) for c in classes] == [(1, "roof $a$", COLORS[1]), (4, "water", COLORS[4])]


def test_label_map_without_classes(files):
    with pytest.raises(RasterError, match=r"truth\.tif does not say what its classes are"):
        read_comparison(files["raster"], files["truth"])


def test_raster_that_lies_elsewhere(files, tmp_path):
    values = np.zeros((1, 10, 10), np.uint8)
    away = write(tmp_path / "away.tif", values, transform=Affine(0.5, 0, 400_000, 0, -0.5, 5_500_000))
    with pytest.raises(RasterError, match=r"away\.tif does not cover .*labels\.tif"):
        read_comparison(files["raster"], files["labels"], away)
    other = write(tmp_path / "other.tif", values, crs="EPSG:3857")
    with pytest.raises(RasterError, match="different coordinate systems"):
        read_comparison(files["raster"], files["labels"], other)


def test_missing_file(files, tmp_path):
    with pytest.raises(RasterError, match=r"nowhere\.tif cannot be read"):
        read_comparison(files["raster"], tmp_path / "nowhere.tif")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_coordinate_system_there_is_no_scale(tmp_path):
    plain = {"crs": None, "transform": Affine.identity()}
    raster = write(tmp_path / "image.tif", np.full((3, 20, 20), 90, np.uint8), **plain)
    values = np.full((1, 20, 20), 4, np.uint8)
    labels = write(tmp_path / "labels.tif", values, classes={1: "a", 4: "b"}, nodata=255, **plain)
    assert read_comparison(raster, labels).pixel_size is None


def test_output_must_be_a_png_and_no_input(files):
    files["output"] = files["output"].with_suffix(".jpg")
    with pytest.raises(OutputError, match=r"\.png"):
        compare(files)


def test_same_inputs_give_the_same_file(files):
    compare(files)
    first = files["output"].read_bytes()
    compare(files)
    assert files["output"].read_bytes() == first
    assert not list(files["output"].parent.glob("*.part"))


def test_round_length():
    assert [round_length(x) for x in (0.3, 1, 4.9, 50, 199, 2001)] == [0.2, 1, 2, 50, 100, 2000]


def test_missing_matplotlib_names_the_fix(files):
    code = f"""
        import sys
        sys.modules["matplotlib"] = None
        sys.argv = ["backend", "compare", {str(files["raster"])!r}, {str(files["labels"])!r}, "x.png"]
        from backend.cli import main
        main()
    """
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 2
    assert "pip install matplotlib" in done.stderr
    assert "Traceback" not in done.stderr
