"""Scores many variants of the label command on labelled scenes, with one pass of the encoder for all of them.

What is scored is the tool's own code from the raster to the labels; only the encoder's features are kept between the
variants. The counting is that of the labelling benchmark: pixels that are labelled, lie outside of all support
polygons and belong to a class that has support.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.windows import Window
from torch import Tensor

from backend.encoders.catalogue import load_model
from backend.encoders.runner import EncoderRunner, choose_device, cpu_count
from backend.heads.selection import Head
from backend.heads.spectral import SpectralModel
from backend.heads.support import SupportFeatures
from backend.labeling import LabelOptions, feature_grid
from backend.progress import CancelToken
from backend.rasters.source import RasterSource
from backend.rasters.support import SupportSet, read_support
from backend.refine.blocks import Block, label_block
from backend.refine.densecrf import CrfParameters
from backend.refine.weights import ScoreWeights
from backend.scale import choose_scale, fixed_scale
from backend.streaming import TileStream

_BINS = 101  # of the confidence in percent


@dataclass(frozen=True)
class Variant:
    """One way to label.

    Attributes:
        name: For tables.
        fit: From the support to the head.
        weights: Temperature and spectral weight; a temperature of 1e6 leaves the encoder out.
        crf: Refinement, None for none.
        spectral: Whether pixel values are used.
    """

    name: str
    fit: Callable[[SupportFeatures], Head]
    weights: ScoreWeights = field(default_factory=ScoreWeights)
    crf: CrfParameters | None = None
    spectral: bool = True


@dataclass(frozen=True)
class Score:
    """What a variant did on one scene with one support.

    Attributes:
        classes: Names.
        confusion: Pixels by truth and label, shape (C, C + 1); the last column is no label.
        confident: Pixels by confidence in percent, shape (101,).
        right: Those of them that are labelled right.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    confident: NDArray[np.int64]
    right: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """Of each class."""
        hit, union = self._hit, self._truth + self._labelled - self._hit
        result: NDArray[np.float64] = hit / np.maximum(union, 1)
        return result

    @property
    def summary(self) -> dict[str, float]:
        """Mean IoU and F1, overall accuracy, kappa, expected calibration error in 20 bins."""
        hit, truth, labelled = self._hit, self._truth, self._labelled
        total = self.confusion.sum()
        agreement, chance = hit.sum() / total, (truth * labelled).sum() / total**2
        return {
            "mIoU": float(self.iou.mean()),
            "F1": float((2 * hit / np.maximum(truth + labelled, 1)).mean()),
            "OA": float(agreement),
            "kappa": float((agreement - chance) / (1 - chance)),
            "ECE": calibration_error(self.confident, self.right),
        }

    def to_json(self) -> str:
        """As text."""
        arrays = {name: getattr(self, name).tolist() for name in ("confusion", "confident", "right")}
        return json.dumps({"classes": self.classes, **arrays})

    @classmethod
    def from_json(cls, text: str) -> Score:
        """From that text."""
        values = json.loads(text)
        arrays = {name: np.array(values[name], np.int64) for name in ("confusion", "confident", "right")}
        return cls(tuple(values["classes"]), **arrays)

    @property
    def _hit(self) -> NDArray[np.float64]:
        return np.diag(self.confusion[:, :-1]).astype(float)

    @property
    def _truth(self) -> NDArray[np.float64]:
        return self.confusion.sum(axis=1).astype(float)

    @property
    def _labelled(self) -> NDArray[np.float64]:
        return self.confusion[:, :-1].sum(axis=0).astype(float)


