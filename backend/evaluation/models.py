"""From a setting and a folder of checkpoints to the method that is tested."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..baselines.fcn import FCN
from ..baselines.fitting import FittingOptions, SupervisedSegmenter
from ..baselines.ppnet_parts import PartOptions, PartPrototypeNetwork
from ..baselines.segnet import SegNet
from ..dpcl.batching import encode_together
from ..dpcl.prototypes import support_prototypes
from ..encoders.catalogue import load_model
from ..encoders.checkpoint import LoadedModel, load_checkpoint
from ..episodes.episode import Episode
from ..errors import ModelError
from ..refine.densecrf import CrfParameters, refine, require_densecrf
from .experiment import Model, Task, Unavailable
from .prototypes import MeanPrototypes, PartPrototypes
from .segmenter import Segment, Segmenter, fitting
from .setting import FITTED, Setting

_SHOTS = (1, 5, 10)  # of the papers


class ModelSource:
    """Makes the models of settings.

    The checkpoint of a setting is ``NAME_5shot`` where it was trained with that many shots, else ``NAME``, else one of
    other shots, NAME being ``Setting.checkpoint_name``: a file ``NAME.safetensors`` of the folder, or
    ``NAME/last.safetensors``, which is where training leaves it. Or it is one file for all settings. Methods that are
    not trained, or on the support alone, begin with torchvision's ImageNet weights.

    Args:
        checkpoints: A folder, or a file.
        device: Where the method computes.
        crf: For settings with a DenseCRF. Jiang et al. give no parameters.
        fit: For methods that are fitted on the support. Jiang et al. give no options.
    """

    def __init__(
        self,
        checkpoints: Path | None,
        device: torch.device | str = "cpu",
        crf: CrfParameters | None = None,
        fit: FittingOptions | None = None,
    ) -> None:
        self._checkpoints, self._device = checkpoints, device
        self._crf, self._fit = crf or CrfParameters(), fit or FittingOptions()

    def __call__(self, setting: Setting, task: Task | None = None) -> Model:
        """The model of a setting.

        Raises:
            Unavailable: When there is no checkpoint, or the ImageNet weights that it takes instead are not at hand.
            ModelError: When the checkpoint is damaged or of another architecture.
        """
        if setting.method in FITTED:
            model = self._fitted(setting)
        else:
            loaded = self.load(setting)
            options = training_options(loaded.metadata)
            segmenter = self._matching(loaded, setting, options)
            model = Model(fitting(segmenter), loaded.sha256 or loaded.name, options)
        if setting.crf:
            require_densecrf()
            options = {**model.options, "crf": str(self._crf)}
            model = Model(refined(model.segment, self._crf), model.identity, options)
        return model

    def load(self, setting: Setting) -> LoadedModel:
        """The encoder of a setting that is not fitted on the support.

        Raises:
            Unavailable: See :meth:`__call__`.
            ModelError: See :meth:`__call__`.
        """
        path = self.checkpoint(setting)
        if path is None:
            own = {"dpcl": (2, 3, 4), "jiang": (2, 3)}.get(setting.method, (4,))
            return _imagenet(setting.backbone, setting.layers or own)
        loaded = load_checkpoint(path)
        layout = loaded.encoder.layout
        if layout.architecture != setting.backbone or (setting.layers and layout.layers != setting.layers):
            raise ModelError(
                f"The checkpoint {path} is a {layout.architecture} with layers {layout.layers}, but "
                f"{setting.backbone} with layers {setting.layers or 'of its own'} is to be measured; train that one."
            )
        return loaded

    def checkpoint(self, setting: Setting) -> Path | None:
        """The file of a setting's checkpoint; None where it begins with ImageNet weights.

        Raises:
            Unavailable: When there is none.
        """
        name, folder = setting.checkpoint_name, self._checkpoints
        if name is None:
            return None
        if folder is not None and folder.is_file():
            return folder
        others = sorted(_SHOTS, key=lambda shot: abs(shot - setting.shot))
        for own in (f"{name}_{setting.shot}shot", name, *(f"{name}_{shot}shot" for shot in others)):
            for file in (f"{own}.safetensors", f"{own}/last.safetensors"):
                if folder is not None and (folder / file).is_file():
                    return folder / file
        if setting.trained_on == "imagenet":
            return None
        raise Unavailable(f"no checkpoint {name}.safetensors" + ("" if folder is None else f" in {folder}"))

    def prototypes(self, setting: Setting) -> Callable[[Episode], Tensor]:
        """What gives the prototypes of an episode's classes, shape (way, channels), for the t-SNE.

        Raises:
            Unavailable: When there is no checkpoint.
        """
        if setting.method in FITTED:
            raise Unavailable(f"{setting.method} has no prototypes")
        encoder = self.load(setting).encoder.to(self._device)

        @torch.inference_mode()
        def of(episode: Episode) -> Tensor:
            episode = episode.to(self._device)
            (features,) = encode_together(encoder, [episode.support_images])
            return support_prototypes(features, episode.support_masks).classes

        return of

    def _matching(self, loaded: LoadedModel, setting: Setting, options: Mapping[str, Any]) -> Segmenter:
        encoder = loaded.encoder.to(self._device)
        if setting.method != "ppnet":
            return MeanPrototypes(encoder, options.get("method.alpha", 20.0))
        own = {
            field.name: options.get(f"method.{field.name}", field.default) for field in fields(PartOptions)
        }
        return PartPrototypes(PartPrototypeNetwork(encoder, PartOptions(**own)).eval())

    def _fitted(self, setting: Setting) -> Model:
        """SegNet, or an FCN on the setting's backbone, fitted on the support."""
        source = _imagenet("vgg16" if setting.method == "segnet" else setting.backbone, (4,))
        weights = source.encoder.backbone.state_dict()

        def build(classes: int) -> nn.Module:
            if setting.method == "segnet":
                return SegNet(classes, weights)
            return FCN(deepcopy(source.encoder), classes)

        options = {f"fitting.{name}": value for name, value in asdict(self._fit).items()}
        segmenter = SupervisedSegmenter(build, self._fit, self._device)
        begin = source.metadata["trained_on"]
        return Model(fitting(segmenter), f"{source.name} {self._fit}", {**options, "fitting.begin": begin})


