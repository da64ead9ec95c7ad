"""From a setting and a folder of checkpoints to the method that is tested."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..dpcl.batching import encode_together
from ..dpcl.method import DualPrototypicalContrast
from ..dpcl.options import MethodOptions
from ..dpcl.prototypes import support_prototypes
from ..encoders.checkpoint import LoadedModel, load_checkpoint
from ..episodes.episode import Episode
from ..errors import ModelError
from ..refine.densecrf import CrfParameters, refine, require_densecrf
from .experiment import Model, Task, Unavailable
from .segmenter import Segment
from .setting import Setting


class ModelSource:
    """Makes the models of settings.

    The checkpoint of a setting is ``NAME_5shot.safetensors`` of the folder where it was trained with that many shots,
    else ``NAME.safetensors``, NAME being ``Setting.checkpoint_name``; or one file for all settings.

    Args:
        checkpoints: A folder, or a file.
        device: Where the method computes.
        crf: For settings with a DenseCRF. Jiang et al. give no parameters.
    """

    def __init__(
        self, checkpoints: Path | None, device: torch.device | str = "cpu", crf: CrfParameters | None = None
    ) -> None:
        self._checkpoints, self._device, self._crf = checkpoints, device, crf or CrfParameters()

    def __call__(self, setting: Setting, task: Task | None = None) -> Model:
        """The model of a setting.

        Raises:
            Unavailable: When there is no checkpoint, or the method needs none and is another module's.
            ModelError: When the checkpoint is damaged or of another architecture.
        """
        loaded, path = self.load(setting)
        method = self._method(loaded, setting)
        options = training_options(loaded.metadata)
        segment: Segment = method.segment
        if setting.crf:
            require_densecrf()
            segment = refined(segment, self._crf)
            options |= {"crf": str(self._crf)}
        return Model(segment, loaded.sha256, {**options, "checkpoint": path.name})

    def load(self, setting: Setting) -> tuple[LoadedModel, Path]:
        """The encoder of a setting and its file."""
        path = self.checkpoint(setting)
        loaded = load_checkpoint(path)
        layout = loaded.encoder.layout
        if layout.architecture != setting.backbone or (setting.layers and layout.layers != setting.layers):
            raise ModelError(
                f"The checkpoint {path} is a {layout.architecture} with layers {layout.layers}, but "
                f"{setting.backbone} with layers {setting.layers or 'of its own'} is to be measured; train that one."
            )
        return loaded, path

    def checkpoint(self, setting: Setting) -> Path:
        """The file of a setting's checkpoint.

        Raises:
            Unavailable: When there is none.
        """
        name = setting.checkpoint_name
        if name is None:
            raise Unavailable(f"{setting.method} is fitted on the support patches; it has no checkpoint")
        folder = self._checkpoints
        if folder is not None and folder.is_file():
            return folder
        files = [f"{name}_{setting.shot}shot.safetensors", f"{name}.safetensors"]
        for file in files:
            if folder is not None and (folder / file).is_file():
                return folder / file
        raise Unavailable(f"no checkpoint {files[1]}" + ("" if folder is None else f" in {folder}"))

    def prototypes(self, setting: Setting) -> Callable[[Episode], Tensor]:
        """What gives the prototypes of an episode's classes, shape (way, channels), for the t-SNE."""
        method = self._method(self.load(setting)[0], setting)

        @torch.inference_mode()
        def of(episode: Episode) -> Tensor:
            episode = episode.to(self._device)
            (features,) = encode_together(method.encoder, [episode.support_images])
            return support_prototypes(features, episode.support_masks).classes

        return of

    def _method(self, loaded: LoadedModel, setting: Setting) -> DualPrototypicalContrast:
        # Only the encoder and alpha matter here: without contrastive weights no momentum encoder is made.
        if setting.method not in ("dpcl", "panet", "jiang"):
            raise Unavailable(
                f"the method {setting.method} cannot be evaluated from a checkpoint of an encoder"
            )
        return DualPrototypicalContrast(loaded.encoder, MethodOptions.jiang()).to(self._device).eval()


def training_options(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a checkpoint tells of its training, by dotted names like ``optimizer.lr``.

    Args:
        metadata: Of the checkpoint; ``configuration`` is the training's configuration as JSON.
    """
    try:
        configuration = json.loads(metadata.get("configuration", "{}"))
    except ValueError:
        return {}
    if not isinstance(configuration, dict) or not configuration:
        return {}
    method = configuration.get("method")
    sections = {**configuration, "method": {**asdict(MethodOptions()), **(method or {})}}
    return {
        f"{section}.{name}": value
        for section, values in sections.items()
        if isinstance(values, dict)
        for name, value in values.items()
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
