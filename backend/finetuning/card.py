"""The card of a tuned model, and what its file says about itself."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import __version__
from ..encoders.checkpoint import LoadedModel
from ..rasters.support import ClassInfo
from ..refine.weights import ScoreWeights
from ..training.checkpoints import git_revision
from .news import Measured
from .options import FinetuneOptions
from .summary import Summary
from .verdict import Comparison

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class TunedModel:
    """All that there is to say about a tuned model.

    Attributes:
        base: What it began from.
        options: How it was tuned.
        summary: On what.
        before: The model without training on the hold-out.
        after: The tuned one.
        comparison: Of both.
        classes: In the order of the scores.
        seconds: Of training.
        weights: Temperature and spectral weight, None while they are not known.
    """

    base: LoadedModel
    options: FinetuneOptions
    summary: Summary
    before: Measured
    after: Measured
    comparison: Comparison
    classes: Sequence[ClassInfo]
    seconds: float
    weights: ScoreWeights | None


def tuned_metadata(model: TunedModel) -> dict[str, str]:
    """What the model's file says; no folder of this machine."""
    options = model.options.to_json()
    for given in options["data"]:
        given.update({key: _file_name(given[key]) for key in ("raster", "labels", "polygons")})
    options["base"] = model.base.name
    metadata = {
        "trained_on": f"{_given(model.base.metadata)}; fine-tuned on {', '.join(info.name for info in model.classes)}",
        "finetuned_from": model.base.name + (f" ({model.base.sha256[:12]})" if model.base.sha256 else ""),
        "finetuning": json.dumps(options, ensure_ascii=False),
        "hold_out": model.summary.hold_out,
        "iterations": str(model.after.iteration),
        "metrics": json.dumps(
            {
                "hold-out/miou before": round(model.before.score.miou, 5),
                "hold-out/miou after": round(model.after.score.miou, 5),
            }
        ),
        "date": _today(),
        "revision": git_revision(_ROOT),
        "version": __version__,
        "torch": torch.__version__,
    }
    if model.weights is not None:
        metadata |= {
            "temperature": f"{model.weights.temperature:g}",
            "spectral_weight": f"{model.weights.spectral:g}",
        }
    return metadata


def compose_tuned_card(name: str, model: TunedModel) -> str:
    """The card for people, Markdown.

    Args:
        name: Of the model.
        model: What there is to say.
    """
    options, summary = model.options, model.summary
    rows = [
        f"| {_cell(info.name)} | {_score(b_iou)} | {_score(a_iou)} | {_score(b_f1)} | {_score(a_f1)} |"
        for info, b_iou, a_iou, b_f1, a_f1 in zip(
            model.classes,
            model.before.score.iou.tolist(),
            model.after.score.iou.tolist(),
            model.before.score.f1.tolist(),
            model.after.score.f1.tolist(),
            strict=True,
        )
    ]
    data = [
        f"- {raster.name}{' (held out)' if raster.held_out else ''}: "
        + ", ".join(f"{one.name} {_amount(one.pixels, one.polygons)}" for one in raster.classes)
        for raster in summary.rasters
    ]
    draws = len(model.after.score.draws)
    lines = [
        f"# {name}",
        f"Fine-tuned from {model.base.name} on {', '.join(info.name for info in model.classes)}"
        f"{_pixels(summary)}, {_today()}.",
        model.comparison.sentence,
        "## On the hold-out",
        summary.hold_out,
        "\n".join(
            [
                "| Class | IoU before | IoU after | F1 before | F1 after |",
                "|---|---|---|---|---|",
                *rows,
                f"| mean | {model.before.score.miou:.3f} | {model.after.score.miou:.3f} | | |",
            ]
        ),
        f"Means over {draws} sets of a few small support polygons of each class, matched by prototypes of the "
        "encoder's features alone, without pixel values and refinement along edges. The best of all measurements of "
        "the run is kept, which favours the tuned model a little.",
        "## Labels",
        "\n".join(data),
        "## Training",
        "\n".join(
            [
                f"- Begun from: {model.base.name}"
                + (f", SHA-256 {model.base.sha256}" if model.base.sha256 else ""),
                f"- Episodes: {model.after.iteration:,}, kept as the best of {model.seconds / 60:.1f} minutes",
                f"- Layers: {options.trained}; learning rate {options.rate(model.base.metadata):g}; crops of "
                f"{options.crop} pixels; seed {options.seed}",
                "- Method: DPCL, by episodes of a few drawn polygons",
            ]
        ),
        "## Made with",
        "\n".join(
            [
                f"- Protolabel: {__version__}",
                *([f"- Revision: {revision}"] if (revision := git_revision(_ROOT)) else []),
                f"- PyTorch: {torch.__version__}",
            ]
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _given(metadata: Mapping[str, str]) -> str:
    return metadata.get("trained_on", "").strip().rstrip(".") or "something that is not told"


def _pixels(summary: Summary) -> str:
    """The pixel sizes of the rasters, which the model suits best."""
    sizes = [raster.pixel_size for raster in summary.rasters if raster.pixel_size is not None]
    if not sizes:
        return ""
    low, high = f"{min(sizes):.2g}", f"{max(sizes):.2g}"
    return f" in pixels of {low} m" if low == high else f" in pixels of {low} to {high} m"


def _amount(pixels: int, polygons: int) -> str:
    return f"{polygons} polygons ({pixels:,} pixels)" if polygons else f"{pixels:,} pixels"


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _file_name(path: str | None) -> str | None:
    return None if path is None else Path(path).name


def _today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()
