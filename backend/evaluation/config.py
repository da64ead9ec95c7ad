"""The configuration of ``evaluate``: one YAML file, validated when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..configuration_file import ConfigurationError, read_values
from ..episodes.datasets.geotiff_pairs import class_list
from ..episodes.opening import FOLDS, known_name, require_folder
from .published import published_table
from .setting import Backbone, Method, Setting
from .tasks import ISPRS, DataChoice


class Beside(BaseModel):
    """Published numbers to set beside the measured ones: a row of a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    row: str


class EvaluationConfig(BaseModel):
    """An evaluation of one method.

    Attributes:
        name: Of the report's files.
        dataset: ``pascal``, ``coco``, ``camvid``, ``vaihingen``, ``potsdam`` or ``geotiff-pairs``.
        root: Its folder; a relative path begins at the configuration file, on the command line where that is called.
        split: Which images are tested, in the data set's own words, instead of the protocol's.
        options: Of the data set, as ``data.options`` of a training; ``left_out`` names one class, which is tested
            alone.
        support_options: For the protocol patches, options that are others for the support images.
        checkpoint: The weights; ``{fold}`` and ``{shot}`` are filled in.
        method: How queries are segmented.
        backbone: Of the checkpoint.
        layers: Of the checkpoint; empty takes its own.
        trained_on: Data set that the checkpoint was trained on, where it is another one.
        protocol: ``panet``, ``hsnet`` or ``patches``.
        folds: Which are tested; empty for all classes together. None: all four, or none where a class is left out or
            the protocol is patches.
        shots: Which are tested.
        way: Classes of an episode; of patches, that many from the first one. None: 1, and for patches the five of Jiang
            et al. or all of one's own.
        crf: Whether a DenseCRF refines the labels.
        runs: Instead of the protocol's.
        episodes: Of a run, instead of the protocol's.
        size: Height and width the images are resized to, instead of the paper's.
        boundary: What the unlabelled pixels of support masks are, such as outlines; None: background as in the code of
            PANet, ignore in one's own data.
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
    split: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    support_options: dict[str, Any] = Field(default_factory=dict)
    checkpoint: str
    method: Method = "dpcl"
    backbone: Backbone = "resnet50"
    layers: tuple[int, ...] = ()
    trained_on: str | None = None
    protocol: str = "panet"
    folds: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 5), min_length=1)
    way: int | None = Field(default=None, ge=1)
    crf: bool = False
    runs: int | None = Field(default=None, ge=1)
    episodes: int | None = Field(default=None, ge=1)
    size: int | None = Field(default=None, ge=8)
    boundary: Literal["ignore", "background"] | None = None
    support: Literal["fixed", "redrawn"] = "fixed"
    device: str = "auto"
    workers: int = Field(default=0, ge=0)
    output: Path
    beside: Beside | None = None

    @property
    def left_out(self) -> str | None:
        """The class that is tested alone, or None."""
        return self.options.get("left_out")

    @property
    def data(self) -> DataChoice:
        """Where the images come from."""
        return DataChoice(self.root.expanduser(), self.split, self.options, self.support_options)

    def settings(self) -> tuple[Setting, ...]:
        """What is measured: each shot with each fold."""
        alone = self.left_out is not None or self.protocol == "patches"
        folds = (() if alone else range(FOLDS)) if self.folds is None else self.folds
        return tuple(
            Setting(
                method=self.method,
                backbone=self.backbone,
                layers=self.layers,
                dataset=self.dataset,
                trained_on=self.trained_on,
                fold=fold,
                test_class=self.left_out,
                way=self.way or 1,
                shot=shot,
                crf=self.crf,
            )
            for shot in self.shots
            for fold in folds or (None,)
        )

    def checkpoint_of(self, setting: Setting) -> Path:
        """The checkpoint of a setting."""
        filled = self.checkpoint.replace("{fold}", str(setting.fold)).replace("{shot}", str(setting.shot))
        return Path(filled).expanduser()

    @model_validator(mode="after")
    def _check_classes(self) -> EvaluationConfig:
        if self.left_out is not None:
            if not isinstance(self.left_out, str):
                raise ValueError("options.left_out must be the name of a class")
            if self.folds or (self.way or 1) > 1:
                raise ValueError("a class that is left out is tested alone; leave out folds and way")
        if self.protocol == "patches" and self.folds:
            raise ValueError("the protocol patches tests all classes together; leave out folds")
        return self


def load_config(path: Path, changes: tuple[str, ...] = ()) -> EvaluationConfig:
    """Load a configuration.

    Args:
        path: A YAML file.
        changes: ``key=value`` each; see :func:`read_values`.

    Raises:
        ConfigurationError: When it cannot be read, or a key or a value is wrong.
    """
    content = read_values(path, changes, ("root", "checkpoint", "output"))
    try:
        config = EvaluationConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(f"The configuration {path} has a mistake: {_mistakes(error)}.") from error
    if config.way is None and config.protocol == "patches" and config.left_out is None:
        config = config.model_copy(update={"way": _classes_of_patches(config)})
    if config.beside is not None:
        table = published_table(config.beside.table)
        if config.beside.row not in [row.name for row in table.rows]:
            rows = ", ".join(row.name for row in table.rows)
            raise ConfigurationError(
                f"{config.beside.table} has no row {config.beside.row!r}; choose of {rows}."
            )
    return config


def _classes_of_patches(config: EvaluationConfig) -> int:
    """How many classes patches are tested in."""
    if known_name(config.dataset) in ISPRS:
        return 5  # Jiang et al.; the sixth is clutter
    require_folder(config.data.root)
    return len(class_list(config.data.root, config.options.get("classes")))


def _mistakes(error: ValidationError) -> str:
    found = []
    for mistake in error.errors():
        key = ".".join(map(str, mistake["loc"]))
        if mistake["type"] == "extra_forbidden":
            known = ", ".join(EvaluationConfig.model_fields)
            found.append(f"there is no option {key!r} (there are {known})")
        elif mistake["type"] == "missing":
            found.append(f"{key!r} is missing")
        elif not key:
            found.append(mistake["msg"].removeprefix("Value error, "))
        else:
            found.append(f"{key!r}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}")
    return "; ".join(found)
