"""What a fine-tuning would take on this machine, by trying it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..encoders.runner import EncoderRunner, choose_device
from ..progress import RunControl
from .course import ahead
from .options import FinetuneOptions
from .preparation import Preparation
from .threads import limited_threads
from .trainer import EpisodeTrainer, load_base

_MATCHING = 1.5  # times the encoder's seconds, with what follows it


@dataclass(frozen=True)
class FinetuneEstimate:
    """What a run would take.

    Attributes:
        device: It would run on.
        iterations: Of the whole run.
        seconds: As well, with measurements.
        seconds_per_iteration: Of training.
        seconds_per_measurement: On the hold-out.
    """

    device: str
    iterations: int
    seconds: float
    seconds_per_iteration: float
    seconds_per_measurement: float


def estimate_finetuning(
    options: FinetuneOptions, prepared: Preparation, control: RunControl
) -> FinetuneEstimate:
    """Try a few iterations and a part of a measurement.

    Args:
        options: Of the run.
        prepared: What is trained and measured on.
        control: Stops the trial.

    Raises:
        ProtolabelError: When model, device or labels cannot serve.
        Cancelled: When it was stopped.
    """
    device, base = choose_device(options.device), load_base(options.base)
    windows = [window for scene in prepared.held for window in scene.windows]
    with limited_threads(options.threads) as threads:
        runner = EncoderRunner(base.encoder, device, rough=True)
        runner.encode(windows[0].image, threads)  # the first one also prepares
        started = time.monotonic()
        runner.encode(windows[0].image, threads)
        measuring = (time.monotonic() - started) * len(windows) * _MATCHING
        trainer = EpisodeTrainer(base, options, device)
        trainer.choose_precision(options.crop, control)
        each = trainer.try_step(prepared.episodes[0], control)
    iterations, seconds = ahead(options, each, measuring)
    return FinetuneEstimate(str(device), iterations, seconds + measuring, each, measuring)
