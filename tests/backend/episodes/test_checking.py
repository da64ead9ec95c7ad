"""``data check`` tells what is wrong, file by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.cli import run
from backend.episodes.checking import NAMES, parts_of
from backend.episodes.errors import DatasetError

from .conftest import voc_labels, write_colors, write_ids, write_photo


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
        assert len(out) == 2 + (name != "coco")
    assert out[-1] == "test (eroded labels): 17 of 17 images are fine"


def test_pascal(voc: Path, capsys) -> None:
    base = voc / "VOCdevkit/VOC2012"
    (base / "JPEGImages/2007_000002.jpg").unlink()
    write_ids(base / "SegmentationClass/2007_000010.png", np.full((12, 16), 33))
    write_ids(base / "SegmentationClass/2007_000011.png", np.full((12, 16), 255))
    write_ids(base / "SegmentationClass/2007_000012.png", voc_labels(1)[:5])
    (voc / "benchmark_RELEASE/dataset/train.txt").unlink()
    code, out, err = check(capsys, "pascal", voc)
    assert code == 2
    for found in (
        "2007_000002.jpg: missing",
        "2007_000010.png have the value 33",
        "2007_000011.png: every pixel is to be ignored",
        "2007_000012.png are 16 x 5 pixels",
        "split file",
        "train: 2 of 1464 images are fine",
        "val: 0 of 1449 images are fine",
    ):
        assert sum(found in line for line in out) == 1, (found, out)
    assert err.count("\n") == 1 and "5 problems" in err


def test_coco(coco_root: Path, capsys) -> None:
    pytest.importorskip("pycocotools")
    photos = [coco_root / "val2014" / f"COCO_val2014_{image:012d}.jpg" for image in (1, 2, 3)]
    photos[0].unlink()
    photos[1].write_bytes(b"no image")
    write_photo(photos[2], 9, 9)
    code, out, _ = check(capsys, "coco", coco_root)
    assert code == 2
    assert [line.removeprefix(str(coco_root / "val2014")) for line in out[1:4]] == [
        "/COCO_val2014_000000000001.jpg: missing",
        "/COCO_val2014_000000000002.jpg: no image",
        "/COCO_val2014_000000000003.jpg: 9 x 9 pixels, 16 x 12 in the annotations",
    ]


def test_colors_beside_the_palette(vaihingen_root: Path, capsys) -> None:
    colors = np.full((20, 28, 3), 200)
    write_colors(vaihingen_root / "gts_for_participants/top_mosaic_09cm_area3.tif", colors)
    code, out, _ = check(capsys, "vaihingen", vaihingen_root)
    assert code == 2
    assert "area3.tif: 100.00% of the pixels have colours beside the palette" in out[0]


def test_geotiff_pairs(make_raster, tmp_path: Path, capsys) -> None:
    (tmp_path / "classes.csv").write_text("id,name,color\n1,road,#808080\n")
    for stem in ("a", "b", "c"):
        make_raster(np.zeros((3, 6, 6), np.uint8), f"{stem}.tif")
        make_raster(np.ones((1, 6, 6), np.uint8), f"{stem}_labels.tif")
    make_raster(np.full((1, 6, 6), 9, np.uint8), "a_labels.tif")
    (tmp_path / "b.tif").unlink()
    code, out, err = check(capsys, "geotiff-pairs", tmp_path)
    assert code == 2 and "2 problems" in err
    assert "a_labels.tif have the value 9" in out[0] and out[1].endswith("b.tif: missing")
    assert out[-1] == "pairs: 1 of 3 images are fine"
    code, out, _ = check(
        capsys, "geotiff-pairs", tmp_path, "--images", "c.tif", "--labels", "{folder}/{stem}_labels.tif"
    )
    assert code == 0 and out == ["pairs: 1 of 1 images are fine"]


def test_wrong_name_and_root(tmp_path: Path, capsys) -> None:
    for name, root, message in (
        ("voc", tmp_path, "no dataset 'voc'; choose one of pascal"),
        ("potsdam", tmp_path / "nowhere", "does not exist"),
        ("geotiff-pairs", tmp_path, "classes.csv does not exist"),
    ):
        code, _, err = check(capsys, name, root)
        assert code == 2 and message in err and err.count("\n") == 1
    code, _, err = check(capsys, "pascal", tmp_path, "--images", "*.tif")
    assert code == 2 and "leave out --images" in err
    with pytest.raises(DatasetError, match="does not exist"):
        parts_of("camvid", tmp_path / "nowhere")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "geotiff-pairs"])
def test_empty_folder(name: str, tmp_path: Path, capsys) -> None:
    code, out, err = check(capsys, name, tmp_path)
    assert code == 2 and out and err.count("\n") == 1
