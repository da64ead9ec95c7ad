"""What one number of a table was measured with: method, data, way and shot."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["dpcl", "panet", "ppnet", "jiang", "segnet", "fcn"]
Backbone = Literal["resnet50", "vgg16"]
FITTED = ("segnet", "fcn")
"""Methods that are trained on the support of each episode alone, and thus have no checkpoint."""


class Setting(BaseModel):
    """The conditions of a measurement.

    Attributes:
        method: What segments.
        backbone: Of its encoder.
        layers: Levels of the encoder that are used; none for the method's own choice.
        class_specific: Whether DPCL was trained with the class-specific loss.
        class_agnostic: Whether DPCL was trained with the class-agnostic loss.
        dataset: That it is tested on.
        trained_on: Dataset that it was trained on, or ``imagenet`` for not at all; None for ``dataset``.
        fold: Fold of classes that it is tested on, counted from 0; None where there are no folds.
        test_class: The one class that it is tested on, where that is not a fold's.
        way: Classes of an episode.
        shot: Support images of a class.
        crf: Whether a DenseCRF refines the labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method = "dpcl"
    backbone: Backbone = "resnet50"
    layers: tuple[int, ...] = ()
    class_specific: bool = True
    class_agnostic: bool = True
    dataset: str
    trained_on: str | None = None
    fold: int | None = Field(default=None, ge=0)
    test_class: str | None = None
    way: int = Field(default=1, ge=1)
    shot: int = Field(default=1, ge=1)
    crf: bool = False

    @property
    def name(self) -> str:
        """A name for files, by which two settings never share one."""
        parts = [self.checkpoint_name or self.method, f"on-{self.dataset}"]
        if self.test_class:
            parts.append(self.test_class.replace(" ", "-"))
        parts.append(f"{self.way}way{self.shot}shot")
        return "_".join([*parts, *(["crf"] if self.crf else [])])

    @property
    def title(self) -> str:
        """A name for people."""
        parts: list[str] = [self.method]
        if self.method not in FITTED:
            parts.append({"resnet50": "ResNet-50", "vgg16": "VGG-16"}[self.backbone])
        if self.layers:
            parts.append("layers " + " + ".join(map(str, self.layers)))
        if self.method == "dpcl" and not (self.class_specific and self.class_agnostic):
            left = [name for name, on in (("CSCL", self.class_specific), ("CACL", self.class_agnostic)) if on]
            parts.append(f"with {left[0]} alone" if left else "without CSCL and CACL")
        if self.trained_on not in (None, self.dataset):
            parts.append(f"trained on {self.trained_on}")
        parts.append(self.dataset)
        if self.fold is not None:
            parts.append(f"fold {self.fold + 1}")
        if self.test_class:
            parts.append(self.test_class)
        parts.append(f"{self.way}-way {self.shot}-shot")
        return ", ".join([*parts, *(["DenseCRF"] if self.crf else [])])

    @property
    def checkpoint_name(self) -> str | None:
        """Name of the trained weights, which shot, CRF and test data do not change; None for fitted methods."""
        if self.method in FITTED:
            return None
        parts: list[str] = [self.method, self.backbone]
        if self.layers:
            parts.append("layers" + "".join(map(str, self.layers)))
        if self.method == "dpcl":
            parts += [] if self.class_specific else ["no-cscl"]
            parts += [] if self.class_agnostic else ["no-cacl"]
        trained_on = self.trained_on or self.dataset
        parts.append(trained_on)
        if self.fold is not None:
            parts.append(f"fold{self.fold}")
        if self.test_class and trained_on == self.dataset:
            parts.append("without-" + self.test_class.replace(" ", "-"))
        return "_".join(parts)
