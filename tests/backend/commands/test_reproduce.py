"""The command reproduce, from data in their official folders to the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from backend.cli import run
from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout

from .test_evaluate import SIDE, blocks, one_sentence, save

PALETTE = [(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)]


@pytest.fixture(scope="module")
def pascal(tmp_path_factory):
    root = tmp_path_factory.mktemp("pascal")
    voc = root / "VOCdevkit" / "VOC2012"
    names = [f"2007_{index:06d}" for index in range(28)]
    for index, name in enumerate(names):
        own = [0, *(1 + (5 * (index % 4) + i) % 20 for i in range(5)), 255]
        image, labels = blocks(own)
        save(voc / "JPEGImages" / f"{name}.jpg", image)
        save(voc / "SegmentationClassAug" / f"{name}.png", labels)
        save(voc / "SegmentationClass" / f"{name}.png", labels)
    lists = voc / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, chosen in (("train", names), ("trainaug", names), ("val", ["2007_999999"])):
        (lists / f"{split}.txt").write_text("\n".join(chosen) + "\n")
    return root


@pytest.fixture(scope="module")
def vaihingen(tmp_path_factory):
    from backend.episodes.datasets.vaihingen import TILES

    root = tmp_path_factory.mktemp("vaihingen")
    for part, folder, ending in (
        ("train", "gts_for_participants", ""),
        ("test", "gts_eroded_for_participants", "_noBoundary"),
    ):
        for number in TILES["official", part]:
            image, labels = blocks([0, 1, 2, 3, 4, 5])
            save(root / "top" / f"top_mosaic_09cm_area{number}.tif", image)
            colors = np.array(PALETTE, np.uint8)[labels]
            save(root / folder / f"top_mosaic_09cm_area{number}{ending}.tif", colors)
    return root


def test_reproduce_a_table_of_folds(pascal, tmp_path, capsys):
    weights = tmp_path / "weights"
    weights.mkdir()
    encoder = Encoder(EncoderLayout(architecture="vgg16", layers=(2,)))
    training = {"run": {"iterations": 7, "batch": 1}, "optimizer": {"lr": 0.001}, "method": {"alpha": 20.0}}
    save_checkpoint(encoder, weights / "x.safetensors", {"configuration": json.dumps(training)})
    for fold in (0, 1):
        shutil.copy(weights / "x.safetensors", weights / f"panet_vgg16_pascal_fold{fold}.safetensors")
    code = run(
        [
            "reproduce",
            "dpcl-1",
            "--data-root",
            str(pascal),
            "--checkpoints",
            str(weights),
            "--output",
            str(tmp_path / "out"),
            "--rows",
            "PANet, VGG-16",
            "--device",
            "cpu",
            "--runs",
            "2",
            "--episodes",
            "2",
            "--size",
            str(SIDE),
        ]
    )
    assert code == 0
    said = capsys.readouterr()
    assert said.err.count("Not measured") == 4 and "panet_vgg16_pascal_fold3.safetensors" in said.err
    text = (tmp_path / "out" / "dpcl-1.md").read_text()
    assert "| all | run.iterations | 30000 | 7 |" in text and "optimizer.lr" not in text
    measured = next(line for line in text.splitlines() if "| measured |" in line).split("|")[3:-1]
    assert [bool(cell.strip()) for cell in measured] == [True, True, False, False, False] * 2


def test_reproduce_a_table_of_patches(vaihingen, tmp_path, random_model):
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copy(random_model, weights / "jiang_resnet50_pascal.safetensors")
    code = run(
        [
            "reproduce",
            "jiang-1",
            "--data-root",
            str(vaihingen),
            "--checkpoints",
            str(weights),
            "--output",
            str(tmp_path / "out"),
            "--rows",
            "PANet",
            "--device",
            "cpu",
            "--runs",
            "2",
            "--size",
            str(SIDE),
        ]
    )
    assert code == 0
    page = (tmp_path / "out" / "jiang-1.html").read_text()
    assert "every query patch once" in page and "kappa" in page
    journal = next((tmp_path / "out" / "journals").iterdir()).read_text().splitlines()
    assert [json.loads(line)["episodes"] for line in journal[1:]] == [17, 17]


def test_reproduce_figures(pascal, tmp_path, capsys):
    weights = tmp_path / "weights"
    weights.mkdir()
    for method, layers in (("panet", (4,)), ("dpcl", (2, 3, 4))):
        name = f"{method}_resnet50_layers{''.join(map(str, layers))}_pascal_fold0.safetensors"
        save_checkpoint(Encoder(EncoderLayout(layers=layers)), weights / name, {})
    for figure, episodes in (("dpcl-figure-3", 2), ("dpcl-figure-4", 12)):
        code = run(
            [
                "reproduce",
                figure,
                "--data-root",
                str(pascal),
                "--checkpoints",
                str(weights),
                "--output",
                str(tmp_path / "out"),
                "--device",
                "cpu",
                "--episodes",
                str(episodes),
                "--size",
                str(SIDE),
            ]
        )
        assert code == 0
        assert len(list((tmp_path / "out").glob(f"{figure}_*.png"))) == 1
    capsys.readouterr()
    for episodes, said in (("1", "too few prototypes"), ("0", "ask for at least one")):
        assert reproduce("dpcl-figure-4", pascal, tmp_path, "--episodes", episodes) == 2
        assert said in one_sentence(capsys)


def test_reproduce_tells_what_is_wrong(tmp_path, capsys):
    assert run(["reproduce", "dpcl-9", "--data-root", str(tmp_path)]) == 2
    assert "choose one of dpcl-1" in one_sentence(capsys)
    assert run(["reproduce", "dpcl-3", "--data-root", str(tmp_path), "--rows", "both"]) == 2
    assert "no row 'both'" in one_sentence(capsys)


def reproduce(table: str, root: Path, tmp_path: Path, *more: str) -> int:
    return run(
        [
            "reproduce",
            table,
            "--data-root",
            str(root),
            "--checkpoints",
            str(tmp_path / "weights"),
            "--output",
            str(tmp_path / "out"),
            "--device",
            "cpu",
            "--runs",
            "1",
            "--size",
            str(SIDE),
            *more,
        ]
    )


def test_reproduce_on_four_tiles(vaihingen, tmp_path, random_model, capsys):
    from backend.episodes.datasets.vaihingen import TILES

    (tmp_path / "weights").mkdir()
    shutil.copy(random_model, tmp_path / "weights/jiang_resnet50_pascal.safetensors")
    root = tmp_path / "data"
    shutil.copytree(vaihingen, root / "vaihingen")
    for number in TILES["four-tile", "test"]:  # which have no eroded labels in the copy
        name = f"top_mosaic_09cm_area{number}"
        shutil.copy(
            root / f"vaihingen/gts_for_participants/{name}.tif",
            root / f"vaihingen/gts_eroded_for_participants/{name}_noBoundary.tif",
        )
    assert reproduce("jiang-1", root, tmp_path, "--rows", "PANet", "--vaihingen-split", "four-tile") == 0
    text = (tmp_path / "out/jiang-1.md").read_text()
    assert "| test split | official | four-tile |" in text and "| vaihingen, split | four-tile |" in text
    (journal,) = (tmp_path / "out/journals").iterdir()
    assert [json.loads(line)["episodes"] for line in journal.read_text().splitlines()[1:]] == [4]
    assert reproduce("jiang-1", root, tmp_path, "--rows", "PANet") == 2  # the journal is of the other split
    assert "other settings (data)" in one_sentence(capsys)


def test_reproduce_with_the_infrared_band(tmp_path, capsys):
    from backend.episodes.datasets.potsdam import TILES

    root = tmp_path / "data/potsdam"
    for tile in TILES["train"] + TILES["test"]:
        image, labels = blocks([0, 1, 2, 3, 4, 5], 2 * SIDE)
        save(root / "3_Ortho_IRRG" / f"top_potsdam_{tile}_IRRG.tif", image)
        part = "5_Labels_all" if tile in TILES["train"] else "5_Labels_all_noBoundary"
        ending = "" if tile in TILES["train"] else "_noBoundary"
        save(root / part / f"top_potsdam_{tile}_label{ending}.tif", np.array(PALETTE, np.uint8)[labels])
    (tmp_path / "weights").mkdir()
    weights = tmp_path / "weights/jiang_vgg16_pascal.safetensors"
    save_checkpoint(Encoder(EncoderLayout(architecture="vgg16", layers=(2,))), weights, {})
    assert reproduce("jiang-2", root.parent, tmp_path, "--rows", "PANet") == 2
    assert "top_potsdam_2_10_RGB.tif" in one_sentence(capsys)
    assert reproduce("jiang-2", root.parent, tmp_path, "--rows", "PANet", "--potsdam-bands", "irrg") == 0
    assert "| potsdam, bands | irrg |" in (tmp_path / "out/jiang-2.md").read_text()
