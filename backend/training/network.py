"""The network that a training begins with."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..baselines.ppnet_parts import PartOptions, PartPrototypeNetwork
from ..configuration_file import ConfigurationError
from ..dpcl.method import DualPrototypicalContrast
from ..encoders.catalogue import load_model
from ..encoders.checkpoint import load_checkpoint, read_layout
from ..encoders.encoder import Encoder
from ..encoders.layout import Compression
from .algorithms import method_options
from .configuration import EncoderSection, Experiment
from .freezing import freeze
from .module import EpisodicMethod


def build_method(experiment: Experiment) -> EpisodicMethod:
    """The network of an experiment with its first weights; what is new in it is drawn from the seed.

    Raises:
        ProtolabelError: When the weights cannot serve, or all of them are frozen.
    """
    torch.manual_seed(experiment.seed)
    encoder = build_encoder(experiment.encoder)
    freeze(encoder, experiment.encoder.freeze)
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise ConfigurationError(
            f"With encoder.freeze at {experiment.encoder.freeze} there is nothing left to train; lower it."
        )
    encoder = encoder.to(
        memory_format=torch.channels_last
    )  # faster on the CPU, and on a GPU in half precision
    options = method_options(experiment.algorithm, experiment.method)
    if isinstance(options, PartOptions):
        return PartPrototypeNetwork(encoder, options)
    return DualPrototypicalContrast(encoder, options)


def build_encoder(section: EncoderSection) -> Encoder:
    """An encoder with weights from a file or from torchvision, and new projections or a compression as asked for.

    Raises:
        ModelError: When the weights cannot be read or lack a level.
        ConfigurationError: When they are of another architecture, or have projections or a compression already.
    """
    if section.weights is not None:
        if read_layout(section.weights).transformer is not None:
            raise ConfigurationError(
                f"The weights {section.weights} are a DINOv2, which cannot be trained; give others."
            )
        loaded = load_checkpoint(section.weights, section.layers)
    else:
        loaded = load_model(f"{section.architecture}-imagenet", section.layers)
    source = loaded.encoder
    layout = source.layout
    if layout.architecture != section.architecture:
        raise ConfigurationError(
            f"The weights {section.weights} are a {layout.architecture} and no {section.architecture}; set "
            f"encoder.architecture to {layout.architecture}, or give other weights."
        )
    if not section.projection and not section.compression:
        return source
    if layout.projections or layout.compression:
        raise ConfigurationError(
            f"The weights {section.weights} have a projection or compression of their own; set encoder.projection "
            "and encoder.compression to 0 to go on training it."
        )
    encoder = Encoder(
        replace(
            layout,
            projections=(section.projection,) * len(layout.layers) if section.projection else (),
            compression=Compression(section.compression) if section.compression else None,
        )
    )
    encoder.backbone.load_state_dict(source.backbone.state_dict())
    return encoder
