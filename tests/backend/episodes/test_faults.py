"""What can be wrong with each data set, through the commands that users call: one clear sentence each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from backend.cli import run
from backend.errors import ProtolabelError
from backend.training.configuration import read_experiment
from backend.training.data import EpisodeData

from .conftest import voc_labels, write_colors, write_ids, write_photo

LAYOUTS = {
    "pascal": "voc",
    "coco": "coco_root",
    "vaihingen": "vaihingen_root",
    "potsdam": "potsdam_root",
    "camvid": "camvid_root",
    "geotiff-pairs": "pairs_root",
}
VOC = "VOCdevkit/VOC2012"


@dataclass(frozen=True)
class Fault:
    """A fault in one of the files that are trained on."""

    name: str
    make: Callable[[Path], object]
    told: str


def _change(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


FAULTS = {
    "mask of another size": (
        Fault(
            "pascal",
            lambda root: write_ids(root / VOC / "SegmentationClass/2007_000001.png", voc_labels(1)[:5]),
            "2007_000001.png are 16 x 5 pixels but the image",
        ),
        Fault(
            "coco",
            lambda root: write_photo(root / "train2014/COCO_train2014_000000000001.jpg", 9, 9),
            "COCO_train2014_000000000001.jpg",
        ),
        Fault(
            "vaihingen",
            lambda root: write_photo(root / "top/top_mosaic_09cm_area3.tif", 20, 27),
            "area3.tif are 28 x 20 pixels but the image",
        ),
        Fault(
            "potsdam",
            lambda root: write_photo(root / "2_Ortho_RGB/top_potsdam_2_11_RGB.tif", 18, 28),
            "2_11_label.tif are 28 x 20 pixels but the image",
        ),
        Fault(
            "camvid",
            lambda root: write_photo(root / "train/images/0001TP_000002.jpg", 12, 15),
            "0001TP_000002.png are 16 x 12 pixels but the image",
        ),
        Fault(
            "geotiff-pairs",
            lambda root: write_photo(root / "scene1.tif", 12, 15),
            "scene1_labels.tif are 16 x 12 pixels but the image",
        ),
    ),
    "value outside of the class list": (
        Fault(
            "pascal",
            lambda root: write_ids(root / VOC / "SegmentationClass/2007_000002.png", np.full((12, 16), 33)),
            "2007_000002.png have the value 33, which is none of the classes",
        ),
        Fault(
            "coco",
            lambda root: _change(
                root / "annotations/instances_train2014.json", '"category_id": 90', '"category_id": 12'
            ),
            "use the unknown categories [12]",
        ),
        Fault(
            "camvid",
            lambda root: write_ids(root / "train/labels/0001TP_000001.png", np.full((12, 16), 12)),
            "0001TP_000001.png have the value 12, which is none of the classes",
        ),
        Fault(
            "geotiff-pairs",
            lambda root: write_ids(root / "scene2_labels.tif", np.full((12, 16), 9)),
            "scene2_labels.tif have the value 9, which is none of the classes",
        ),
    ),
    "missing list or file": (
        Fault(
            "pascal",
            lambda root: (root / VOC / "ImageSets/Segmentation/train.txt").unlink(),
            "split file",
        ),
        Fault(
            "coco", lambda root: (root / "annotations/instances_train2014.json").unlink(), "are missing; give"
        ),
        Fault(
            "vaihingen",
            lambda root: (root / "gts_for_participants/top_mosaic_09cm_area5.tif").unlink(),
            "area5.tif",
        ),
        Fault(
            "potsdam",
            lambda root: (root / "5_Labels_all/top_potsdam_7_12_label.tif").unlink(),
            "top_potsdam_7_12_label.tif",
        ),
        Fault("camvid", lambda root: (root / "train").rename(root / "elsewhere"), "has no train/images"),
        Fault("geotiff-pairs", lambda root: (root / "scene3.tif").unlink(), "scene3.tif"),
        Fault(
            "geotiff-pairs", lambda root: (root / "classes.csv").unlink(), "classes.csv does not exist; write"
        ),
    ),
}
CASES = [
    pytest.param(fault, id=f"{kind}, {fault.name}") for kind, faults in FAULTS.items() for fault in faults
]


@pytest.fixture
def layout(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """The tiny copy of a data set."""

    def root_of(name: str) -> Path:
        if name == "coco":
            pytest.importorskip("pycocotools")
        root: Path = request.getfixturevalue(LAYOUTS[name])
        return root

    return root_of


def check(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run(["data", "check", name, str(root)])
    said = capsys.readouterr()
    return code, said.out, said.err


def experiment(name: str, root: Path, tmp_path: Path, **data: object) -> EpisodeData:
    """The data of a training that a file asks for."""
    options = {} if name == "coco" else {"cache": str(tmp_path / "cache")}
    values = {
        "name": "tiny",
        "data": {"name": name, "root": str(root), "options": options, **data},
        "episodes": {"size": 32},
        "run": {"workers": 0, "iterations": 6, "batch": 1},
    }
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(values))
    return EpisodeData(read_experiment(path))


def train_sentence(name: str, root: Path, tmp_path: Path, **data: object) -> str:
    """What a training says; COCO's images are not read before episodes are drawn."""
    with pytest.raises(ProtolabelError) as caught:
        images = experiment(name, root, tmp_path, **data).images
        for index in range(len(images)):
            images[index]
    return str(caught.value)


