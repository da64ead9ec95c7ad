"""``data check`` tells what is wrong, file by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.cli import run
from backend.episodes.checking import parts_of
from backend.episodes.errors import DatasetError
from backend.episodes.opening import NAMES

from .conftest import isprs_colors, voc_labels, write_colors, write_ids, write_photo


def check(
    capsys: pytest.CaptureFixture[str], name: str, root: Path, *more: str
) -> tuple[int, list[str], str]:
    code = run(["data", "check", name, str(root), *more])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out.splitlines(), captured.err


def test_complete_ones(voc, coco_root, camvid_root, vaihingen_root, capsys) -> None:
    for name, root in (
        ("pascal", voc),
        ("coco", coco_root),
        ("camvid", camvid_root),
        ("vaihingen", vaihingen_root),
    ):
        if name == "coco":
            pytest.importorskip("pycocotools")
        code, out, err = check(capsys, name, root)
        assert (code, err) == (0, ""), out
        parts = [line for line in out if not line.startswith(" ")]
        assert len(parts) == 2 + (name != "coco")
    assert out[-9:-7] == ["test (eroded labels):", "  17 of 17 images are fine"]
    assert out[-7].split() == ["impervious", "surface", "14.29%", "in", "17", "of", "17", "images"]
    assert out[-1].split() == ["(to", "be", "ignored)", "14.29%", "in", "17", "of", "17", "images"]


def test_shares_of_pixels(voc, coco_root, capsys) -> None:
    _, out, _ = check(capsys, "pascal", voc)
    assert "  3 of 3 images are fine; the official dataset has 1,464" in out
    shares = {line.split()[0]: line.split()[1:] for line in out[2 : out.index("val:")]}
    assert shares["aeroplane"] == [f"{2 * 12 / (3 * 192):.2%}", "in", "2", "of", "3", "images"]
    assert shares["sheep"] == ["-", "in", "no", "image"]
    pytest.importorskip("pycocotools")
    _, out, _ = check(capsys, "coco", coco_root)
    shares = {line.split()[0]: line.split()[1:] for line in out[2 : out.index("val2014:")]}
    assert shares["toothbrush"][-4:] == ["1", "of", "3", "images"] and shares["chair"][-4] == "2"


def test_pascal(voc: Path, capsys) -> None:
    base = voc / "VOCdevkit/VOC2012"
    (base / "JPEGImages/2007_000002.jpg").unlink()
    write_ids(base / "SegmentationClass/2007_000010.png", np.full((12, 16), 33))
    write_ids(base / "SegmentationClass/2007_000011.png", np.full((12, 16), 255))
    write_ids(base / "SegmentationClass/2007_000012.png", voc_labels(1)[:5])
    (voc / "benchmark_RELEASE/dataset/train.txt").unlink()
    code, out, err = check(capsys, "pascal", voc)
    assert code == 1
    for found in (
        "2007_000002.jpg: missing",
        "2007_000010.png have the value 33",
        "2007_000011.png: every pixel is to be ignored",
        "2007_000012.png are 16 x 5 pixels",
        "split file",
        "  2 of 3 images are fine; the official dataset has 1,464",
        "  0 of 3 images are fine; the official dataset has 1,449",
    ):
        assert sum(found in line for line in out) == 1, (found, out)
    assert err == f"5 problems in {voc}, listed above; complete the dataset or mend the files.\n"


def test_coco(coco_root: Path, capsys) -> None:
    pytest.importorskip("pycocotools")
    photos = [coco_root / "val2014" / f"COCO_val2014_{image:012d}.jpg" for image in (1, 2, 3)]
    photos[0].unlink()
    photos[1].write_bytes(b"no image")
    write_photo(photos[2], 9, 9)
    lists = coco_root / "annotations/instances_train2014.json"
    lists.write_text(lists.read_text().replace('"image_id": 2', '"image_id": 77'))
    code, out, err = check(capsys, "coco", coco_root)
    assert code == 1 and err.startswith("4 problems")
    assert out[0] == "train2014:" and "of 1 images that they do not list, the first is 77" in out[1]
    place = out.index("val2014:")
    assert [line.removeprefix(f"  {coco_root}/val2014") for line in out[place + 1 : place + 5]] == [
        "/COCO_val2014_000000000001.jpg: missing",
        "/COCO_val2014_000000000002.jpg: no image",
        "/COCO_val2014_000000000003.jpg: 9 x 9 pixels, 16 x 12 in the annotations",
        "  0 of 3 images are fine; the official dataset has 40,504",
    ]


def test_camvid(camvid_root: Path, capsys) -> None:
    train = camvid_root / "train"
    (train / "images/0001TP_000000.jpg").unlink()
    (train / "images/0001TP_000001.jpg").write_bytes(b"no image")
    write_ids(train / "labels/0001TP_000002.png", np.full((12, 16), 11))
    write_colors(train / "labels/0001TP_000003.png", np.zeros((12, 16, 3)))
    write_photo(camvid_root / "val/images/0001TP_000000.jpg", 9, 9)
    for path in (camvid_root / "test/labels").iterdir():
        path.unlink()
    (camvid_root / "test/labels").rmdir()
    code, out, err = check(capsys, "camvid", camvid_root)
    assert code == 1 and err.startswith("6 problems")
    for found in (
        "images/0001TP_000000.png: missing",
        "0001TP_000001.jpg or its labels",
        "0001TP_000002.png: every pixel is to be ignored",
        "0001TP_000003.png holds colours (RGB)",
        "val/labels/0001TP_000000.png are 16 x 12 pixels but the image",
        "has no test/images with test/labels",
    ):
        assert sum(found in line for line in out) == 1, (found, out)


def test_vaihingen(vaihingen_root: Path, capsys) -> None:
    full, eroded = vaihingen_root / "gts_for_participants", vaihingen_root / "gts_eroded_for_participants"
    write_colors(full / "top_mosaic_09cm_area3.tif", np.full((20, 28, 3), 200))
    write_colors(full / "top_mosaic_09cm_area5.tif", np.zeros((20, 28, 3)))
    (full / "top_mosaic_09cm_area7.tif").write_bytes(b"no image")
    write_colors(eroded / "top_mosaic_09cm_area2_noBoundary.tif", np.zeros((20, 27, 3)))
    (vaihingen_root / "top/top_mosaic_09cm_area38.tif").unlink()
    code, out, err = check(capsys, "vaihingen", vaihingen_root)
    assert code == 1 and err.startswith("5 problems") and "tiles=[1, 3]" in err
    for found in (
        "area3.tif: 100.00% of the pixels have colours beside the palette",
        "area5.tif: every pixel is to be ignored",
        "area7.tif cannot be read",
        "area2_noBoundary.tif are 27 x 20 pixels",
        "area38.tif: missing",
        "  13 of 16 images are fine",
        "  15 of 17 images are fine",
    ):
        assert sum(found in line for line in out) == 1, (found, out)
    code, out, _ = check(
        capsys, "vaihingen", vaihingen_root, "--option", "tiles=[1, 11]", "--option", "labels=full"
    )
    assert code == 0 and out[:2] == ["train (full labels):", "  2 of 2 images are fine"]


def test_potsdam(tmp_path: Path, capsys) -> None:
    for tile in ("6_7", "6_8"):
        write_photo(tmp_path / f"4_Ortho_RGBIR/top_potsdam_{tile}_RGBIR.tif", 20, 28, 4)
        write_colors(tmp_path / f"5_Labels_all/top_potsdam_{tile}_label.tif", isprs_colors())
    write_photo(tmp_path / "3_Ortho_IRRG/top_potsdam_6_8_IRRG.tif", 10, 28)
    options = ("--option", "labels=full", "--option", "tiles=['6_7', '6_8', '6_9']")
    code, out, _ = check(capsys, "potsdam", tmp_path, *options)
    assert code == 1 and "  2 of 3 images are fine" in out
    assert [line.split("/")[-1] for line in out[1:3]] == [
        "top_potsdam_6_9_RGB.tif: missing",
        "top_potsdam_6_9_label.tif: missing",
    ]
    code, out, _ = check(capsys, "potsdam", tmp_path, *options, "--option", "bands=irrg")
    assert code == 1 and "  1 of 3 images are fine" in out
    assert sum("28 x 20 pixels but the image" in line for line in out) == 1


def test_geotiff_pairs(make_raster, tmp_path: Path, capsys) -> None:
    (tmp_path / "classes.csv").write_text("id,name,color\n1,road,#808080\n")
    for stem in ("a", "b", "c", "d", "e", "f"):
        make_raster(np.zeros((3, 6, 6), np.uint8), f"{stem}.tif")
        make_raster(np.ones((1, 6, 6), np.uint8), f"{stem}_labels.tif")
    make_raster(np.full((1, 6, 6), 9, np.uint8), "a_labels.tif")
    (tmp_path / "b.tif").unlink()
    make_raster(np.full((1, 6, 6), 255, np.uint8), "d_labels.tif")
    make_raster(np.ones((1, 6, 5), np.uint8), "e_labels.tif")
    (tmp_path / "f.tif").write_bytes(b"no raster")
    code, out, err = check(capsys, "geotiff-pairs", tmp_path)
    assert code == 1 and err.startswith("5 problems")
    for found in (
        "a_labels.tif have the value 9",
        "b.tif: missing",
        "d_labels.tif: every pixel is to be ignored",
        "e_labels.tif are 5 x 6 pixels",
        "f.tif",
        "  1 of 6 images are fine",
    ):
        assert sum(found in line for line in out) == 1, (found, out)
    code, out, _ = check(
        capsys, "geotiff", tmp_path, "--images", "c.tif", "--labels", "{folder}/{stem}_labels.tif"
    )
    assert code == 0
    assert out == ["pairs:", "  1 of 1 images are fine", f"    road{' ' * 12}100.00%  in 1 of 1 images"]
    code, out, _ = check(
        capsys, "geotiff-pairs", tmp_path, "--option", "images=[a.tif]", "--option", "ignored=[9]"
    )
    assert code == 1 and "a_labels.tif: every pixel" in out[1]


def test_wrong_name_and_root(tmp_path: Path, capsys) -> None:
    for name, root, message in (
        ("voc", tmp_path, "no data set 'voc'; choose one of pascal"),
        ("potsdam", tmp_path / "nowhere", "does not exist"),
        ("geotiff-pairs", tmp_path, "classes.csv does not exist"),
    ):
        code, _, err = check(capsys, name, root)
        assert code == 2 and message in err and err.count("\n") == 1
    code, _, err = check(capsys, "pascal", tmp_path, "--images", "*.tif")
    assert code == 2 and "leave out --classes, --images" in err
    for option, message in (
        ("tiles", "write KEY=VALUE"),
        ("tiles=[1", "write KEY=VALUE"),
        ("pitch=3", "no 'pitch'; there are"),
    ):
        code, _, err = check(capsys, "camvid", tmp_path, "--option", option)
        assert code == 2 and message in err and err.count("\n") == 1
    with pytest.raises(DatasetError, match="does not exist"):
        parts_of("camvid", tmp_path / "nowhere")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "geotiff-pairs"])
def test_empty_folder(name: str, tmp_path: Path, capsys) -> None:
    code, out, err = check(capsys, name, tmp_path)
    assert code == 1 and out and "problem" in err
    assert len([line for line in out if line.startswith("  ") and "0 of" not in line]) > 1
