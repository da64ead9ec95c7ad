"""Train an encoder for each fold of scenes, which it does not see: what is measured there is honest.

Usage: python tests/benchmarks/train_folds.py CONFIG [--folds 1 2 3] [--threads N] [key=value ...]

CONFIG lists images by name, as resources/experiments/aerial.yaml does; those of a fold are taken out of every part. A
part that is left with no image is left out. The model is OUTPUT/NAME-foldN/last.safetensors; a training that was
interrupted is continued.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.training.configuration import Experiment, read_experiment
from backend.training.loop import train

# Whole scenes of 0.6 m by turns of their size, and LoveDA's (0.3 m, another continent) in one of the folds.
FOLDS: dict[int, tuple[str, ...]] = {
    1: ("scene00", "scene06", "scene09", "scene11", "loveda0"),
    2: ("scene01", "scene04", "scene07", "scene10", "scene12"),
    3: ("scene02", "scene03", "scene05", "scene08"),
}


def without(experiment: Experiment, fold: int) -> Experiment:
    """The experiment without the scenes of a fold."""
    data = experiment.data
    parts: list[dict[str, Any]] = []
    for part in data.options["parts"]:
        options = dict(part.get("options", {}))
        if "images" in options:
            options["images"] = [name for name in options["images"] if Path(name).stem not in FOLDS[fold]]
            if not options["images"]:
                continue
        parts.append({**part, "options": options})
    data = data.model_copy(update={"options": {**data.options, "parts": parts}})
    return experiment.model_copy(update={"data": data, "name": f"{experiment.name}-fold{fold}"})


def main() -> None:
    """Train the folds one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--folds", type=int, nargs="+", choices=FOLDS, default=list(FOLDS))
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    for fold in options.folds:
        print(train(without(read_experiment(options.config, options.changes), fold), progress=False))


if __name__ == "__main__":
    main()
