"""The experiments of resources/experiments: each can be read, and they train all that the papers' tables ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.encoders.checkpoint import load_checkpoint
from backend.evaluation.models import training_options
from backend.evaluation.options import differences, paper_options
from backend.evaluation.setting import FITTED, Setting
from backend.evaluation.tables import TableEntry, entries
from backend.training.configuration import Experiment, read_experiment
from backend.training.loop import train

FOLDER = Path(__file__).resolve().parents[3] / "resources" / "experiments"
FILES = sorted(FOLDER.glob("*.yaml"))


def trained_settings() -> list[Setting]:
    """What any table or figure measures with a checkpoint of a training."""
    found: list[Setting] = []
    for entry in entries().values():
        found += entry.settings() if isinstance(entry, TableEntry) else entry.settings.values()
    return [s for s in dict.fromkeys(found) if s.method not in FITTED and s.trained_on != "imagenet"]


def experiment_of(setting: Setting) -> Experiment:
    """The experiment whose name is the checkpoint's, with the setting's fold and shot."""
    changes = [f"episodes.shot={setting.shot}"] + (
        [] if setting.fold is None else [f"data.fold={setting.fold}"]
    )
    wanted = f"{setting.checkpoint_name}_{setting.shot}shot"
    for path in FILES:
        experiment = read_experiment(path, changes if path.stem != "own_pairs" else [])
        if experiment.name == wanted:
            return experiment
    raise AssertionError(f"no experiment trains {wanted}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_can_be_read(path: Path) -> None:
    experiment = read_experiment(path)
    assert experiment.name.startswith(path.stem)
    assert experiment.folder == FOLDER / ".." / ".." / "runs" / experiment.name
    assert experiment.data.root.is_relative_to(FOLDER)
    assert all(len(line) <= 120 for line in path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("setting", trained_settings(), ids=lambda setting: setting.name)
def test_every_checkpoint_of_the_tables_has_an_experiment_with_the_papers_options(setting: Setting) -> None:
    experiment = experiment_of(setting)
    told = training_options({"configuration": experiment.model_dump_json()})
    paper = paper_options(setting)
    trained = {name: value for name, value in paper.items() if "." in name or name == "algorithm"}
    assert len(trained) >= 14
    assert {name: told[name] for name in trained} == trained
    named = {difference.option for difference in differences(setting, told)}
    assert not named & set(trained)
    assert experiment.encoder.architecture == setting.backbone
    assert setting.layers in ((), experiment.encoder.layers)
    assert experiment.data.options.get("left_out") == (
        setting.test_class if experiment.data.name == setting.dataset else None
    )


def test_the_example_for_own_pairs_trains(pairs: Path, weights: Path, tmp_path: Path) -> None:
    changes = [
        f"data.root={pairs}", f"data.options.cache={tmp_path / 'cache'}", f"output={tmp_path}",
        "data.options.patch=64", f"encoder.weights={weights}", "encoder.layers=[2]", "episodes.size=48",
        "run.iterations=2", "run.accelerator=cpu", "run.workers=0", "run.validate_every=0",
    ]  # fmt: skip
    last = train(read_experiment(FOLDER / "own_pairs.yaml", changes), progress=False)
    assert last == tmp_path / "own_pairs" / "last.safetensors"
    assert load_checkpoint(last).metadata["trained_on"] == "geotiff: forest, water"
