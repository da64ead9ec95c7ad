"""The commands evaluate and reproduce, from data in their official folders to the report."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from backend.cli import run
from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout

SIDE = 48
PALETTE = [(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)]


def blocks(ids, side=SIDE):
    """An image in which each id has a stripe of a colour of its own, and the ids."""
    labels = np.repeat(np.array(ids, np.uint8), side // len(ids))[None].repeat(side, axis=0)
    labels = np.pad(labels, ((0, 0), (0, side - labels.shape[1])), mode="edge")
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (256, 3))
    image = colors[labels] + rng.normal(0, 8, (side, side, 3))
    return np.clip(image, 0, 255).astype(np.uint8), labels


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory):
    root = tmp_path_factory.mktemp("camvid")
    for index in range(8):
        image, labels = blocks([index % 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0])
        save(root / "test" / "images" / f"{index}.png", image)
        save(root / "test" / "labels" / f"{index}.png", labels)
    return root


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


@pytest.fixture
def config(tmp_path, camvid, random_model):
    values = {
        "name": "trial",
        "dataset": "camvid",
        "root": str(camvid),
        "checkpoint": str(random_model),
        "folds": [0, 3],
        "shots": [1],
        "runs": 2,
        "episodes": 3,
        "size": SIDE,
        "device": "cpu",
        "output": str(tmp_path / "out"),
    }
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def one_sentence(capsys):
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert err.startswith("Error: ") and err.endswith("."), err
    return err


def test_evaluate_writes_a_report(config, tmp_path, capsys):
    assert run(["evaluate", str(config)]) == 0
    out = tmp_path / "out"
    assert capsys.readouterr().out.split() == [str(out / f"trial.{kind}") for kind in ("html", "md", "csv")]
    text = (out / "trial.md").read_text()
    assert "1-shot fold-1" in text and "1-shot fold-4" in text and "1-shot Mean" in text
    assert "| IoU sky |" in text and "| F1 bicyclist |" in text
    assert "| all | runs | 5 | 2 |" in text and "| all | size | 473 | 48 |" in text
    assert len(list((out / "journals").iterdir())) == 2


def test_evaluate_goes_on(config, tmp_path):
    assert run(["evaluate", str(config)]) == 0
    journals = sorted((tmp_path / "out" / "journals").iterdir())
    whole, report = [path.read_bytes() for path in journals], (tmp_path / "out" / "trial.csv").read_text()
    journals[0].write_bytes(whole[0][: len(whole[0]) * 2 // 3])
    assert run(["evaluate", str(config)]) == 0
    assert [path.read_bytes() for path in journals] == whole
    assert (tmp_path / "out" / "trial.csv").read_text() == report


def test_evaluate_does_not_mix_settings(config, capsys):
    assert run(["evaluate", str(config)]) == 0
    assert run(["evaluate", str(config), "size=56"]) == 2
    assert "other settings (size)" in one_sentence(capsys)


def test_evaluate_with_published_numbers(config, tmp_path):
    changes = ["beside={table: dpcl-1, row: DPCL}"]
    assert run(["evaluate", str(config), *changes]) == 0
    assert "| dpcl | published | 52.46 | 47.18 | 53.39 |" in (tmp_path / "out" / "trial.md").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("shot=[1]", "no option 'shot'"),
        ("runs=0", "'runs'"),
        ("protocol=voc", "no protocol voc"),
        ("dataset=ade", "no data set ade"),
        ("folds=[4]", "no fold 4"),
        ("root=/nowhere", "/nowhere"),
        ("layers=[2,3]", "train that one"),
        ("beside={table: dpcl-1, row: Ours}", "no row 'Ours'"),
        ("nonsense", "key=value"),
        ("way=9", "fewer ways"),
        ("protocol=patches", "panet or hsnet"),
    ],
)
def test_evaluate_tells_what_is_wrong(config, capsys, change, said):
    assert run(["evaluate", str(config), change]) == 2
    assert said in one_sentence(capsys)


def test_evaluate_without_a_checkpoint_says_so_in_the_report(config, tmp_path):
    assert run(["evaluate", str(config), "checkpoint=none_{fold}.safetensors"]) == 0
    assert (
        "no checkpoint none\\_3" in (text := (tmp_path / "out" / "trial.md").read_text()) or "none_3" in text
    )


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


def test_reproduce_figures(pascal, tmp_path):
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


def test_reproduce_tells_what_is_wrong(tmp_path, capsys):
    assert run(["reproduce", "dpcl-9", "--data-root", str(tmp_path)]) == 2
    assert "choose one of dpcl-1" in one_sentence(capsys)
    assert run(["reproduce", "dpcl-3", "--data-root", str(tmp_path), "--rows", "both"]) == 2
    assert "no row 'both'" in one_sentence(capsys)
