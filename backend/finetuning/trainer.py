"""DPCL's training step on one episode after another, without Lightning, and what a checkpoint has to keep of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch

from ..dpcl.method import DualPrototypicalContrast
from ..dpcl.options import MethodOptions
from ..encoders.catalogue import DEFAULT, load_model, model_files
from ..encoders.checkpoint import LoadedModel
from ..encoders.encoder import Encoder
from ..episodes.episode import Episode
from ..progress import CancelToken
from ..training.freezing import freeze
from .interruption import interruptible
from .options import FinetuneOptions, FinetuningError, Trained

_WARMUP = 20  # iterations in which the rate rises
_END = 0.01  # of the rate, to which it falls
_CLIP = 1.0  # largest norm of the gradient
_DECAY = 0.01  # AdamW's
_WORTH = 0.8  # of the time, from which on bfloat16 is worth it
_TRIALS = 5  # of each precision
_ENCODERS = ("encoder.", "momentum_encoder.")  # in the state of the method

METHOD = MethodOptions(
    alignment_mask="labels",  # polygons are few, so queries teach the more
    class_balance=0.5,  # small classes count as well, which is what mean IoU asks for
    momentum=0.98,  # what the paper counts in iterations shrinks along with them
    dictionary_size=1024,
    dictionary_negatives=875,
)
"""The choices that the shipped model was trained with."""

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Losses:
    """The parts of the loss of one episode; see :class:`backend.dpcl.method.LossParts`."""

    segmentation: float
    alignment: float
    class_specific: float
    class_agnostic: float
    total: float

    @classmethod
    def mean(cls, several: Sequence[Losses]) -> Losses:
        """The mean of one or more."""
        rows = [tuple(asdict(one).values()) for one in several]
        return cls(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))

    def to_json(self) -> dict[str, float]:
        """As values for messages and the journal."""
        return {name: round(value, 5) for name, value in asdict(self).items()}


class EpisodeTrainer:
    """An encoder in training.

    Attributes:
        encoder: The one that is trained.
        iteration: Episodes that it was trained on.
        precision: In which it computes, see :meth:`choose_precision`.
    """

    def __init__(self, base: LoadedModel, options: FinetuneOptions, device: torch.device) -> None:
        """Prepare.

        Args:
            base: The model to begin with; its encoder is changed.
            options: Layers, rate and seed.
            device: Where it is trained.

        Raises:
            FinetuningError: When nothing of the encoder is left to train.
        """
        _choose_layers(base.encoder, options.trained)
        encoder = base.encoder.to(device).to(memory_format=torch.channels_last)
        method = MethodOptions(**{**asdict(METHOD), "seed": options.seed})
        self._method = DualPrototypicalContrast(encoder, method).to(device).train()
        self._device, self._rate = device, options.rate(base.metadata)
        self._parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=self._rate, weight_decay=_DECAY)
        self.encoder, self.iteration = encoder, 0
        self.precision: Precision = "float32"

    def choose_precision(self, crop: int, cancel: CancelToken) -> None:
        """Find out what is faster on this machine for a single crop, and train so.

        Args:
            crop: Its side in pixels.
            cancel: Stops the trial.
        """
        if self._device.type == "cuda":
            self.precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
            return
        image = torch.full((1, 3, crop, crop), 100.0).contiguous(memory_format=torch.channels_last)
        seconds: dict[Precision, float] = {}
        for _ in range(_TRIALS):  # by turns: other programs come and go
            for precision in get_args(Precision):
                self.precision = precision
                started = time.perf_counter()
                with interruptible(self.encoder, cancel):
                    with self._autocast():
                        features = self.encoder(image)
                    features.float().mean().backward()
                took = time.perf_counter() - started
                seconds[precision] = min(
                    seconds.get(precision, math.inf), took
                )  # the first one also prepares
        self._optimizer.zero_grad(set_to_none=True)
        self.precision = "bfloat16" if seconds["bfloat16"] < _WORTH * seconds["float32"] else "float32"

    def try_step(self, episode: Episode, cancel: CancelToken) -> float:
        """Seconds of an iteration; nothing is learnt.

        Args:
            episode: One of those that will be trained on.
            cancel: Stops the trial.
        """
        state = self._method.state_dict()  # the trial fills the dictionary and counts steps
        kept = {name: value.clone() for name, value in state.items() if not name.startswith(_ENCODERS)}
        self._backward(episode, cancel)  # the first one also prepares
        started = time.perf_counter()
        self._backward(episode, cancel)
        seconds = time.perf_counter() - started
        self._optimizer.zero_grad(set_to_none=True)
        self._method.load_state_dict(kept, strict=False)
        return seconds

    def step(self, episode: Episode, fraction: float, cancel: CancelToken) -> Losses:
        """Train on an episode.

        Args:
            episode: The next one.
            fraction: How much of the training is over, 0 to 1; the rate falls along a cosine.
            cancel: Stops it in the middle, where the weights are still those before.

        Raises:
            FinetuningError: When loss or weights are no numbers any more.
            Cancelled: When it was stopped.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * rate(self.iteration, fraction)
        losses = self._backward(episode, cancel)
        if not math.isfinite(losses.total):
            raise self._diverged("The loss is")
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, _CLIP)
        if not torch.isfinite(norm):
            raise self._diverged("The gradient is")
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._method.update_momentum_encoder()
        self.iteration += 1
        return losses

    @torch.no_grad()
    def segment(self, episode: Episode) -> torch.Tensor:
        """The class of each pixel of an episode's queries, shape (queries, height, width)."""
        self._method.eval()
        scores = self._method.segment(episode.to(self._device))
        self._method.train()
        return scores.argmax(dim=1).cpu()

    def state_dict(self) -> dict[str, Any]:
        """All that a training which goes on has to know."""
        return {
            "method": self._method.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "iteration": self.iteration,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what an interrupted training knew."""
        self._method.load_state_dict(state["method"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.iteration = state["iteration"]

    def _backward(self, episode: Episode, cancel: CancelToken) -> Losses:
        try:
            with interruptible(self._method, cancel):
                with self._autocast():
                    parts = self._method([episode.to(self._device)])
                parts.total.backward()
        except BaseException:
            self._optimizer.zero_grad(set_to_none=True)
            raise
        return Losses(*(float(getattr(parts, name).detach()) for name in Losses.__dataclass_fields__))

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)

    def _diverged(self, what: str) -> FinetuningError:
        return FinetuningError(
            f"{what} not finite at iteration {self.iteration}; the best model so far is kept: start another run with a "
            "lower learning rate."
        )


def rate(iteration: int, fraction: float) -> float:
    """The learning rate as a share of the largest one.

    Args:
        iteration: From 0; the first ones rise.
        fraction: How much of the training is over, 0 to 1.
    """
    warm = min(1.0, (iteration + 1) / (_WARMUP + 1))
    return warm * (_END + (1 - _END) * 0.5 * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0))))


def load_base(name: str | None) -> LoadedModel:
    """The model to begin with.

    Args:
        name: A model's name or file, None for the default.

    Raises:
        ModelError: When it is unknown, damaged, or of another architecture than it says.
        FinetuningError: When it is of a kind that cannot be fine-tuned.
    """
    loaded = load_model(name)
    if loaded.encoder.layout.transformer is not None:
        raise FinetuningError(
            f"The model {loaded.name} is a DINOv2, which cannot be fine-tuned; choose a ResNet-50 or a VGG-16."
        )
    return loaded


def base_name(name: str | None) -> str:
    """The name or file of the model to begin with, also where the default is taken, which may change."""
    return name or str(next(model_files(), DEFAULT))


def _choose_layers(encoder: Encoder, trained: Trained) -> None:
    stages = {"all": 0, "upper": 2, "last": max(encoder.layout.layers)}
    freeze(encoder, stages[trained])
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise FinetuningError(
            "All layers of this model are left as they are, so there is nothing to train; choose more layers."
        )
