"""Turn a trained model into the one that is shipped: half precision, calibrated, with a checksum beside it.

Usage: python scripts/ship_model.py RUN/last.safetensors [--name aerial] [--temperature T] [--spectral S]
           [--base WEIGHTS --share 0.8]

With --base, the weights are averaged with those that the training began with (Wortsman et al. 2022, "Robust fine-tuning
of zero-shot models"): SHARE is the trained ones' part. The card beside it, NAME.md, is written by people.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 # after the path

from backend.encoders.checkpoint import file_sha256, load_checkpoint, save_checkpoint  # noqa: E402
from backend.encoders.encoder import Encoder  # noqa: E402
from backend.errors import ProtolabelError  # noqa: E402

LARGEST = 20_000_000  # bytes; the file stays in the history
PATHS = (("output",), ("data", "root"), ("encoder", "weights"))


def main() -> None:
    """Write the model and its checksum."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--name", default="aerial")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--spectral", type=float)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=ROOT / "resources" / "models")
    options = parser.parse_args()
    try:
        loaded = load_checkpoint(options.model)
        encoder, metadata = loaded.encoder, dict(loaded.metadata)
        if options.base is not None:
            average(encoder, load_checkpoint(options.base, encoder.layout.layers).encoder, options.share)
            metadata["averaged"] = f"{options.share:g} trained, the rest {options.base.stem}"
    except ProtolabelError as error:
        sys.exit(str(error))
    if "configuration" in metadata:
        metadata["configuration"] = json.dumps(without_folders(json.loads(metadata["configuration"])))
    for key, value in (("temperature", options.temperature), ("spectral_weight", options.spectral)):
        if value is not None:
            metadata[key] = f"{value:g}"
    path = options.folder / f"{options.name}.safetensors"
    save_checkpoint(encoder, path, metadata, half=True)
    if path.stat().st_size > LARGEST:
        sys.exit(f"{path} has {path.stat().st_size:,} bytes; {LARGEST:,} are allowed.")
    path.with_name(f"{path.name}.sha256").write_text(f"{file_sha256(path)}  {path.name}\n", encoding="utf-8")
    print(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB) and its checksum.")


def average(encoder: Encoder, base: Encoder, share: float) -> None:
    """Bring an encoder's weights towards those it was trained from, in place."""
    start = base.state_dict()
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name].to(value), 1.0 - share)


def without_folders(configuration: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the names of files and folders alone: where they lay says nothing elsewhere."""
    for *sections, key in PATHS:
        holder = configuration
        for section in sections:
            holder = holder.get(section, {})
        if holder.get(key):
            holder[key] = Path(holder[key]).name
    return configuration


if __name__ == "__main__":
    main()
