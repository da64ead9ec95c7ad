"""What each part of the tool gives, on scenes that the encoder has not seen, beside a random forest.

Usage: python tests/benchmarks/ablation.py DATA --models 'runs/aerial-fold{fold}/last.safetensors' --imagenet FILE
           [--scenes scene00 ...] [--shots 1 5] [--seeds 0 1 2] [--out build/ablation] [--forest SCRIPT]

DATA holds naip/ and loveda/; the models are those of train_folds.py, each used on the scenes that it has not seen.
Every score is kept in OUT, and what is there is not computed again. The summary goes to OUT/summary.md: mean over
scenes and seeds with the standard deviation over seeds. SCRIPT is the baseline of the labelling benchmark
(baseline_rf.py).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scenes import Case, KeepingRunner, Score, Variant, cases, reference, scene_pool, score
from train_folds import FOLDS

from backend.encoders.metadata import model_metadata
from backend.heads.selection import Head, choose_head, fit_head
from backend.heads.support import SupportFeatures
from backend.rasters.source import RasterSource
from backend.rasters.support import read_support
from backend.refine.densecrf import CrfParameters
from backend.refine.weights import ScoreWeights

METRICS = ("mIoU", "F1", "OA", "kappa", "ECE")
RGB = (1, 2, 3)
FOREST = "random forest, RGB+NIR pixels, sieve 64"


@dataclass(frozen=True)
class Pass:
    """Variants that share the encoder's features.

    Attributes:
        trained: Whether the encoder is the fold's own, else ImageNet's.
        scale: As in :func:`score`.
        bands: As there.
        variants: What is scored.
    """

    trained: bool
    scale: float | None
    bands: tuple[int, ...] | None
    variants: tuple[Variant, ...]


class FitHead:
    """Fits a head by name; "auto" chooses one."""

    def __init__(self, name: str, weights: ScoreWeights) -> None:
        self._name, self._weights = name, weights

    def __call__(self, support: SupportFeatures) -> Head:
        """Fit."""
        return fit_head(support, choose_head(support, self._name, True, self._weights)[0])


def passes(weights: ScoreWeights, crf: CrfParameters) -> list[Pass]:
    """The rows of the table, from ImageNet to the tool as it is."""
    plain = ScoreWeights()
    imagenet, prototype, auto = (
        FitHead("prototype", plain), FitHead("prototype", weights), FitHead("auto", weights)
    )  # fmt: skip
    pixels = ScoreWeights(1e6, weights.spectral)
    finer = crf.for_cells(4)
    coarser = crf.for_cells(8)
    return [
        Pass(False, 1.0, None, (Variant("ImageNet, scale 1", imagenet, plain, None, False),)),
        Pass(False, None, None, (Variant("ImageNet", imagenet, plain, None, False),)),
        Pass(True, 1.0, None, (
            Variant("DPCL, scale 1", prototype, weights, None, False),
            Variant("DPCL + pixels + head, scale 1", auto, weights, None),
            Variant("DPCL + pixels + head + CRF, scale 1", auto, weights, coarser),
        )),
        Pass(True, None, RGB, (
            Variant("DPCL", prototype, weights, None, False),
            Variant("DPCL + RGB pixels", prototype, weights, None),
        )),
        Pass(True, None, None, (
            Variant("pixels alone, RGB+NIR", prototype, pixels, None),
            Variant("DPCL + pixels (NIR)", prototype, weights, None),
            Variant("DPCL + pixels + head", auto, weights, None),
            Variant("DPCL + pixels + head + CRF (the tool)", auto, weights, finer),
        )),
    ]  # fmt: skip


def main() -> None:
    """Score what is missing, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", required=True)
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--scenes", nargs="+", default=[f"scene{number:02}" for number in range(13)])
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--spectral", type=float)
    parser.add_argument("--forest", type=Path)
    parser.add_argument("--only", help="rows whose name has this in it")
    parser.add_argument("--out", type=Path, default=Path("build/ablation"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    options.out.mkdir(parents=True, exist_ok=True)
    with scene_pool() as pool:
        for stem in options.scenes:
            score_scene(stem, options, pool)
    text = summary(options)
    (options.out / "summary.md").write_text(text, encoding="utf-8")
    print(text)


def weights_of(options: argparse.Namespace, model: str) -> ScoreWeights:
    """Those of the command line, else the model's own."""
    usual = ScoreWeights.of_model(model_metadata(model))
    return ScoreWeights(options.temperature or usual.temperature, options.spectral or usual.spectral)


def score_scene(stem: str, options: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """All that is missing of a scene."""
    folder = options.data / ("loveda" if stem.startswith("loveda") else "naip")
    own = list(cases(folder, stem, options.shots, options.seeds))
    fold = next(number for number, stems in FOLDS.items() if stem in stems)
    model = options.models.format(fold=fold)
    for each in passes(weights_of(options, model), CrfParameters()):
        runner: KeepingRunner | None = None
        for case in own:
            missing = [
                variant
                for variant in each.variants
                if not kept(options.out, variant.name, case).exists()
                and (not options.only or options.only in variant.name)
            ]
            if not missing or (each.bands and stem.startswith("loveda")):
                continue
            runner = runner or KeepingRunner(model if each.trained else options.imagenet)
            for variant, found in zip(
                missing, score(case, runner, missing, pool, each.scale, each.bands), strict=True
            ):
                keep(options.out, variant.name, case, found)
        if runner is not None:
            print(stem, each.variants[0].name, flush=True)
    for case in own if options.forest and not options.only else []:
        if not kept(options.out, FOREST, case).exists():
            keep(options.out, FOREST, case, forest(options.forest, case))


def forest(script: Path, case: Case) -> Score:
    """The baseline's score."""
    with RasterSource(case.raster) as source, tempfile.TemporaryDirectory() as folder:
        polygons = read_support(case.support, source)
        output = Path(folder) / "labels.tif"
        bands = ",".join(str(number + 1) for number in range(source.spectral_count))
        command = [sys.executable, script, case.raster, case.support, output]
        subprocess.run([*command, "--features", "pixel", "--sieve", "64", "--bands", bands], check=True)
        with rasterio.open(case.labels) as src:
            truth = reference(src.read(1), polygons)
        ids = [info.id for info in polygons.classes]
        index = np.full(256, len(ids), np.int64)
        index[ids] = np.arange(len(ids))
        with rasterio.open(output) as src:
            labels = index[src.read(1)]
    counted, wide = truth < len(ids), len(ids) + 1
    pairs = np.bincount(truth[counted] * wide + labels[counted], minlength=len(ids) * wide)
    nothing = np.zeros(101, np.int64)
    names = tuple(info.name for info in polygons.classes)
    return Score(names, pairs.reshape(len(ids), wide), nothing, nothing)


def kept(out: Path, name: str, case: Case) -> Path:
    """Where a score is kept."""
    folder = "".join(letter if letter.isalnum() else "-" for letter in name)
    return out / folder / f"{case.raster.stem}_k{case.shots}_s{case.seed}.json"


def keep(out: Path, name: str, case: Case, found: Score) -> None:
    """Keep it."""
    path = kept(out, name, case)
    path.parent.mkdir(exist_ok=True)
    path.write_text(found.to_json(), encoding="utf-8")


def summary(options: argparse.Namespace) -> str:
    """Tables: all metrics of every row, and the IoU of every class."""
    names = [v.name for each in passes(ScoreWeights(), CrfParameters()) for v in each.variants] + [FOREST]
    lines = [f"{len(options.scenes)} scenes: {', '.join(options.scenes)}.", ""]
    for shots in options.shots:
        lines += [f"| K = {shots} | {' | '.join(METRICS)} |", "|---" * (len(METRICS) + 1) + "|"]
        found = {name: scores_of(options, name, shots) for name in names}
        for name, by_seed in found.items():
            if by_seed:
                table = [[[s.summary[m] for m in METRICS] for s in scores] for scores in by_seed]
                means = np.array([np.mean(rows, axis=0) for rows in table])
                lines.append(f"| {name} | {' | '.join(cell(means[:, m]) for m in range(len(METRICS)))} |")
        classes = list(
            dict.fromkeys(c for rows in found.values() for some in rows for s in some for c in s.classes)
        )
        lines += ["", f"| IoU, K = {shots} | {' | '.join(classes)} |", "|---" * (len(classes) + 1) + "|"]
        for name, by_seed in found.items():
            if by_seed:
                cells = []
                for c in classes:
                    means_of = [
                        np.mean([s.iou[s.classes.index(c)] for s in scores if c in s.classes])
                        for scores in by_seed
                    ]
                    cells.append(cell(np.array(means_of)))
                lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def scores_of(options: argparse.Namespace, name: str, shots: int) -> list[list[Score]]:
    """The scores of a row, for each seed those of all scenes; empty when one is missing."""
    by_seed = []
    for seed in options.seeds:
        paths = []
        for stem in options.scenes:
            case = Case(Path(f"{stem}.tif"), Path(), Path(), shots, seed)
            paths.append(kept(options.out, name, case))
        if not all(path.exists() for path in paths):
            return []
        by_seed.append([Score.from_json(path.read_text(encoding="utf-8")) for path in paths])
    return by_seed


def cell(values: Sequence[float] | np.ndarray) -> str:
    """Mean and standard deviation."""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


if __name__ == "__main__":
    main()
