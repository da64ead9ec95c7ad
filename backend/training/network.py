"""The encoder that a training begins with."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..dpcl.method import DualPrototypicalContrast
from ..encoders.backbones import ResNet50
from ..encoders.catalogue import load_model
from ..encoders.checkpoint import load_checkpoint
from ..encoders.encoder import Encoder
from ..encoders.layout import EncoderLayout
from .configuration import ConfigurationError, EncoderSection, Experiment

_RESNET = ("conv1 bn1", "layer1", "layer2", "layer3", "layer4")
_VGG = (5, 10, 17, 24, 30)  # where the blocks of VGG-16's features end


def build_method(experiment: Experiment) -> DualPrototypicalContrast:
    """The network of an experiment with its first weights; new projections are drawn from the seed."""
    torch.manual_seed(experiment.seed)
    encoder = build_encoder(experiment.encoder)
    freeze(encoder, experiment.encoder.freeze)
    return DualPrototypicalContrast(encoder, experiment.method_options())


def build_encoder(section: EncoderSection) -> Encoder:
    """An encoder with weights from a file or from torchvision, and new projections where they are asked for.

    Raises:
        ModelError: When the weights cannot be read or are of another architecture.
        ConfigurationError: When the file lacks a level.
    """
    if section.weights is not None:
        loaded = load_checkpoint(section.weights, section.layers)
    else:
        loaded = load_model(f"{section.architecture}-imagenet", section.layers)
    source = loaded.encoder
    if not section.projection:
        return source
    if source.layout.projections:
        raise ConfigurationError(
            f"{loaded.name} has projections of its own; set encoder.projection to 0 to go on training them."
        )
    layout: EncoderLayout = replace(
        source.layout, projections=(section.projection,) * len(source.layout.layers)
    )
    encoder = Encoder(layout)
    encoder.backbone.load_state_dict(source.backbone.state_dict())
    return encoder


def freeze(encoder: Encoder, stages: int) -> None:
    """Keep the weights of the first stages; PPNet trains levels 3 and 4 only, which is 3."""
    backbone = encoder.backbone
    if isinstance(backbone, ResNet50):
        for name in " ".join(_RESNET[:stages]).split():
            getattr(backbone, name, torch.nn.Identity()).requires_grad_(False)
    elif stages:
        backbone.features[: _VGG[stages - 1]].requires_grad_(False)
