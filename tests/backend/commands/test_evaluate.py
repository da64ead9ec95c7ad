"""The command evaluate, from data in their official folders to the report."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import yaml
from PIL import Image

from backend.cli import run

SIDE = 48


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
        ("dataset=ade", "no data set 'ade'"),
        ("folds=[4]", "no fold 4"),
        ("root=/nowhere", "/nowhere"),
        ("layers=[2,3]", "train that one"),
        ("beside={table: dpcl-1, row: Ours}", "no row 'Ours'"),
        ("nonsense", "key=value"),
        ("shots=[0]", "'shots.0'"),
        ("options.left_out=lava", "leave out folds"),
        ("root.path=x", "root is a value and no section"),
        ("way=9", "fewer ways"),
        ("protocol=patches", "leave out folds"),
    ],
)
def test_evaluate_tells_what_is_wrong(config, capsys, change, said):
    assert run(["evaluate", str(config), change]) == 2
    assert said in one_sentence(capsys)


def test_evaluate_finds_what_lies_beside_its_configuration(
    config, camvid, tmp_path, random_model, monkeypatch
):
    values = yaml.safe_load(config.read_text())
    (tmp_path / "data").symlink_to(camvid)
    (tmp_path / "own.safetensors").symlink_to(random_model)
    beside = {"root": "data", "checkpoint": "own.safetensors", "output": "reports", "folds": [0], "runs": 1}
    config.write_text(yaml.safe_dump({**values, **beside}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["evaluate", str(config), "options.min_pixels=2"]) == 0
    assert "| options.min_pixels | 2 |" in (tmp_path / "reports" / "trial.md").read_text()
    assert run(["evaluate", str(config), "output=here"]) == 0
    assert (tmp_path / "elsewhere" / "here" / "trial.md").is_file()


def test_evaluate_without_a_checkpoint_says_so_in_the_report(config, tmp_path, capsys):
    assert run(["evaluate", str(config), "checkpoint=none_{fold}.safetensors"]) == 0
    assert "Not measured: dpcl, ResNet-50, camvid fold 1" in capsys.readouterr().err.replace(
        "camvid, fold", "camvid fold"
    )
    assert (
        "no checkpoint none\\_3" in (text := (tmp_path / "out" / "trial.md").read_text()) or "none_3" in text
    )


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Eight GeoTIFF pairs of three classes."""
    root = tmp_path_factory.mktemp("pairs")
    for index in range(8):
        image, labels = blocks([0, 1, 2, 3] if index % 2 else [3, 2, 1, 0])
        save(root / f"{'train' if index < 4 else 'test'}{index}.tif", image)
        save(root / f"{'train' if index < 4 else 'test'}{index}_labels.tif", labels)
    (root / "classes.csv").write_text("id,name,color\n1,road,#808080\n2,roof,#ff0000\n3,tree,#008000\n")
    return root


def own_data(config, pairs, tmp_path, **changes):
    """The configuration for GeoTIFF pairs."""
    values = yaml.safe_load(config.read_text())
    values |= {"dataset": "geotiff-pairs", "root": str(pairs), "options": {"cache": str(tmp_path / "cache")}}
    values.pop("folds", None)
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    config.write_text(yaml.safe_dump(values))
    return str(config)


def test_evaluate_a_class_of_own_data(config, pairs, tmp_path):
    path = own_data(config, pairs, tmp_path, options={"left_out": "roof", "patch": 24}, workers=1)
    assert run(["evaluate", path]) == 0
    text = (tmp_path / "out" / "trial.md").read_text()
    assert text.startswith("# dpcl on geotiff-pairs: mIoU, the class roof, left out\n")
    assert "| IoU roof |" in text and "| IoU road |" not in text
    for line in (
        "| options.left_out | roof |",
        "| options.patch | 24 |",
        "| Unlabelled pixels of the support | ignore |",
        "| Checkpoint | random.safetensors |",
    ):
        assert line in text
    assert "options.cache" not in text


def test_evaluate_patches_of_own_data(config, pairs, tmp_path):
    path = own_data(
        config,
        pairs,
        tmp_path,
        protocol="patches",
        size=20,
        episodes=None,
        options={"images": "test*.tif", "patch": 20},
        support_options={"images": "train*.tif"},
    )
    assert run(["evaluate", path]) == 0
    text = (tmp_path / "out" / "trial.md").read_text()
    assert "mIoU, 3-way" in text and "| IoU tree |" in text
    assert "| support_options.images | train*.tif |" in text
    assert "| Support patches | drawn once a run |" in text
    (journal,) = (tmp_path / "out" / "journals").iterdir()
    totals = {}
    for line in journal.read_text().splitlines()[1:]:
        block = json.loads(line)
        totals[block["seed"]] = totals.get(block["seed"], 0) + np.sum(block["confusion"])
    assert set(totals.values()) == {4 * SIDE * SIDE}  # all pixels are labelled, and each counts once


def test_evaluate_does_not_mix_options(config, pairs, tmp_path, capsys):
    assert run(["evaluate", own_data(config, pairs, tmp_path, options={"left_out": "roof"})]) == 0
    path = own_data(config, pairs, tmp_path, options={"left_out": "roof", "patch": 24})
    assert run(["evaluate", path]) == 2
    assert "other settings (data)" in one_sentence(capsys)


def test_evaluate_another_split(config, camvid, capsys):
    assert run(["evaluate", str(config), "split=val"]) == 2
    assert "no val/images" in one_sentence(capsys)
    assert run(["evaluate", str(config), "split=holdout"]) == 2
    assert "its split is 'holdout'" in one_sentence(capsys)


def test_evaluate_does_not_go_on_with_changed_labels(config, camvid, capsys):
    assert run(["evaluate", str(config)]) == 0
    label = min((camvid / "test" / "labels").iterdir())
    os.utime(label, (1, 1))
    assert run(["evaluate", str(config)]) == 2
    assert "other settings (data" in one_sentence(capsys)
