"""Experiments: what is wrong is told by its key, nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from backend.baselines.ppnet_parts import PartOptions
from backend.configuration_file import ConfigurationError
from backend.dpcl.options import MethodOptions
from backend.training.algorithms import method_options
from backend.training.configuration import Experiment, read_experiment


def test_values_and_changes(make_config: Callable[..., Path]) -> None:
    path = make_config()
    experiment = read_experiment(
        path, ["optimizer.lr=0.5", "method.anchor=shot", "run.batch=3", "name=other"]
    )
    assert experiment.optimizer.lr == 0.5 and experiment.run.batch == 3
    assert experiment.folder == path.parent / "runs" / "other"
    options = MethodOptions(**experiment.method)
    assert options.anchor == "shot" and options.dictionary_size == 32 and options.seed == 7
    assert options.temperature == MethodOptions().temperature
    assert read_experiment(path, ["method.seed=3"]).method["seed"] == 3


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
    assert experiment.encoder.compression == 0 and experiment.episodes.boundary == "ignore"
    assert MethodOptions(**experiment.method) == MethodOptions(seed=1234)


@pytest.mark.parametrize(
    ("algorithm", "layers", "compression", "iterations", "rate"),
    [
        ("panet", (4,), 0, 30_000, 1e-3),
        ("jiang", (2, 3), 256, 30_000, 1e-3),
        ("ppnet", (4,), 0, 24_000, 5e-4),
    ],
)
def test_defaults_are_those_of_each_algorithm_s_paper(
    tmp_path: Path,
    algorithm: str,
    layers: tuple[int, ...],
    compression: int,
    iterations: int,
    rate: float,
) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(
        f"name: x\nalgorithm: {algorithm}\ndata: {{name: pascal, root: VOC}}\nrun: {{workers: 0}}\n"
    )
    experiment = read_experiment(path)
    encoder = experiment.encoder
    assert (encoder.layers, encoder.projection, encoder.compression) == (layers, 0, compression)
    assert (experiment.run.iterations, experiment.run.batch, experiment.run.workers) == (iterations, 1, 0)
    assert experiment.optimizer.lr == rate and experiment.episodes.size == 417
    changed = read_experiment(path, ["encoder.compression=64", "run.iterations=5"])
    assert changed.encoder.compression == 64 and changed.run.iterations == 5
    assert Experiment.model_validate_json(experiment.model_dump_json()) == experiment


def test_methods_of_the_algorithms(make_config: Callable[..., Path]) -> None:
    def method(algorithm: str, *changes: str) -> dict[str, Any]:
        return read_experiment(make_config(algorithm=algorithm), changes).method

    seeded = {"seed": 7}
    jiang = {"alpha": 20.0, "class_balance": 0.0, "freeze_batch_norm": True, **seeded}
    assert method("jiang") == jiang
    assert method("panet") == {**jiang, "alignment_weight": 1.0, "alignment_mask": "predicted"}
    assert method("ppnet") == {**asdict(PartOptions()), **seeded}
    assert method_options("jiang", jiang) == replace(MethodOptions.jiang(), seed=7)
    assert method_options("panet", method("panet")) == replace(MethodOptions.panet(), seed=7)
    assert method("ppnet", "method.parts=3", "method.share=1") == {
        "parts": 3, "share": 1.0, "alpha": 20.0, "seed": 7,
    }  # fmt: skip


def test_names_with_fold_and_shot(make_config: Callable[..., Path]) -> None:
    path = make_config(name="net_fold{fold}_{shot}shot")
    experiment = read_experiment(path, ["data.fold=2", "episodes.shot=5"])
    assert experiment.name == "net_fold2_5shot" and experiment.folder.name == experiment.name
    with pytest.raises(ConfigurationError, match=r"data\.fold is not given; add data\.fold=0\.$"):
        read_experiment(path)


def test_paths_of_the_command_line_begin_where_it_is_called(
    make_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = make_config(data={"root": "pairs"}, encoder={"weights": "net.safetensors"})
    monkeypatch.chdir(tmp_path / "elsewhere")
    experiment = read_experiment(path, ["data.root=other", "output=out"])
    assert experiment.data.root == tmp_path / "elsewhere" / "other"
    assert experiment.output == tmp_path / "elsewhere" / "out"
    assert experiment.encoder.weights == tmp_path / "net.safetensors"
    assert read_experiment(path).data.root == tmp_path / "pairs"


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
        ("algorithm=pannet", "algorithm is wrong"), ("algorithm=[panet]", "algorithm is wrong"),
        ("algorithm=ppnet", "does not belong to the algorithm ppnet, which has parts, share"),
        ("algorithm=panet", "does not belong to the algorithm panet, which has alpha"),
        ("method.parts=3", "method.parts does not belong to the algorithm dpcl"),
        ("name={way}", "name is wrong"), ("episodes.boundary=black", "episodes.boundary is wrong"),
        ("seed=old", "seed is wrong"), ("seed=5000000000", "seed is wrong"),
        ("run.precision=bf16-true", "run.precision is wrong"),
        ("encoder.layers.0=2", "layers is a value and no section"),
        ("episodes={held_out: ignore, boundary: background}", "held_out: ignore needs boundary: ignore"),
        ("encoder=3", "encoder is wrong"), ("data=3", "data is wrong"),
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
