"""The configuration of ``evaluate``: one YAML file, validated when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import ProtolabelError
from .published import published_table
from .setting import Backbone, Method, Setting


class ConfigError(ProtolabelError):
    """A configuration that cannot be used."""


class Beside(BaseModel):
    """Published numbers to set beside the measured ones: a row of a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    row: str


class EvaluationConfig(BaseModel):
    """An evaluation of one method.

    Attributes:
        name: Of the report's files.
        dataset: ``pascal``, ``coco``, ``camvid``, ``vaihingen`` or ``potsdam``.
        root: Its folder.
        checkpoint: The weights; ``{fold}`` and ``{shot}`` are filled in.
        method: How queries are segmented.
        backbone: Of the checkpoint.
        layers: Of the checkpoint; empty takes its own.
        trained_on: Data set that the checkpoint was trained on, where it is another one.
        protocol: ``panet``, ``hsnet`` or ``patches``.
        folds: Which are tested; empty for data sets without folds.
        shots: Which are tested.
        way: Classes of an episode.
        crf: Whether a DenseCRF refines the labels.
        runs: Instead of the protocol's.
        episodes: Of a run, instead of the protocol's.
        size: Height and width the images are resized to, instead of the paper's.
        boundary: What the outlines in support masks are.
        support: When the support patches are drawn.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:0``.
        workers: Processes that load episodes.
        output: Folder of reports and journals.
        beside: Published numbers to compare with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="evaluation", pattern=r"^[\w.-]+$")
    dataset: str
    root: Path
    checkpoint: str
    method: Method = "dpcl"
    backbone: Backbone = "resnet50"
    layers: tuple[int, ...] = ()
    trained_on: str | None = None
    protocol: str = "panet"
    folds: tuple[int, ...] = (0, 1, 2, 3)
    shots: tuple[int, ...] = Field(default=(1, 5), min_length=1)
    way: int = Field(default=1, ge=1)
    crf: bool = False
    runs: int | None = Field(default=None, ge=1)
    episodes: int | None = Field(default=None, ge=1)
    size: int | None = Field(default=None, ge=8)
    boundary: Literal["ignore", "background"] = "background"
    support: Literal["fixed", "redrawn"] = "fixed"
    device: str = "auto"
    workers: int = Field(default=0, ge=0)
    output: Path
    beside: Beside | None = None

    def settings(self) -> tuple[Setting, ...]:
        """What is measured: each shot with each fold."""
        return tuple(
            Setting(
                method=self.method,
                backbone=self.backbone,
                layers=self.layers,
                dataset=self.dataset,
                trained_on=self.trained_on,
                fold=fold,
                way=self.way,
                shot=shot,
                crf=self.crf,
            )
            for shot in self.shots
            for fold in self.folds or (None,)
        )

    def checkpoint_of(self, setting: Setting) -> Path:
        """The checkpoint of a setting."""
        return Path(self.checkpoint.replace("{fold}", str(setting.fold)).replace("{shot}", str(setting.shot)))


def load_config(path: Path, changes: tuple[str, ...] = ()) -> EvaluationConfig:
    """Load a configuration.

    Args:
        path: A YAML file.
        changes: ``key=value`` each, which replace what the file says; values are YAML.

    Raises:
        ConfigError: When it cannot be read, or a key or a value is wrong.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read ({error}); check the path.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The configuration {path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"The configuration {path} must be a list of `key: value` lines.")
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ConfigError(f"{change!r} is no change of the configuration; write it as key=value.")
        try:
            content[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"The value of {change!r} is not YAML; put it in quotes.") from error
    try:
        config = EvaluationConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"The configuration {path} has a mistake: {_mistakes(error)}.") from error
    if config.beside is not None:
        table = published_table(config.beside.table)
        if config.beside.row not in [row.name for row in table.rows]:
            rows = ", ".join(row.name for row in table.rows)
            raise ConfigError(f"{config.beside.table} has no row {config.beside.row!r}; choose of {rows}.")
    return config


def _mistakes(error: ValidationError) -> str:
    found = []
    for mistake in error.errors():
        key = ".".join(map(str, mistake["loc"]))
        if mistake["type"] == "extra_forbidden":
            known = ", ".join(EvaluationConfig.model_fields)
            found.append(f"there is no option {key!r} (there are {known})")
        elif mistake["type"] == "missing":
            found.append(f"{key!r} is missing")
        else:
            found.append(f"{key!r}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}")
    return "; ".join(found)
