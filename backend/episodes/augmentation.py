"""MoCo v2's augmentation, of an image and its labels together."""

from __future__ import annotations

from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from .episode import IGNORE


def augment(image: Tensor, labels: Tensor, redraws: int = 0) -> tuple[Tensor, Tensor]:
    """Draw an augmented view (DPCL, Section 5.1: "we follow MoCo v2").

    Crop and flip move the labels along, without interpolation; colours and blur leave them alone. The random
    numbers come from torch's generator of the CPU.

    Args:
        image: Shape (3, height, width), RGB, values 0..255, floating point.
        labels: Shape (height, width); 0 background, 255 ignore.
        redraws: How often a view that has lost every object of the image is drawn again.

    Returns:
        Image and labels of the same shapes and types.
    """
    transform = moco_v2(image.shape[-2], image.shape[-1])
    for left in range(redraws, -1, -1):
        view, view_labels = transform(tv_tensors.Image(image / 255.0), tv_tensors.Mask(labels))
        if not left or ((view_labels > 0) & (view_labels != IGNORE)).any():
            break
    return view.as_subclass(Tensor) * 255.0, view_labels.as_subclass(Tensor)


def moco_v2(height: int, width: int) -> v2.Transform:
    """The transforms of MoCo v2's code, for images with values 0..1; views have the size that is given.

    Its blur is Pillow's, whose kernel is as wide as it needs to be; 13 pixels hold three deviations of the
    widest one.
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop((height, width), scale=(0.2, 1.0), antialias=True),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(p=0.2),
            v2.RandomApply([v2.GaussianBlur(kernel_size=13, sigma=(0.1, 2.0))], p=0.5),
            v2.RandomHorizontalFlip(),
        ]
    )
