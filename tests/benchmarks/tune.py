"""Choose temperature, spectral weight and DenseCRF parameters by leaving one scene out.

Usage: python tests/benchmarks/tune.py FOLDER [--scenes 3-9] [--shots 1,5] [--seeds 0,1] [--json FILE]

FOLDER holds scenes as ``scene03.tif``, ``scene03_labels.tif`` and ``scene03_support_k5_s0.geojson``. Every scene is
scored with every setting of a grid; then, for each scene, the setting that is best on the mean of the *other* scenes
is looked up and its score on the scene that it has not seen is reported. Support pixels do not count.
"""

from __future__ import annotations

import argparse
import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from backend.encoders.catalogue import load_model
from backend.encoders.runner import EncoderRunner, choose_device, cpu_count
from backend.heads.selection import fit_head
from backend.heads.spectral import SpectralModel
from backend.labeling import LabelOptions, feature_grid
from backend.progress import CancelToken
from backend.rasters.source import RasterSource
from backend.rasters.support import read_support
from backend.refine.blocks import Block, label_block
from backend.refine.densecrf import CrfParameters
from backend.refine.weights import ScoreWeights
from backend.scale import choose_scale, fixed_scale
from backend.streaming import TileStream

Setting = tuple[ScoreWeights, CrfParameters | None]
LARGEST = CrfParameters(spatial=40.0)


def settings() -> list[Setting]:
    """The grid: the weights without and with DenseCRF, and DenseCRF's own parameters one at a time."""
    weights = [ScoreWeights(t, s) for t, s in itertools.product((2.0, 4.0, 8.0), (0.1, 0.2, 0.4))]
    weights += [ScoreWeights(1.0, 0.0), ScoreWeights(4.0, 0.0), ScoreWeights(1e6, 0.2)]
    default, usual = ScoreWeights(), CrfParameters()
    crfs = [
        CrfParameters(spatial=10.0), LARGEST, CrfParameters(color=6.0), CrfParameters(color=16.0),
        CrfParameters(compat=2.0), CrfParameters(compat=8.0), CrfParameters(iterations=3),
    ]  # fmt: skip
    return [*((w, None) for w in weights), *((w, usual) for w in weights), *((default, crf) for crf in crfs)]


def confusions(
    block: Block, spectral: SpectralModel, truth: NDArray[np.int64], chosen: list[Setting]
) -> NDArray[np.int64]:
    """Confusion matrices (settings, C + 1, C + 1) of a block; truth is a class index, C where it does not count."""
    classes = len(spectral.means)
    counts = np.zeros((len(chosen), classes + 1, classes + 1), np.int64)
    for number, (weights, crf) in enumerate(chosen):
        index = label_block(block, spectral, weights, crf).index
        pairs = truth.ravel() * (classes + 1) + np.where(index < 0, classes, index).ravel()
        counts[number] = np.bincount(pairs, minlength=(classes + 1) ** 2).reshape(classes + 1, classes + 1)
    return counts


def score_scene(
    raster: Path, support: Path, labels: Path, runner: EncoderRunner, scale: float | None
) -> NDArray[np.float64]:
    """Mean IoU of every setting on one scene."""
    chosen, options = settings(), LabelOptions()
    with (
        RasterSource(raster) as source,
        rasterio.open(labels) as src,
        ProcessPoolExecutor(cpu_count()) as pool,
    ):
        polygons = read_support(support, source)
        truth = index_truth(src.read(1), [info.id for info in polygons.classes])
        for number in range(len(polygons.polygons)):
            box = polygons.bounds(number, source.window)
            if box is not None:
                rows, cols = box.toslices()
                truth[rows, cols][polygons.mask(number, box)] = len(polygons.classes)
        areas = [polygon.area for polygon in polygons.polygons]
        used = fixed_scale(scale) if scale else choose_scale(source.pixel_size, areas)
        grid = feature_grid(source.window, used, runner, options)
        stream = TileStream(source, runner, lambda state: None, CancelToken())
        try:
            features = stream.support_features(polygons, grid, grid, print)
            head, spectral = fit_head(features, "prototype"), SpectralModel(features)
            jobs = []
            for block, place in stream.score_blocks(head, grid, source.window, LARGEST.margin):
                rows, cols = Window(*place.flatten()).toslices()
                jobs.append(pool.submit(confusions, block, spectral, truth[rows, cols], chosen))
            total = sum(job.result() for job in jobs)
        finally:
            stream.close()
    matrix = np.asarray(total)[:, :-1]
    hit = np.diagonal(matrix, axis1=1, axis2=2)
    union = matrix.sum(axis=2) + matrix[:, :, : hit.shape[1]].sum(axis=1) - hit
    result: NDArray[np.float64] = (hit / np.maximum(union, 1)).mean(axis=1)
    return result


def index_truth(labels: NDArray[np.generic], ids: list[int]) -> NDArray[np.int64]:
    """Class ids to class indices; other ids become the number of classes."""
    index = np.full(int(max(labels.max(), max(ids))) + 1, len(ids), np.int64)
    index[ids] = np.arange(len(ids))
    return index[labels]


def main() -> None:
    """Print the grid and what leaving one scene out gives."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", default="3-9")
    parser.add_argument("--shots", default="1,5")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--scale", type=float)
    parser.add_argument("--model")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    first, last = map(int, args.scenes.split("-"))
    runner = EncoderRunner(load_model(args.model).encoder, choose_device("auto"))
    table: dict[str, list[list[float]]] = {}
    for shots in args.shots.split(","):
        table[shots] = []
        for number in range(first, last + 1):
            raster = args.folder / f"scene{number:02}.tif"
            supports = [
                raster.with_name(f"{raster.stem}_support_k{shots}_s{s}.geojson")
                for s in args.seeds.split(",")
            ]
            labels = raster.with_name(f"{raster.stem}_labels.tif")
            scores = [score_scene(raster, support, labels, runner, args.scale) for support in supports]
            table[shots].append(np.mean(scores, axis=0).tolist())
            print(f"k={shots} {raster.stem} best {max(table[shots][-1]):.3f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(table))
    both = np.mean([np.array(rows) for rows in table.values()], axis=0)
    for number, (weights, crf) in enumerate(settings()):
        means = "  ".join(
            f"k={shots} {np.array(rows)[:, number].mean():.4f}" for shots, rows in table.items()
        )
        print(f"{means}  T {weights.temperature:g} spectral {weights.spectral:g}  {crf or 'no CRF'}")
    for shots, rows in table.items():
        held, picks = [], []
        for scene in range(len(both)):
            pick = int(np.delete(both, scene, axis=0).mean(axis=0).argmax())
            held.append(np.array(rows)[scene, pick])
            picks.append(pick)
        print(
            f"leave one scene out, k={shots}: mean IoU {np.mean(held):.4f}, settings chosen {sorted(set(picks))}"
        )


if __name__ == "__main__":
    main()
