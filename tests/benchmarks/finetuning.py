"""What fine-tuning on a few scenes gives on the others: mean IoU before and after, with few polygons per class.

Usage: python tests/benchmarks/finetuning.py FOLDER --base WEIGHTS [--train scene00 scene01] [--minutes 10]
           [--seeds 1 2 3] [--scenes scene02 ...] [--shots 5] [--supports 0 1 2] [--out build/finetuning] [-- OPTIONS]

FOLDER holds scenes as ``scene03.tif``, ``scene03_labels.tif`` and ``scene03_support_k5_s0.geojson``. For each seed the
command ``python -m backend finetune`` is run on the scenes of --train with the further OPTIONS; then the base and the
tuned models label all other scenes with the prototype head, without pixel values and refinement ("encoder") and as
the tool does by default but for the choice of the head ("tool"). Runs and scores are kept in OUT: the same command goes
on where it was interrupted. The summary goes to OUT/summary.json and is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from rasterio.errors import NotGeoreferencedWarning

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scenes import KeepingRunner, Score, Variant, cases, scene_pool, score

from backend.encoders.metadata import model_metadata
from backend.heads.prototype import PrototypeHead
from backend.refine.densecrf import CrfParameters
from backend.refine.weights import ScoreWeights

ROOT = Path(__file__).resolve().parents[2]


def tune(options: argparse.Namespace, seed: int) -> Path:
    """The tuned model of a seed; a run that was interrupted goes on."""
    run = options.out / f"run_s{seed}"
    if not (run / "result.json").exists():
        command = [sys.executable, "-m", "backend", "finetune"]
        if (run / "finetuning.json").exists():
            command += ["--resume", str(run)]
        else:
            command += [str(options.folder / f"{stem}.tif") for stem in options.train]
            command += ["--labels", "{stem}_labels.tif", "--base", str(options.base), "--run", str(run)]
            command += ["--minutes", f"{options.minutes:g}", "--seed", str(seed), *options.options]
        subprocess.run(command, check=True, cwd=ROOT)
    return run / "best.safetensors"


def variants(model: Path) -> list[Variant]:
    """How a model labels."""
    weights = ScoreWeights.of_model(model_metadata(str(model)))
    return [
        Variant("encoder", PrototypeHead.per_class, weights, None, spectral=False),
        Variant("tool", PrototypeHead.per_class, weights, CrfParameters()),
    ]


def scored(
    model: Path, options: argparse.Namespace, out: Path, pool: ProcessPoolExecutor
) -> dict[str, list[Score]]:
    """The scores of a model on all scenes and supports, by variant; what is there is not computed again."""
    found: dict[str, list[Score]] = {}
    for stem in options.scenes:
        runner = None
        for case in cases(options.folder, stem, [options.shots], options.supports):
            path = out / f"{stem}_k{case.shots}_s{case.seed}.json"
            if not path.exists():
                runner = runner or KeepingRunner(str(model))
                own = variants(model)
                values = dict(zip([v.name for v in own], score(case, runner, own, pool), strict=True))
                texts = {name: json.loads(one.to_json()) for name, one in values.items()}
                out.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(texts), encoding="utf-8")
            for name, text in json.loads(path.read_text(encoding="utf-8")).items():
                found.setdefault(name, []).append(Score.from_json(json.dumps(text)))
        print(out.name, stem, flush=True)
    return found


def means(found: dict[str, list[Score]]) -> dict[str, float]:
    """Mean IoU over scenes and supports by variant."""
    return {name: float(np.mean([one.summary["mIoU"] for one in scores])) for name, scores in found.items()}


def main() -> None:
    """Tune, score, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--train", nargs="+", default=["scene00", "scene01"])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--scenes", nargs="+")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--supports", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("build/finetuning"))
    own, further = sys.argv[1:], []
    if "--" in own:
        place = own.index("--")
        own, further = own[:place], own[place + 1 :]
    options = parser.parse_args(own)
    options.options = further
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    options.folder, options.base, options.out = (
        path.resolve() for path in (options.folder, options.base, options.out)
    )
    stems = options.scenes or [f"scene{number:02}" for number in range(13)]
    options.scenes = [stem for stem in stems if stem not in options.train]
    options.out.mkdir(parents=True, exist_ok=True)
    models = {f"seed {seed}": tune(options, seed) for seed in options.seeds}
    with scene_pool() as pool:
        base = means(scored(options.base, options, options.out / "base", pool))
        tuned = {
            name: means(scored(model, options, options.out / f"scores_{name.replace(' ', '')}", pool))
            for name, model in models.items()
        }
    summary = {"train": options.train, "scenes": options.scenes, "base": base, "tuned": tuned}
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for variant, before in base.items():
        after = np.array([values[variant] for values in tuned.values()])
        spread = f" ± {after.std(ddof=1):.3f}" if len(after) > 1 else ""
        print(
            f"{variant}: mean IoU at K = {options.shots} on {len(options.scenes)} other scenes "
            f"{before:.3f} -> {after.mean():.3f}{spread} ({', '.join(f'{value:.3f}' for value in after)})"
        )


if __name__ == "__main__":
    main()
