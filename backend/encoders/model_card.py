"""The card of a model: what it was trained on and for which imagery, as Markdown for people.

A card that somebody wrote, ``NAME.md`` beside ``NAME.safetensors``, is taken as it is; else one is made of what the
file says about itself in its metadata. No tensor is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..errors import ModelError
from .catalogue import torchvision_layout, torchvision_metadata

_LONGEST_CARD = 20_000  # characters; keeps the worker's answer small
_LONGEST_VALUE = 300
_ARCHITECTURES = {"resnet50": "ResNet-50", "vgg16": "VGG-16"}
_ALGORITHMS = {"dpcl": "DPCL", "panet": "PANet", "jiang": "Jiang et al.", "ppnet": "PPNet"}
_OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}
_ENCODER = {
    "layers": "Levels",
    "input": "Input",
    "stride": "Stride",
    "bn_eps": "Epsilon of the batch normalisation",
    "projections": "Projections",
    "level_scales": "Factors of the levels",
    "compression": "Compression",
}
_TOLD = {
    "trained_on",
    "iterations",
    "metrics",
    "configuration",
    "revision",
    "version",
    "torch",
    "architecture",
}
_WORDS = {"miou": "mean IoU", "iou": "IoU"}
_FRONT_MATTER = re.compile(r"---[ \t]*\n.*?\n---[ \t]*(\n|$)", re.DOTALL)
_MARKUP = re.compile(r"[\\`*\[\]<>~|&]|(?<!\w)_|_(?!\w)")


def card_path(model: Path) -> Path:
    """Where the card of a model file is, when somebody wrote one."""
    return model.with_name(model.name.removesuffix(".safetensors") + ".md")


def model_card(path: Path) -> str:
    """The card of a model file, as Markdown.

    Args:
        path: The model file; only its header is read.

    Raises:
        ModelError: When there is neither a written card nor a file whose header can be read.
    """
    written = _written_card(card_path(path))
    if written:
        return written
    if not path.is_file():
        raise ModelError(f"The model file {path} does not exist; check the path.")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"The model file {path} is damaged ({error}); get it again.") from error
    return compose_card(path.stem, metadata)


def torchvision_card(name: str) -> str:
    """The card of torchvision's ImageNet weights, by the model's name."""
    return compose_card(name, torchvision_metadata(torchvision_layout(name)))


def compose_card(name: str, metadata: Mapping[str, str]) -> str:
    """A card from what a model says about itself.

    Args:
        name: The model's name.
        metadata: The flat string metadata of its file; all of it may be missing or malformed.
    """
    parts = [f"# {_plain(name)}"]
    trained_on = metadata.get("trained_on", "").strip()
    if trained_on:
        parts.append(f"Trained on {_plain(trained_on.rstrip('.'))}.")
    else:
        parts.append("Nothing is said of what it was trained on.")
    further = ((key, metadata[key]) for key in sorted(metadata.keys() - _TOLD - _ENCODER.keys()))
    sections = {
        "Training": [*_training(metadata)],
        "Measured": [*_measured(metadata.get("metrics", ""))],
        "Encoder": [*_encoder(metadata)],
        "Further": [_line(_words(key), _readable(value)) for key, value in further],
        "Made with": [*_made_with(metadata)],
    }
    for title, lines in sections.items():
        if lines:
            parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts)[:_LONGEST_CARD] + "\n"


def _written_card(path: Path) -> str:
    """A card that somebody wrote, without the block of keys that some begin with; "" where there is none."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            text = file.read(_LONGEST_CARD)
    except OSError:
        return ""
    text = _FRONT_MATTER.sub("", text, count=1) if text.startswith("---") else text
    return text.strip() + "\n" if text.strip() else ""


def _training(metadata: Mapping[str, str]) -> Iterator[str]:
    values = _object(metadata.get("configuration", ""))
    optimizer = _object(values.get("optimizer"))
    begin = _object(values.get("encoder")).get("weights")
    if isinstance(values.get("name"), str):
        yield _line("Experiment", values["name"])
    if isinstance(values.get("algorithm"), str):
        yield _line("Method", _ALGORITHMS.get(values["algorithm"], values["algorithm"]))
    if values:
        # Only the file's name: the folder is nobody else's business.
        name = re.split(r"[/\\]", begin)[-1].removesuffix(".safetensors") if isinstance(begin, str) else ""
        yield _line("Begun from", name or "torchvision's ImageNet weights")
    if isinstance(optimizer.get("kind"), str):
        rate = f", learning rate {optimizer['lr']:g}" if _is_number(optimizer.get("lr")) else ""
        yield _line("Optimiser", _OPTIMIZERS.get(optimizer["kind"], optimizer["kind"]) + rate)
    if metadata.get("iterations", "").strip():
        text = metadata["iterations"].strip()
        yield _line("Iterations", f"{int(text):,}" if text.isascii() and text.isdigit() else text)


def _measured(text: str) -> Iterator[str]:
    for key, value in _object(text).items():
        yield _line(_words(key), f"{value:.3g}" if _is_number(value) else _flat(value))


def _encoder(metadata: Mapping[str, str]) -> Iterator[str]:
    architecture = metadata.get("architecture", "").strip()
    if architecture:
        word, space, rest = architecture.partition(" ")
        yield _line("Architecture", _ARCHITECTURES.get(word.lower(), word) + space + rest)
    for key, title in _ENCODER.items():
        value = metadata.get(key, "").strip()
        if value:
            value = re.sub(r"layer(\d+):(\d+)", r"level \1 to \2 channels", value)
            yield _line(title, re.sub(r",(?=\S)", ", ", value))


def _made_with(metadata: Mapping[str, str]) -> Iterator[str]:
    for key, title in (("version", "Protolabel"), ("revision", "Revision"), ("torch", "PyTorch")):
        if metadata.get(key, "").strip():
            yield _line(title, metadata[key])


def _line(title: str, value: str) -> str:
    return f"- {_plain(title)}: {_plain(value)}"


def _words(key: str) -> str:
    """A key of the metadata or of the metrics in words: "validation/binary_iou" is "Validation: binary IoU"."""
    text = re.sub(r"[A-Za-z]+", lambda found: _WORDS.get(found[0], found[0]), key.replace("/", ": "))
    text = text.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _readable(text: str) -> str:
    """A value of the metadata; JSON is put into words."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, (int, float)) else _flat(value)


def _flat(value: Any, depth: int = 0) -> str:
    if depth < 3 and isinstance(value, dict):
        return "; ".join(f"{_words(str(key))} {_flat(item, depth + 1)}" for key, item in value.items())
    if depth < 3 and isinstance(value, list):
        return ", ".join(_flat(item, depth + 1) for item in value)
    return "…" if isinstance(value, (dict, list)) else str(value)


def _plain(text: str) -> str:
    """A text on one line, not too long, that Markdown shows as it stands."""
    text = " ".join(text.split())
    if len(text) > _LONGEST_VALUE:
        text = text[:_LONGEST_VALUE].rstrip() + "…"
    return _MARKUP.sub(lambda found: "\\" + found[0], text)


def _object(value: Any) -> dict[str, Any]:
    """A JSON object, given as such or as text; an empty one for all else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