def calibration_error(confident: NDArray[np.int64], right: NDArray[np.int64], bins: int = 20) -> float:
    """Expected calibration error (Guo et al. 2017, eq. 3): mean distance of confidence and accuracy over bins."""
    place = np.minimum(np.arange(_BINS) * bins // (_BINS - 1), bins - 1)
    count = np.bincount(place, confident, bins)
    accuracy = np.bincount(place, right, bins) / np.maximum(count, 1)
    mean = np.bincount(place, confident * np.arange(_BINS) / 100, bins) / np.maximum(count, 1)
    return float((count * np.abs(accuracy - mean)).sum() / max(count.sum(), 1))


class KeepingRunner(EncoderRunner):
    """Encodes each image once."""

    def __init__(self, model: str | None) -> None:
        super().__init__(load_model(model).encoder, choose_device("auto"), rough=True)
        self._kept: dict[bytes, Tensor] = {}

    def encode(self, image: Tensor, threads: int | None = None) -> Tensor:
        """Encode, or remember; half precision, as tiles are kept in a run."""
        key = hashlib.sha256(np.ascontiguousarray(image.numpy()).tobytes()).digest()
        if key not in self._kept:
            self._kept[key] = super().encode(image, threads).half()
        return self._kept[key].float()

    def forget(self) -> None:
        """Make room for another scene."""
        self._kept.clear()


@dataclass(frozen=True)
class Case:
    """A scene with its reference and one set of support polygons."""

    raster: Path
    labels: Path
    support: Path
    shots: int
    seed: int


def cases(folder: Path, stem: str, shots: Sequence[int], seeds: Sequence[int]) -> Iterator[Case]:
    """The sets of support polygons of a scene."""
    raster, labels = folder / f"{stem}.tif", folder / f"{stem}_labels.tif"
    for shot in shots:
        for seed in seeds:
            support = folder / f"{stem}_support_k{shot}_s{seed}.geojson"
            if support.exists():
                yield Case(raster, labels, support, shot, seed)


def score(
    case: Case,
    runner: EncoderRunner,
    variants: Sequence[Variant],
    pool: ProcessPoolExecutor,
    scale: float | None = None,
    bands: tuple[int, ...] | None = None,
) -> list[Score]:
    """Score variants.

    Args:
        case: What is labelled.
        runner: The encoder.
        variants: How.
        pool: Processes for the refinement.
        scale: Enlargement before the encoder; None as the tool chooses it.
        bands: As in :class:`LabelOptions`.
    """
    with RasterSource(case.raster, bands) as source:
        polygons = read_support(case.support, source)
        with rasterio.open(case.labels) as src:
            truth = reference(src.read(1), polygons)
        areas = [polygon.area for polygon in polygons.polygons]
        used = fixed_scale(scale) if scale else choose_scale(source.pixel_size, areas)
        grid = feature_grid(source.window, used, runner, LabelOptions())
        margin = max([variant.crf.margin for variant in variants if variant.crf], default=0)
        stream = TileStream(source, runner, lambda state: None, CancelToken())
        try:
            features = stream.support_features(polygons, grid, None, lambda text: None)
            spectral = SpectralModel(features)
            heads: dict[Callable[[SupportFeatures], Head], list[Variant]] = {}
            for variant in variants:
                heads.setdefault(variant.fit, []).append(variant)
            jobs = []
            for fit, own in heads.items():
                for block, place in stream.score_blocks(fit(features), grid, source.window, margin):
                    rows, cols = Window(*place.flatten()).toslices()
                    settings = [(v.weights, v.crf, v.spectral) for v in own]
                    jobs.append((own, pool.submit(_count, block, spectral, truth[rows, cols], settings)))
            sums: dict[str, list[NDArray[np.int64]]] = {}
            for own, job in jobs:
                for variant, counts in zip(own, job.result(), strict=True):
                    before = sums.setdefault(variant.name, [np.zeros_like(each) for each in counts])
                    sums[variant.name] = [a + b for a, b in zip(before, counts, strict=True)]
        finally:
            stream.close()
    names = tuple(info.name for info in polygons.classes)
    return [Score(names, *sums[variant.name]) for variant in variants]


def reference(labels: NDArray[np.generic], polygons: SupportSet) -> NDArray[np.int64]:
    """Class indices of the reference, the number of classes where a pixel does not count."""
    ids = [info.id for info in polygons.classes]
    index = np.full(int(max(labels.max(), max(ids))) + 1, len(ids), np.int64)
    index[ids] = np.arange(len(ids))
    truth = index[labels]
    burnt = rasterize(polygons.polygons, labels.shape, all_touched=True)
    truth[burnt > 0] = len(ids)
    result: NDArray[np.int64] = truth
    return result


def scene_pool() -> ProcessPoolExecutor:
    """Processes for the refinement."""
    return ProcessPoolExecutor(cpu_count())


def _count(
    block: Block,
    spectral: SpectralModel,
    truth: NDArray[np.int64],
    settings: Sequence[tuple[ScoreWeights, CrfParameters | None, bool]],
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Counts of a block for each setting, as in :class:`Score`."""
    classes = len(spectral.means)
    counted = truth < classes
    own = truth[counted]
    found = []
    for weights, crf, use_spectral in settings:
        labels = label_block(block, spectral if use_spectral else None, weights, crf)
        index = np.where(labels.index < 0, classes, labels.index)[counted]
        confusion = np.bincount(own * (classes + 1) + index, minlength=classes * (classes + 1))
        sure = labels.confidence[counted].astype(np.int64)
        sure, right = sure[sure < _BINS], (index == own)[sure < _BINS]
        found.append(
            (
                confusion.reshape(classes, classes + 1),
                np.bincount(sure, minlength=_BINS),
                np.bincount(sure[right], minlength=_BINS),
            )
        )
    return found
