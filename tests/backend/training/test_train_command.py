"""The command train, and what it says when something is wrong: one sentence with the fix, and no traceback."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.cli import run
from backend.encoders.checkpoint import load_checkpoint, save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout

pytestmark = pytest.mark.slow
MakeConfig = Callable[..., Path]


@pytest.fixture
def train(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command: its exit code, and what it wrote to stdout and stderr."""

    def call(config: Path, *changes: str) -> tuple[int, str, str]:
        code = run(["train", str(config), *changes, "--no-progress"])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


def sentence(result: tuple[int, str, str]) -> str:
    """The one sentence of a command that failed."""
    code, out, err = result
    lines = err.strip().splitlines()
    assert code == 2 and out == "" and len(lines) == 1, err
    assert lines[0].startswith("Error: ") and lines[0].endswith(".") and "Traceback" not in err
    return lines[0]


def test_trains_and_goes_on(make_config: MakeConfig, train: Callable[..., tuple[int, str, str]]) -> None:
    path = make_config(name="net_{shot}shot", run={"iterations": 2, "validate_every": 0, "preview_every": 0})
    code, out, _ = train(path)
    model = Path(out.strip().splitlines()[-1])
    assert code == 0 and model == path.parent / "runs" / "net_1shot" / "last.safetensors"
    before = model.read_bytes()
    assert train(path)[0] == 0 and model.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("data.root=/nowhere", "/nowhere does not exist; check the path"),
        ("data.name=mnist", "no data set 'mnist'; choose one of pascal"),
        ("data.fold=9", "fold"), ("data.fold=0", "2 classes cannot be divided into 4 folds"),
        ("data.fold=-1", "data.fold is wrong"), ("data.options.left_out=lava", "'lava'"),
        ("data.options.pitch=3", "there is no 'pitch'"), ("episodes.way=3", "Episodes of 3 ways"),
        ("trainer.lr=1", "the key trainer is not known; check its spelling"),
        ("data.rot=x", "the key data.rot is not known"), ("method.alfa=2", "the key method.alfa is not known"),
        ("algorithm=dcpl", "algorithm is wrong (input should be 'dpcl', 'panet', 'jiang' or 'ppnet')"),
        ("algorithm=ppnet", "does not belong to the algorithm ppnet, which has parts"),
        ("encoder.weights=/gone.safetensors", "gone.safetensors does not exist; check the path"),
        ("encoder.architecture=vgg16", "are a resnet50 and no vgg16; set encoder.architecture to resnet50"),
        ("encoder.layers=[2, 3]", "layer3.0.conv1.weight is missing; choose other layers or another model"),
        ("run.precision=16-true", "run.precision is wrong"), ("run.devices=0", "check run.accelerator, run.devices"),
        ("encoder.layers=[2, 5]", "Layers must be some of 2, 3 and 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained(
    make_config: MakeConfig, train: Callable[..., tuple[int, str, str]], change: str, told: str
) -> None:
    path = make_config()
    assert told in sentence(train(path, change))
    assert not (path.parent / "runs").exists()


def test_layer4_of_weights_that_end_at_layer3(
    make_config: MakeConfig, train: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    deep = tmp_path / "deep.safetensors"
    save_checkpoint(Encoder(EncoderLayout(layers=(2, 3))), deep, {})
    said = sentence(train(make_config(), f"encoder.weights={deep}", "encoder.layers=[2, 3, 4]"))
    assert "deep.safetensors cannot be used: the tensor layer4.0.conv1.weight is missing" in said


def test_nothing_left_to_train(make_config: MakeConfig, train: Callable[..., tuple[int, str, str]]) -> None:
    said = sentence(train(make_config(), "encoder.freeze=4", "encoder.projection=0"))
    assert "With encoder.freeze at 4 there is nothing left to train; lower it." in said


def test_damaged_weights(
    make_config: MakeConfig, train: Callable[..., tuple[int, str, str]], weights: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:5000])
    change = f"encoder.weights={broken}"
    assert "broken.safetensors is damaged" in sentence(train(make_config(), change))
    tensors = load_file(weights)
    del tensors["layer1.0.conv2.weight"]
    save_file(tensors, broken, load_checkpoint(weights).metadata)
    assert "layer1.0.conv2.weight is missing" in sentence(train(make_config(), change))


def test_weights_that_are_finished_already(
    make_config: MakeConfig, train: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    trained = tmp_path / "trained.safetensors"
    save_checkpoint(Encoder(EncoderLayout(layers=(2,), projections=(8,))), trained, {})
    said = sentence(train(make_config(), f"encoder.weights={trained}"))
    assert "of their own; set encoder.projection and encoder.compression to 0" in said


def test_a_loss_that_diverges_leaves_the_last_good_checkpoint(
    make_config: MakeConfig, train: Callable[..., tuple[int, str, str]]
) -> None:
    path = make_config(optimizer={"lr": 10}, run={"save_every": 1, "validate_every": 0})
    said = sentence(train(path))
    found = re.search(
        r"The loss is not finite at iteration ([1-5]); what was saved before is kept: lower optimizer.lr",
        said,
    )
    assert found, said
    folder = path.parent / "runs" / "tiny"
    kept = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    model = load_checkpoint(folder / "last.safetensors")  # refuses what is not finite
    assert str(kept["global_step"]) == model.metadata["iterations"] == found[1]
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(kept["state_dict"][f"method.encoder.{name}"], tensor)
