"""From a setting and a folder of data to the episodes that it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from ..episodes.episode import Boundary, EpisodeDataset, LabeledImages
from ..episodes.folds import fold
from ..episodes.sampling import HsnetSampler, PanetSampler, PatchSweep
from ..errors import ProtolabelError
from .experiment import Task
from .protocols import EvaluationProtocol
from .setting import Setting

FOLDS = 4

SupportDraw = Literal["fixed", "redrawn"]
"""When the support patches of Jiang et al. are drawn: once a run, or for each query patch, as their section III-B has
it. Their results are "with only five annotated patches" all the same, which only one draw for all queries is."""


class TaskSource:
    """Makes the tasks of settings; data sets are opened once.

    Args:
        root: The folder of the data set.
        protocol: Decides split, folds and sampling. HSNet's tests on the validation images, PANet's on the training
            images of the other classes' folds, from which it also trains; COCO's folds are contiguous for PANet,
            interleaved for HSNet.
        size: Height and width the images are resized to, None for the paper's.
        boundary: What the outlines in support masks are; the default is PANet's and HSNet's code.
        support_draw: For patches.
        cache: Folder for decoded tiles, else the user's cache folder.
    """

    def __init__(
        self,
        root: Path,
        protocol: EvaluationProtocol,
        size: int | None = None,
        boundary: Boundary = "background",
        support_draw: SupportDraw = "fixed",
        cache_folder: Path | None = None,
    ) -> None:
        self._root, self._protocol, self._size = root, protocol, size
        self._boundary, self._draw, self._cache = boundary, support_draw, cache_folder
        self._open = cache(self._open_images)

    def __call__(self, setting: Setting) -> Task:
        """The task of a setting.

        Raises:
            ProtolabelError: When data are missing, or protocol and data set do not go together.
        """
        if setting.dataset in ("vaihingen", "potsdam"):
            return self._patches(setting)
        return self._folds(setting)

    def _folds(self, setting: Setting) -> Task:
        protocol = self._protocol
        if protocol.name == "patches" or protocol.episodes is None:
            raise ProtolabelError(
                f"The protocol patches is for aerial tiles, not for {setting.dataset}; use panet or hsnet."
            )
        images = self._open(setting.dataset, "test")
        pattern: Literal["contiguous", "interleaved"] = "contiguous"
        if setting.dataset == "coco" and protocol.name == "hsnet":
            pattern = "interleaved"
        classes = fold(len(images.classes), FOLDS, setting.fold or 0, pattern).test
        size = self._size or (473 if setting.method == "dpcl" else 417)
        length = protocol.episodes

        def episodes_of(seed: int) -> EpisodeDataset:
            sampler = (
                HsnetSampler(
                    images, classes, setting.shot, "uniform" if setting.dataset == "coco" else "listed"
                )
                if protocol.name == "hsnet"
                else PanetSampler(images, classes, setting.way, setting.shot)
            )
            return EpisodeDataset(images, sampler, length, seed, size, self._boundary)

        return Task(
            classes,
            _names(images, classes),
            episodes_of,
            size,
            {"images": len(images), "folds": pattern, "boundary": self._boundary},
        )

    def _patches(self, setting: Setting) -> Task:
        if self._protocol.name != "patches":
            raise ProtolabelError(
                f"The protocol {self._protocol.name} has no folds of {setting.dataset}; use the protocol patches."
            )
        support, query = self._open(setting.dataset, "train"), self._open(setting.dataset, "test")
        ids = range(1, len(query.classes) + 1)
        wanted = [setting.test_class] if setting.test_class else list(query.classes[: setting.way])
        classes = tuple(i for i in ids if query.classes[i - 1] in wanted)

        size = self._size or 417

        def episodes_of(seed: int) -> EpisodeDataset:
            sweep = PatchSweep(support, query, classes, setting.shot, self._draw, seed)
            return EpisodeDataset(support, sweep, len(query), seed, size, query_images=query)

        identity = {"test split": "official", "test labels": "eroded", "support draw": self._draw}
        return Task(classes, _names(query, classes), episodes_of, size, {"images": len(query), **identity})

    def _open_images(self, dataset: str, part: Literal["train", "test"]) -> LabeledImages:
        hsnet = self._protocol.name == "hsnet"
        size = self._size or 417
        if dataset == "pascal":
            from ..episodes.datasets.pascal import pascal_images

            return pascal_images(self._root, "val" if hsnet else "trainaug")
        if dataset == "coco":
            from ..episodes.datasets.coco import CocoImages

            return CocoImages(self._root, "val2014" if hsnet else "train2014")
        if dataset == "camvid":
            from ..episodes.datasets.camvid import camvid_images

            return camvid_images(self._root, "test")
        if dataset == "vaihingen":
            from ..episodes.datasets.vaihingen import vaihingen_patches

            return vaihingen_patches(self._root, part, patch=size, cache=self._cache)
        if dataset == "potsdam":
            from ..episodes.datasets.potsdam import potsdam_patches

            return potsdam_patches(self._root, part, patch=size, cache=self._cache)
        raise ProtolabelError(
            f"There is no data set {dataset}; choose pascal, coco, camvid, vaihingen or potsdam."
        )


def _names(images: LabeledImages, classes: Sequence[int]) -> tuple[str, ...]:
    return tuple(images.classes[class_id - 1] for class_id in classes)
