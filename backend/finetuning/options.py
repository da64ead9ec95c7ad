"""What a fine-tuning is asked for; its run folder keeps it as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import ProtolabelError
from ..rasters.class_styles import ClassStyle
from ..rasters.palette import hex_color
from ..rasters.stretch import Stretch

HoldOutKind = Literal["auto", "raster", "group"]
Trained = Literal["upper", "all", "last"]
MINUTES = 10.0
"""How long a training takes unless it is told."""

_RATES = {"upper": 1.5e-4, "all": 1.5e-4, "last": 3e-4}
_LEARNT = (
    0.2  # of the rate, for a model that has been trained by episodes already, which larger steps make worse
)


class FinetuningError(ProtolabelError):
    """Material or options that no model can be fine-tuned with."""


@dataclass(frozen=True)
class LabeledRaster:
    """A raster with what is known of it.

    Attributes:
        raster: Anything that GDAL reads.
        labels: A label raster on any grid, or None.
        polygons: A polygon layer, or None; features with ``use`` "validation" are never trained on.
        class_field: Field of the polygons' class ids.
        name_field: Field of their names; may be absent.
    """

    raster: str
    labels: str | None = None
    polygons: str | None = None
    class_field: str = "class_id"
    name_field: str = "class_name"


@dataclass(frozen=True)
class FinetuneOptions:
    """How to fine-tune; the defaults suit ten minutes on a CPU.

    Attributes:
        data: The labelled rasters.
        base: The model to begin with: a name or file, None for the default.
        classes: The class list, beyond which no label may be; None takes what is found.
        ignored: Class ids that are left out on purpose.
        bands: Band numbers from 1 for red, green, blue of all rasters; None chooses by name.
        stretch: Of all rasters; None estimates one for each.
        hold_out: See :mod:`.hold_out`.
        minutes: How long to train, pauses not counted; None without ``iterations`` is ten minutes.
        iterations: Episodes at most; None for as many as fit into the minutes.
        trained: "upper" keeps the first two stages, "all" trains everything, "last" the last stage alone.
        learning_rate: Largest step of AdamW; None chooses one, see :meth:`rate`.
        crop: Side of the crops in encoder input pixels.
        device: "auto", "cpu", "cuda" or "cuda:1".
        threads: On the CPU; None leaves one core to others where there are four or more.
        seed: Of everything that is drawn.
        patience: Measurements without a better one after which the training ends, 0 for never.
        measure_every: Seconds of training between measurements at least; they are rarer where one takes long.
        save_every: Seconds of training between checkpoints; each measurement keeps one as well.
        picture_every: Seconds of training between pictures of an episode.
    """

    data: tuple[LabeledRaster, ...]
    base: str | None = None
    classes: tuple[ClassStyle, ...] | None = None
    ignored: tuple[int, ...] = ()
    bands: tuple[int, ...] | None = None
    stretch: Stretch | None = None
    hold_out: HoldOutKind = "auto"
    minutes: float | None = None
    iterations: int | None = None
    trained: Trained = "upper"
    learning_rate: float | None = None
    crop: int = 192
    device: str = "auto"
    threads: int | None = None
    seed: int = 1
    patience: int = 8
    measure_every: float = 60.0
    save_every: float = 30.0
    picture_every: float = 30.0

    def __post_init__(self) -> None:
        if not self.data:
            raise FinetuningError("There is no labelled raster to fine-tune on; give one at least.")
        for given in self.data:
            if not (given.labels or given.polygons):
                raise FinetuningError(
                    f"Nothing is known of the raster {given.raster}; give a label raster or polygons for it."
                )
        for name, known in (("hold_out", get_args(HoldOutKind)), ("trained", get_args(Trained))):
            if getattr(self, name) not in known:
                raise FinetuningError(
                    f"The option {name} is {getattr(self, name)!r}; choose one of {', '.join(known)}."
                )
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise FinetuningError(f"A training of {self.minutes:g} minutes is none; give more than 0.")
        if self.iterations is not None and self.iterations < 1:
            raise FinetuningError(f"A training of {self.iterations} iterations is none; give 1 or more.")
        step = self.learning_rate
        if step is not None and not (math.isfinite(step) and 0 < step <= 1):
            raise FinetuningError(f"A learning rate of {step:g} cannot serve; 0.00015 is usual.")
        if self.crop % 8 or not 96 <= self.crop <= 1024:
            raise FinetuningError(
                f"Crops of {self.crop} pixels cannot be used; choose a multiple of 8 from 96 to 1024."
            )

    def rate(self, base: Mapping[str, str]) -> float:
        """The learning rate that is used: 1.5e-4, or 3e-4 for the last stage alone, unless another one is given.

        Args:
            base: Metadata of the model to begin with; one that was trained by episodes takes a fifth.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        return _RATES[self.trained] * (_LEARNT if "iterations" in base else 1.0)

    @property
    def seconds(self) -> float:
        """How long to train at most; infinite where iterations alone are given."""
        if self.minutes is None:
            return math.inf if self.iterations is not None else MINUTES * 60
        return self.minutes * 60

    def to_json(self) -> dict[str, Any]:
        """As values for JSON, with absolute paths: a run may be continued from another folder."""
        values = asdict(self)
        values["data"] = [
            {
                key: _absolute(value) if key in ("raster", "labels", "polygons") else value
                for key, value in given.items()
            }
            for given in values["data"]
        ]
        if self.base is not None and self.base.endswith(".safetensors"):
            values["base"] = _absolute(self.base)
        if self.classes is not None:
            values["classes"] = [
                {"id": style.id, "name": style.name, "color": hex_color(style.color)}
                for style in self.classes
            ]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str) -> FinetuneOptions:
        """From those values.

        Args:
            values: As of :meth:`to_json`.
            where: Where they come from, for messages.

        Raises:
            FinetuningError: When they are not understood.
        """
        known = {item.name for item in fields(cls)}
        try:
            given = {key: value for key, value in values.items() if key in known}
            given["data"] = tuple(LabeledRaster(**one) for one in given["data"])
            if given.get("classes") is not None:
                given["classes"] = tuple(
                    ClassStyle.parse(one["id"], one["name"], one["color"], where) for one in given["classes"]
                )
            if given.get("stretch") is not None:
                given["stretch"] = Stretch.checked(given["stretch"]["low"], given["stretch"]["high"])
            for key in ("ignored", "bands"):
                if given.get(key) is not None:
                    given[key] = tuple(given[key])
            return cls(**given)
        except (KeyError, TypeError, ValueError) as error:
            raise FinetuningError(
                f"{where} is no description of a fine-tuning ({error}); choose another folder."
            ) from error


def _absolute(path: str | None) -> str | None:
    """A path as it is found from everywhere; what is no file, like a subdataset or an address, as it is."""
    if path is None:
        return None
    file, bar, rest = path.partition("|")
    return str(Path(file).resolve()) + bar + rest if Path(file).exists() else path
