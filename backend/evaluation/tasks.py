"""From a setting and a folder of data to the episodes that it is tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from ..episodes.datasets.patches import Patches
from ..episodes.datasets.pixels_once import PixelsOnce
from ..episodes.episode import Boundary, EpisodeDataset, LabeledImages, Sampler
from ..episodes.opening import class_sides, known_name, open_images
from ..episodes.sampling import HsnetSampler, PanetSampler, PatchSweep
from ..errors import ProtolabelError
from .experiment import Task
from .protocols import EvaluationProtocol
from .setting import Setting

ISPRS = ("vaihingen", "potsdam")

SupportDraw = Literal["fixed", "redrawn"]
"""When the support patches of Jiang et al. are drawn: once a run, or for each query patch, as their section III-B has
it. Their results are "with only five annotated patches" all the same, which only one draw for all queries is."""


@dataclass(frozen=True)
class DataChoice:
    """Where the images of a test come from.

    Args:
        root: The folder of the data set.
        split: Which images are tested, in the data set's own words; None for the protocol's.
        options: Of the data set and of the choice of classes, as ``data.options`` of a training.
        support_options: For patches, what is different for the support images.
    """

    root: Path
    split: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    support_options: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """What was chosen of the images, for journals and reports: the cache changes nothing."""
        chosen = {
            **({} if self.split is None else {"split": self.split}),
            **{f"options.{key}": value for key, value in self.options.items()},
            **{f"support_options.{key}": value for key, value in self.support_options.items()},
        }
        return {key: value for key, value in chosen.items() if not key.endswith("options.cache")}


class TaskSource:
    """Makes the tasks of settings; data sets are opened once.

    Args:
        data: Where the images are.
        protocol: Decides split, folds and sampling. HSNet's tests on the validation images, PANet's on the training
            images of the other classes' folds, from which it also trains; COCO's folds are contiguous for PANet,
            interleaved for HSNet.
        size: Height and width the images are resized to, None for the paper's.
        boundary: What the unlabelled pixels of support masks are, None for :func:`usual_boundary`. Patches ignore them.
        support_draw: For patches.
    """

    def __init__(
        self,
        data: DataChoice,
        protocol: EvaluationProtocol,
        size: int | None = None,
        boundary: Boundary | None = None,
        support_draw: SupportDraw = "fixed",
    ) -> None:
        self._data, self._protocol, self._size = data, protocol, size
        self._boundary, self._draw = boundary, support_draw
        self._open = cache(self._open_images)

    def __call__(self, setting: Setting) -> Task:
        """The task of a setting.

        Raises:
            ProtolabelError: When data are missing, or protocol and data set do not go together.
        """
        name = known_name(setting.dataset)
        if self._protocol.name == "patches":
            if name not in (*ISPRS, "geotiff-pairs"):
                raise ProtolabelError(
                    f"The protocol patches is for aerial tiles, not for {setting.dataset}; use panet or hsnet."
                )
            return self._patches(setting)
        if name in ISPRS:
            raise ProtolabelError(
                f"The protocol {self._protocol.name} has no folds of {setting.dataset}; use the protocol patches."
            )
        return self._episodes(setting)

    def _episodes(self, setting: Setting) -> Task:
        """Episodes of the classes of a fold, of one class, or of all, as PANet or HSNet draw them."""
        protocol, data, name = self._protocol, self._data, known_name(setting.dataset)
        if data.support_options:
            raise ProtolabelError(
                f"The protocol {protocol.name} draws support and queries from the same images; leave out "
                "support_options."
            )
        if protocol.name == "hsnet" and setting.way != 1:
            raise ProtolabelError("The protocol hsnet has episodes of 1 way; leave out way, or use panet.")
        size = self._size or (473 if setting.method == "dpcl" else 417)
        split = data.split or _tested_split(name, protocol)
        images = self._open(name, split, size, False)
        pattern = "interleaved" if name == "coco" and protocol.name == "hsnet" else "contiguous"
        choice = {"folds": pattern, **data.options, "left_out": setting.test_class}
        sides = class_sides(images, setting.fold, choice)
        boundary = self._boundary or usual_boundary(name)
        classes = tuple(range(1, len(images.classes) + 1)) if sides is None else sides.test

        def episodes_of(seed: int) -> EpisodeDataset:
            length = protocol.episodes or len(images)
            return EpisodeDataset(images, sampler, length, seed, size, boundary)

        sampler: Sampler
        if protocol.name == "hsnet":
            sampler = HsnetSampler(images, classes, setting.shot, "uniform" if name == "coco" else "listed")
        else:
            sampler = PanetSampler(images, classes, setting.way, setting.shot)
        identity = {
            "images": len(images),
            "files": images.fingerprint,
            "folds": choice["folds"],
            "boundary": boundary,
            **data.told(),
        }
        if split is not None:
            identity["split"] = split
        return Task(classes, _names(images, classes), episodes_of, size, identity)

    def _patches(self, setting: Setting) -> Task:
        """Jiang et al.: every patch of the test tiles, in all classes jointly or in one."""
        data, name, size = self._data, known_name(setting.dataset), self._size or 417
        split = data.split or ("test" if name in ISPRS else None)
        support = cast(Patches, self._open(name, None, size, True))  # as every data set of tiles
        tested = cast(Patches, self._open(name, split, size, False))
        both = {tile.image for tile in support.tiles} & {tile.image for tile in tested.tiles}
        if both:
            raise ProtolabelError(
                f"Support and queries are both from {min(both)}; choose other files for the support, for example by "
                + (
                    "support_options: {tiles: [1, 3]}."
                    if name in ISPRS
                    else "support_options: {images: train_*.tif}."
                )
            )
        if setting.test_class:
            sides = class_sides(tested, None, {"left_out": setting.test_class})
            classes = () if sides is None else sides.test
        elif setting.way > len(tested.classes):
            raise ProtolabelError(
                f"{setting.way} ways cannot be tested with the {len(tested.classes)} classes of {setting.dataset}; use "
                "fewer ways."
            )
        else:
            classes = tuple(range(1, setting.way + 1))
        query = PixelsOnce(tested)

        def episodes_of(seed: int) -> EpisodeDataset:
            sweep = PatchSweep(support, query, classes, setting.shot, self._draw, seed)
            return EpisodeDataset(support, sweep, len(query), seed, size, query_images=query)

        files = f"{support.fingerprint}, {tested.fingerprint}"
        identity = {
            "images": len(query),
            "files": files,
            "support draw": self._draw,
            "pixels counted": "once",
            **data.told(),
        }
        if name in ISPRS:
            identity["test split"] = _test_split(data, split or "test")
            identity["test labels"] = data.options.get("labels") or ("full" if split == "train" else "eroded")
        if name == "potsdam":
            identity["bands"] = data.options.get("bands", "rgb")
        return Task(classes, _names(tested, classes), episodes_of, size, identity)

    def _open_images(self, name: str, split: str | None, size: int, support: bool) -> LabeledImages:
        options = {**self._data.options, **(self._data.support_options if support else {})}
        return open_images(name, self._data.root, split, size, options)


def usual_boundary(dataset: str) -> Boundary:
    """What the unlabelled pixels of support masks are: background, as PANet's and HSNet's code has it.

    There they are thin outlines of objects. In one's own data they can be anything, so they are ignored.
    """
    return "ignore" if known_name(dataset) == "geotiff-pairs" else "background"


def _tested_split(name: str, protocol: EvaluationProtocol) -> str | None:
    """The images that a protocol tests on."""
    hsnet = protocol.name == "hsnet"
    return {
        "pascal": "val" if hsnet else "trainaug",
        "coco": "val2014" if hsnet else "train2014",
        "camvid": "test",
    }.get(name)


def _test_split(data: DataChoice, split: str) -> str:
    """The test tiles in words; ``official`` is what the papers are compared by."""
    if data.options.get("tiles"):
        return f"tiles {', '.join(map(str, data.options['tiles']))}"
    name = str(data.options.get("split", "official"))
    return name if split == "test" else f"{name}, {split}"


def _names(images: LabeledImages, classes: Sequence[int]) -> tuple[str, ...]:
    return tuple(images.classes[class_id - 1] for class_id in classes)