def _imagenet(backbone: str, layers: tuple[int, ...]) -> LoadedModel:
    """Torchvision's ImageNet weights.

    Raises:
        Unavailable: When they are not there and cannot be downloaded.
    """
    try:
        return load_model(f"{backbone}-imagenet", layers)
    except ModelError as error:
        raise Unavailable(
            f"torchvision's ImageNet weights of {backbone} cannot be downloaded; connect to the internet once"
        ) from error


def training_options(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a checkpoint tells of its training, by names like ``algorithm`` and ``optimizer.lr``.

    Args:
        metadata: Of the checkpoint; ``configuration`` is the training's configuration as JSON.
    """
    try:
        configuration = json.loads(metadata.get("configuration", "{}"))
    except ValueError:
        return {}
    if not isinstance(configuration, dict) or not configuration:
        return {}
    sections = {key: value for key, value in configuration.items() if isinstance(value, dict)}
    single = {key: value for key, value in configuration.items() if key not in sections}
    return single | {
        f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()
    }


def refined(segment: Segment, parameters: CrfParameters) -> Segment:
    """A method whose softmax is refined by a DenseCRF of each query image."""

    def refine_scores(episode: Episode) -> Tensor:
        probabilities = segment(episode).softmax(dim=1)
        refined = [
            refine(
                own.float().cpu().numpy(),
                image.round().to(torch.uint8).cpu().numpy(),
                torch.ones(image.shape[-2:], dtype=torch.bool).numpy(),
                parameters,
            )
            for own, image in zip(probabilities, episode.query_images, strict=True)
        ]
        return torch.stack([torch.from_numpy(one) for one in refined]).to(probabilities.device)

    return refine_scores