def evaluate(
    name: str, root: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], **more: object
) -> tuple[int, str]:
    options = {} if name == "coco" else {"cache": str(tmp_path / "cache")}
    values: dict[str, object] = {
        "dataset": name,
        "root": str(root),
        "checkpoint": str(model),
        "options": options,
        "shots": [1],
        "runs": 1,
        "episodes": 4,
        "size": 32,
        "device": "cpu",
        "output": str(tmp_path / "out"),
    }
    if name in ("vaihingen", "potsdam"):
        values["protocol"] = "patches"
    if name == "camvid":
        values["split"] = "train"
    path = tmp_path / "evaluate.yaml"
    path.write_text(yaml.safe_dump({**values, **more}))
    code = run(["evaluate", str(path)])
    return code, capsys.readouterr().err


def one_sentence(text: str) -> str:
    lines = text.strip().splitlines()
    assert "Traceback" not in text and lines[-1].endswith("."), text
    return lines[-1]


@pytest.mark.parametrize("fault", CASES)
def test_faults(fault: Fault, layout, tmp_path: Path, random_model: Path, capsys) -> None:
    root = layout(fault.name)
    fault.make(root)
    code, out, err = check(fault.name, root, capsys)
    assert code == (2 if "classes.csv" in fault.told else 1) and fault.told in out + err
    told = train_sentence(fault.name, root, tmp_path)
    assert fault.told in one_sentence(told) and "\n" not in told
    # The copy of COCO is too small for episodes of a fold, which is told before an image is read.
    if not fault.told.startswith("COCO_"):
        code, err = evaluate(fault.name, root, tmp_path, random_model, capsys)
        assert code == 2 and fault.told in one_sentence(err)


@pytest.mark.parametrize("name", LAYOUTS)
def test_wrong_root(name: str, tmp_path: Path, random_model: Path, capsys) -> None:
    root = tmp_path / "nowhere"
    code, _, err = check(name, root, capsys)
    assert code == 2 and "nowhere does not exist" in one_sentence(err)
    assert "nowhere does not exist" in one_sentence(train_sentence(name, root, tmp_path))
    code, err = evaluate(name, root, tmp_path, random_model, capsys)
    assert code == 2 and "nowhere does not exist" in one_sentence(err)


@pytest.mark.parametrize("name", LAYOUTS)
def test_fold_out_of_range(name: str, layout, tmp_path: Path, random_model: Path, capsys) -> None:
    root = layout(name)
    assert "no fold 4; the 4 folds" in one_sentence(train_sentence(name, root, tmp_path, fold=4))
    code, err = evaluate(name, root, tmp_path, random_model, capsys, folds=[4])
    told = "tests all classes together; leave out folds" if name in ("vaihingen", "potsdam") else "no fold 4"
    assert code == 2 and told in one_sentence(err)


IGNORED = {
    "pascal": lambda root: write_ids(
        root / VOC / "SegmentationClass/2007_000001.png", np.full((12, 16), 255)
    ),
    "vaihingen": lambda root: write_colors(
        root / "gts_for_participants/top_mosaic_09cm_area1.tif", np.zeros((20, 28, 3))
    ),
    "potsdam": lambda root: write_colors(
        root / "5_Labels_all/top_potsdam_2_10_label.tif", np.zeros((20, 28, 3))
    ),
    "camvid": lambda root: write_ids(root / "train/labels/0001TP_000000.png", np.full((12, 16), 11)),
    "geotiff-pairs": lambda root: write_ids(root / "scene0_labels.tif", np.full((12, 16), 255)),
}


@pytest.mark.parametrize("name", IGNORED)
def test_images_without_a_label_are_told_and_never_drawn(name: str, layout, tmp_path: Path, capsys) -> None:
    root = layout(name)
    IGNORED[name](root)
    code, out, _ = check(name, root, capsys)
    assert code == 1 and out.count("every pixel is to be ignored; leave the image out.") in (1, 2)
    images = experiment(name, root, tmp_path).images
    for index in range(len(images)):
        if (images[index].labels == 255).all():
            assert images.present(index) == frozenset()


@pytest.mark.parametrize("name", ["camvid", "geotiff-pairs", "vaihingen"])
def test_episodes_of_data_with_such_images(
    name: str, layout, tmp_path: Path, random_model: Path, capsys
) -> None:
    root = layout(name)
    IGNORED[name](root)
    data = experiment(name, root, tmp_path, fold=0)
    for (episode,) in data.train_dataloader():
        assert not isinstance(episode, ProtolabelError)
        assert (episode.support_masks == 1).any() and (episode.query_labels != 255).any()
    more = {} if name == "vaihingen" else {"folds": [0]}
    code, err = evaluate(name, root, tmp_path, random_model, capsys, **more)
    assert code == 0, err
    (journal,) = (tmp_path / "out/journals").iterdir()
    counts = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert sum(np.sum(block["confusion"]) for block in counts) > 0
    assert "nan" not in (tmp_path / "out/evaluation.csv").read_text().lower()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_is_damaged_after_the_index_was_made(
    workers: int, camvid_root: Path, tmp_path: Path, random_model: Path, capsys
) -> None:
    experiment("camvid", camvid_root, tmp_path)  # keeps what classes the images show
    for path in (camvid_root / "train/images").iterdir():
        path.write_bytes(b"no image")
    code, err = evaluate("camvid", camvid_root, tmp_path, random_model, capsys, folds=[0], workers=workers)
    assert code == 2 and "cannot be read" in one_sentence(err)
    with pytest.raises(ProtolabelError, match="cannot be read") as caught:
        data = experiment("camvid", camvid_root, tmp_path)
        for batch in data.train_dataloader():
            data.transfer_batch_to_device(batch, "cpu", 0)
    assert "\n" not in str(caught.value)
