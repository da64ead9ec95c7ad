"""Experiments: what is wrong is told by its key, nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.dpcl.options import MethodOptions
from backend.training.configuration import ConfigurationError, read_experiment


def test_values_and_changes(make_config: Callable[..., Path]) -> None:
    path = make_config()
    experiment = read_experiment(
        path, ["optimizer.lr=0.5", "method.anchor=shot", "run.batch=3", "name=other"]
    )
    assert experiment.optimizer.lr == 0.5 and experiment.run.batch == 3
    assert experiment.folder == path.parent / "runs" / "other"
    options = experiment.method_options()
    assert options.anchor == "shot" and options.dictionary_size == 32 and options.seed == 7
    assert options.temperature == MethodOptions().temperature


def test_defaults_are_the_paper_s(make_config: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("name: dpcl\ndata: {name: pascal, root: VOC, fold: 0}\n", encoding="utf-8")
    experiment = read_experiment(path)
    assert experiment.data.root == tmp_path / "VOC"
    assert (
        experiment.episodes.size == 473 and experiment.run.iterations == 30_000 and experiment.run.batch == 2
    )
    optimizer = experiment.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (1e-3, 0.9, 5e-4)
    assert experiment.encoder.layers == (2, 3, 4) and experiment.encoder.projection == 512
    assert experiment.method_options() == MethodOptions(seed=1234)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("optimiser.lr=1", "the key optimiser is not known"),
        ("optimizer.rate=1", "the key optimizer.rate is not known"),
        ("method.lambda=1", "is not known"), ("optimizer.lr=0", "optimizer.lr is wrong"),
        ("optimizer.lr=fast", "optimizer.lr is wrong"), ("run.iterations=0", "run.iterations is wrong"),
        ("data={root: x}", "the key data.name is missing"), ("name=../up", "name is wrong"),
        ("method.temperature=0", "temperature must be above 0"), ("episodes.size", "write key=value"),
        ("name.x=1", "is a value and no section"), ("seed=[", "value is not understood"),
    ],
)  # fmt: skip
def test_mistakes(make_config: Callable[..., Path], change: str, told: str) -> None:
    with pytest.raises(Exception, match=told) as caught:
        read_experiment(make_config(), [change])
    assert str(caught.value).count("\n") == 0


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_experiment(tmp_path / "gone.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="holds no keys"):
        read_experiment(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1\nb: {", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_experiment(tmp_path / "broken.yaml")
