"""Finds out whether an environment can run the backend: imports, and one real computation on the device."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .children import run_child
from .errors import CheckError, SetupCancelled
from .install_errors import explain
from .scrub import child_environment

MARK = "protolabel-verified:"
_TIMEOUT = 600.0  # seconds; PyTorch has thousands of files for a virus scanner to look at

# Takes the device; whether a GPU works shows only when it computes. A script of one's own has to print the same line.
VERIFY_SCRIPT = f"""
import json, platform, sys
import torch, torchvision, rasterio, pyogrio
def compute(device):
    layer = torch.nn.Conv2d(3, 8, 3).to(device)
    assert layer(torch.ones(1, 3, 16, 16, device=device)).isfinite().all().item()
wanted, note = sys.argv[1], ""
device = wanted
if wanted == "auto":
    # Where the driver is too old, is_available() is silent; the computation tells the reason.
    device = "cuda" if torch.version.cuda or torch.version.hip else "cpu"
try:
    compute(device)
except Exception as error:
    if wanted != "auto" or device == "cpu":
        raise
    device, note = "cpu", " ".join(str(error).split())[:300]
    compute(device)
try:
    import pydensecrf.densecrf
    crf = True
except ImportError:
    crf = False
card = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
modules = (torch, torchvision, rasterio, pyogrio)
print("{MARK}" + json.dumps({{
    "prefix": sys.prefix, "device": device, "note": note, "card": card, "crf": crf,
    "versions": {{"python": platform.python_version(), **{{m.__name__: m.__version__ for m in modules}}}}}}))
"""


@dataclass(frozen=True)
class Verified:
    """What a working environment consists of.

    Attributes:
        prefix: The environment's folder, as its Python names it.
        device: The device that computed.
        versions: Of Python and the main packages.
        note: Why the GPU was passed over, empty otherwise.
        card: The name of the GPU that computed, empty otherwise.
        crf: Whether the refinement with DenseCRF works.
        crf_note: Why it does not, as far as the installation has told.
    """

    prefix: str
    device: str
    versions: Mapping[str, str]
    note: str = ""
    card: str = ""
    crf: bool = True
    crf_note: str = ""


def verify(
    python: Path,
    device: str = "auto",
    folder: Path | None = None,
    script: str = VERIFY_SCRIPT,
    cancel: threading.Event | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Verified:
    """Let an environment's Python prove that it can run the backend.

    Args:
        python: The interpreter.
        device: The device to compute on, "auto" for the best.
        folder: The environment that it has to belong to; None for one that the user brought along.
        script: What it runs, with the device as argument.
        cancel: Ends the check when set.
        environ: The environment that the child's is derived from.

    Raises:
        CheckError: When it cannot.
        SetupCancelled: When ``cancel`` was set.
    """
    command = [str(python), "-I", "-c", script, device]
    try:
        with tempfile.TemporaryDirectory(prefix="protolabel-") as empty:
            finished = run_child(command, child_environment(environ), Path(empty), _TIMEOUT, cancel)
    except OSError as error:
        raise CheckError(f"{python} cannot be started: {error.strerror or error}.") from error
    if cancel is not None and cancel.is_set():
        raise SetupCancelled("The set-up was cancelled.")
    if finished.code is None:
        raise CheckError(f"{python} did not finish its check within {_TIMEOUT:g} seconds.")
    if finished.code != 0:
        raise CheckError(explain(finished.lines, "The check of the environment"))
    verified = _read(finished.lines)
    if folder is not None and os.path.realpath(verified.prefix) != os.path.realpath(folder):
        # Happens when a variable leads the environment's Python to the one that it was made with; what pip has
        # installed is then in the wrong place, although pip reported success.
        text = f"The environment's Python believes to be in {verified.prefix}"
        raise CheckError(f"{text}; make the environment with another Python.")
    return verified


def _read(lines: tuple[str, ...]) -> Verified:
    for line in lines:
        if line.startswith(MARK):
            try:
                return Verified(**json.loads(line[len(MARK) :]))
            except (ValueError, TypeError):
                break
    raise CheckError("The environment's Python gave no answer that is understood; repair the environment.")
