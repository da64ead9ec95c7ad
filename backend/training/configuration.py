"""One experiment: a YAML file, checked when it is read; keys that it does not know are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from ..configuration_file import ConfigurationError, read_values
from ..episodes.drawn import DrawnOptions
from ..episodes.episode import Boundary
from .algorithms import Algorithm, method_values, paper_sections


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """Where the images come from.

    Attributes:
        name: Of the dataset, see ``python -m backend data --help``.
        root: Its folder; a relative path begins at the configuration file, on the command line where that is called.
        fold: Which classes are held out for the test, where the dataset has folds.
        split: Which images, in the dataset's own words; None for those that it is trained on.
        options: Further options of the dataset.
    """

    name: str
    root: Path
    fold: int | None = Field(default=None, ge=0)
    split: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class EpisodeSection(_Section):
    """What an episode is made of.

    Attributes:
        way: Classes.
        shot: Support images per class.
        queries: Query images.
        size: Height and width that images are resized to.
        mirror: Whether images are mirrored with probability 0.5.
        boundary: What unlabelled pixels of support images are, such as VOC's outlines of objects: "ignore", or
            "background" as in PANet's code.
        held_out: What the classes of the test fold are while the others are trained: "background" as in PANet's code,
            or "ignore", which suits images that all show most classes; see :class:`HeldOutIgnored`. They are then
            unlabelled pixels as any other, so the boundary must be "ignore" too.
        drawn: Takes episodes within one scene instead, all its classes jointly, by a few small polygons as people draw
            them; see :class:`DrawnOptions`. Of the other keys, only size is then used.
    """

    way: int = Field(default=1, ge=1, le=100)
    shot: int = Field(default=1, ge=1, le=100)
    queries: int = Field(default=1, ge=1, le=100)
    size: int = Field(default=473, ge=32, le=4096)
    mirror: bool = True
    boundary: Boundary = "ignore"
    held_out: Boundary = "background"
    drawn: DrawnOptions | None = None

    @model_validator(mode="after")
    def _check_held_out(self) -> EpisodeSection:
        if self.held_out == "ignore" and self.boundary == "background":
            raise ValueError("held_out: ignore needs boundary: ignore")
        return self


class EncoderSection(_Section):
    """The network.

    Attributes:
        weights: A .safetensors file to begin from; None for torchvision's ImageNet weights.
        architecture: "resnet50" or "vgg16".
        layers: Levels that are concatenated (DPCL, Table 4).
        projection: Channels that each level is projected to (DPCL, Section 4.1), 0 for none.
        compression: Channels of the 3 x 3 convolution behind the levels (Jiang et al., Section II-C), 0 for none.
        freeze: How many stages, from the first, keep their weights: 0 trains all, 2 the stem and level 1.
    """

    weights: Path | None = None
    architecture: Literal["resnet50", "vgg16"] = "resnet50"
    layers: tuple[int, ...] = (2, 3, 4)
    projection: int = Field(default=512, ge=0, le=8192)
    compression: int = Field(default=0, ge=0, le=8192)
    freeze: int = Field(default=0, ge=0, le=4)


class OptimizerSection(_Section):
    """The optimiser and its steps (DPCL, Section 5.1; the milestones are PANet's).

    Attributes:
        kind: "sgd" as in the papers, or "adamw", which learns faster from few iterations.
        lr: Learning rate.
        momentum: Of SGD.
        weight_decay: Of either.
        schedule: "steps", or "cosine" to nearly 0 at the last iteration.
        milestones: Iterations after which the steps go down.
        gamma: By this factor.
        warmup: Iterations in which the rate rises to ``lr``.
        clip: Largest norm of the gradient, 0 for any.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    milestones: tuple[int, ...] = (10_000, 20_000)
    gamma: float = Field(default=0.1, gt=0, le=1)
    schedule: Literal["steps", "cosine"] = "steps"
    warmup: int = Field(default=0, ge=0)
    clip: float = Field(default=0.0, ge=0)


class RunSection(_Section):
    """The loop.

    Attributes:
        iterations: Optimiser steps.
        batch: Episodes per step and device.
        workers: Processes that read episodes; they change nothing but the speed.
        precision: Lightning's name; "16-mixed" and "bf16-mixed" need less memory.
        devices: How many; "auto" takes all.
        accelerator: "auto", "cpu" or "gpu".
        strategy: Lightning's name, for example "ddp".
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints.
        validate_every: Steps between validations, 0 for none.
        validation_episodes: Episodes of one validation.
        preview_every: Steps between pictures of an episode, 0 for none.
    """

    iterations: int = Field(default=30_000, ge=1)
    batch: int = Field(default=2, ge=1)
    workers: int = Field(default=2, ge=0)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    devices: int | Literal["auto"] = "auto"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    strategy: str = "auto"
    log_every: int = Field(default=20, ge=1)
    save_every: int = Field(default=1000, ge=1)
    validate_every: int = Field(default=0, ge=0)
    validation_episodes: int = Field(default=100, ge=1)
    preview_every: int = Field(default=1000, ge=0)


class Experiment(_Section):
    """A training run; what is left open is as in the algorithm's paper.

    Attributes:
        name: Of its folder and its model; {fold} and {shot} stand for data.fold and episodes.shot.
        output: Where the folder goes; for relative paths see ``DataSection.root``.
        seed: Of everything that is drawn.
        algorithm: What is trained, see :mod:`.algorithms`.
        method: All options of the algorithm, those that were not given too.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]|\{fold\}|\{shot\})*$")
    output: Path = Path("runs")
    seed: int = Field(default=1234, ge=0, lt=2**32)
    algorithm: Algorithm = "dpcl"
    data: DataSection
    episodes: EpisodeSection = EpisodeSection()
    encoder: EncoderSection = EncoderSection()
    method: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    optimizer: OptimizerSection = OptimizerSection()
    run: RunSection = RunSection()

    @model_validator(mode="before")
    @classmethod
    def _fill_sections(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        for section, paper in paper_sections(values.get("algorithm")).items():
            given = values.get(section, {})
            if isinstance(given, dict):
                filled[section] = {**paper, **given}
        return filled

    @field_validator("method")
    @classmethod
    def _fill_method(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if not {"algorithm", "seed"} <= info.data.keys():
            return given  # one of them is wrong, which is told
        return method_values(info.data["algorithm"], {"seed": info.data["seed"], **given})

    @property
    def folder(self) -> Path:
        """Where the run keeps its files."""
        return self.output / self.name


def read_experiment(path: Path, changes: Sequence[str] = ()) -> Experiment:
    """Read an experiment.

    Args:
        path: A YAML file.
        changes: "key=value" with dots between the sections, for example "optimizer.lr=0.01"; values are YAML.

    Raises:
        ConfigurationError: When the file cannot be read, or a key is unknown, missing or wrong.
        MethodError: When an option of the algorithm is wrong.
    """
    values = read_values(path, changes, ("output", "data.root", "encoder.weights"))
    values.setdefault("output", str(path.resolve().parent / "runs"))
    try:
        experiment = Experiment.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(f"The configuration {path}: {_first(error)}") from error
    return experiment.model_copy(update={"name": _filled_name(experiment)})


def _filled_name(experiment: Experiment) -> str:
    name, fold = experiment.name, experiment.data.fold
    if "{fold}" in name and fold is None:
        raise ConfigurationError(
            f"The name {name} has a fold in it, but data.fold is not given; add data.fold=0."
        )
    return name.replace("{fold}", str(fold)).replace("{shot}", str(experiment.episodes.shot))


def _first(error: ValidationError) -> str:
    """The first mistake as one sentence."""
    mistake = error.errors()[0]
    key = ".".join(map(str, mistake["loc"])) or "method"
    if mistake["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"the key {key} is not known; check its spelling."
    if mistake["type"] == "missing":
        return f"the key {key} is missing."
    return f"{key} is wrong ({mistake['msg'].removeprefix('Value error, ').rstrip('.').lower()})."
