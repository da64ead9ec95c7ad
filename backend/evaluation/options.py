"""The options of the papers, and where a measurement differs from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .protocols import EvaluationProtocol
from .setting import FITTED, Setting


@dataclass(frozen=True)
class Difference:
    """An option that is not the paper's.

    Attributes:
        setting: What was measured with it.
        option: Its name.
        paper: The paper's value, or the one of the code that it builds on where it is silent.
        used: The value here.
    """

    setting: str
    option: str
    paper: str
    used: str


def paper_options(setting: Setting) -> dict[str, Any]:
    """What the papers used, where they are silent what the code used that they build on.

    DPCL (section 5.1): batch 2, SGD 1e-3 / 0.9 / 5e-4, 473 x 473; the iterations and milestones are PANet's.
    PANet and PPNet: 417 x 417, batch 1; PPNet's code has 5e-4 and 24,000 iterations, also for the PANet with ResNet-50
    that both papers print. Jiang et al. give alpha, 417 x 417 and PANet's settings for all else. For a test on
    one's own rasters there is nothing to compare with.
    """
    size = 473 if setting.method == "dpcl" else 417
    testing: dict[str, Any] = {}
    if setting.dataset in ("vaihingen", "potsdam"):
        size = 417
        testing = {"protocol": "patches", "test split": "official", "test labels": "eroded", "size": size}
    elif not setting.dataset.startswith("geotiff"):
        testing = {
            "protocol": "panet",
            "runs": 5,
            "episodes": 1000,
            "seeds": "1234..1238",
            "counting": "present",
            "size": size,
        }
    if setting.method in FITTED:
        names = ("begin", "iterations", "batch_size", "learning_rate", "weight_decay", "seed")
        return testing | {f"fitting.{name}": "not told" for name in names}
    if setting.trained_on == "imagenet":
        return testing
    return testing | {"episodes.size": size, "episodes.shot": setting.shot} | _training(setting)


def _training(setting: Setting) -> dict[str, Any]:
    """What a checkpoint was trained with."""
    training: dict[str, Any] = {
        "algorithm": setting.method,
        "data.name": _full_name(setting.trained_on or setting.dataset),
        "data.fold": setting.fold,
        "encoder.projection": 512 if setting.method == "dpcl" else 0,
        "encoder.compression": 256 if setting.method == "jiang" else 0,
        "run.iterations": 30000,
        "optimizer.milestones": [10000, 20000],
        "run.batch": 1,
        "optimizer.lr": 1e-3,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 5e-4,
        "method.alpha": 20.0,
        "episodes.held_out": "background",
    }
    if training["data.name"] in ("pascal", "coco"):
        training["episodes.boundary"] = "background"
    if setting.method == "ppnet" or (setting.method, setting.backbone) == ("panet", "resnet50"):
        training |= {"run.iterations": 24000, "optimizer.lr": 5e-4}
    if setting.method == "ppnet":
        training |= {"encoder.freeze": 3, "method.parts": 5, "method.share": 0.8}
    if setting.method == "dpcl":
        training |= {
            "run.batch": 2,
            "method.class_specific_weight": 0.02 if setting.class_specific else 0.0,
            "method.class_agnostic_weight": 0.015 if setting.class_agnostic else 0.0,
            "method.temperature": 0.05,
            "method.momentum": 0.999,
            "method.dictionary_size": 8192,
            "method.dictionary_negatives": 7000,
            "method.background_negatives": 1000,
            "method.background_group": 5,
        }
    return training


def used_options(protocol: EvaluationProtocol, size: int) -> dict[str, Any]:
    """What an evaluation used, under the names of ``paper_options``."""
    seeds = protocol.seeds
    whole = seeds == tuple(range(seeds[0], seeds[0] + len(seeds)))
    return {
        "protocol": protocol.name,
        "runs": len(seeds),
        "episodes": "all patches" if protocol.episodes is None else protocol.episodes,
        "seeds": f"{seeds[0]}..{seeds[-1]}" if whole and len(seeds) > 1 else ", ".join(map(str, seeds)),
        "counting": protocol.counting,
        "size": size,
    }


def differences(setting: Setting, used: Mapping[str, Any]) -> list[Difference]:
    """Every option of the paper that was another one, or that the checkpoint does not tell, and what is done otherwise.

    Args:
        setting: What was measured.
        used: Options by the names of ``paper_options``.
    """
    found = []
    for option, paper in paper_options(setting).items():
        if option not in used:
            found.append(Difference(setting.title, option, _text(paper), "not told by the checkpoint"))
        elif used[option] != paper and not (option == "data.name" and _full_name(used[option]) == paper):
            found.append(Difference(setting.title, option, _text(paper), _text(used[option])))
    return found + [Difference(setting.title, *departure) for departure in _departures(setting)]


def _departures(setting: Setting) -> list[tuple[str, str, str]]:
    """Where a method here is not the paper's, whatever the options: what, the paper's or its code's, and ours."""
    last = ("model", "best of six on test episodes, every 4,000 iterations (PPNet's code)", "the last one")
    if setting.method == "ppnet":
        return [
            ("semantic branch", "trained along, also for the printed results", "left out: the parts alone"),
            ("interpolation", "corners aligned (PPNet's code)", "centres aligned, as in PANet's code"),
            (
                "batch normalisation",
                "levels 3 and 4 estimate theirs (PPNet's code)",
                "stays that of ImageNet",
            ),
            ("few predicted features", "up to 10: clustered at the image's size", "clustered as they are"),
            last,
        ]
    if setting.method == "panet" and setting.backbone == "resnet50" and setting.trained_on != "imagenet":
        return [
            ("batch normalisation", "estimated in training (PPNet's code)", "stays that of ImageNet"),
            last,
        ]
    if setting.method == "jiang" and setting.trained_on == "imagenet":
        return [("compression", "256 channels; not told with which weights", "left out: it would be random")]
    if setting.method == "segnet":
        return [("batch normalisation", "not told", "begins as identity, VGG-16's weights have none")]
    if setting.method == "fcn":
        return [("network", "not told", "torchvision's head on a backbone dilated to 1/8")]
    return []


def grouped(found: Sequence[Difference], settings: int) -> tuple[Difference, ...]:
    """One line for each option and value, which names the settings that share it.

    Args:
        found: Differences of several settings.
        settings: How many settings were measured.
    """
    shared: dict[tuple[str, str, str], list[str]] = {}
    for one in found:
        shared.setdefault((one.option, one.paper, one.used), []).append(one.setting)
    return tuple(
        Difference("all" if len(names) == settings > 1 else "; ".join(names), *key)
        for key, names in shared.items()
    )


def _full_name(dataset: str) -> str:
    return "geotiff-pairs" if dataset == "geotiff" else dataset


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
