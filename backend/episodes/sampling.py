"""Which images make an episode: the protocols of PANet, HSNet and Jiang et al.

Each sampler is a function of the episode's index and of random numbers, see ``Sampler``. The papers' own random numbers
are not reproduced: the distribution is theirs, the episodes are not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .episode import LabeledImages, Selection
from .errors import DatasetError


def images_by_class(
    images: LabeledImages, classes: Sequence[int], without: Collection[int] = ()
) -> dict[int, NDArray[np.int64]]:
    """Indices of the images that show each class.

    Args:
        images: Where to look.
        classes: Class ids.
        without: Images that show one of these classes are left out.
    """
    shown = [images.present(index) for index in range(len(images))]
    left_out = frozenset(without)
    return {
        class_id: np.array(
            [index for index, present in enumerate(shown) if class_id in present and not present & left_out],
            np.int64,
        )
        for class_id in classes
    }


class PanetSampler:
    """PANet's episodes: classes uniformly, then images of each class uniformly, none of them twice.

    An image that is a query supports no way. (PANet keeps support and query apart within a class only; with several
    ways, an image of two classes could be both.) The way of each query is drawn anew in each episode.
    """

    def __init__(
        self,
        images: LabeledImages,
        classes: Sequence[int],
        way: int = 1,
        shot: int = 1,
        queries: int = 1,
        without: Collection[int] = (),
    ) -> None:
        """Prepare the lists of images.

        Args:
            images: What to draw from.
            classes: Class ids to draw from: one side of a ``Fold``.
            way: Classes in an episode.
            shot: Support images per class.
            queries: Query images in an episode.
            without: Leave out images that show one of these classes, for training the classes of the test side, as
                BAM does. PANet, DPCL: none are left out; those classes are background where they occur.

        Raises:
            DatasetError: When there are too few classes, or too few images of one.
        """
        if not 1 <= way <= len(classes):
            raise DatasetError(
                f"Episodes of {way} ways cannot be drawn from {len(classes)} classes; use fewer ways."
            )
        self.way, self.shot, self.queries = way, shot, queries
        self.members = images_by_class(images, classes, without)
        _require_members(self.members, images, shot + queries)

    def __call__(self, index: int, rng: np.random.Generator) -> Selection:
        """Draw an episode; the index does not matter."""
        classes = rng.choice(list(self.members), self.way, replace=False).tolist()
        drawn_for = rng.integers(self.way, size=self.queries).tolist()
        queries: list[tuple[int, int]] = []
        for way in drawn_for:
            members = np.setdiff1d(self.members[classes[way]], [image for image, _ in queries])
            queries.append((int(rng.choice(members)), way))
        used = [image for image, _ in queries]
        support = [
            tuple(rng.choice(np.setdiff1d(self.members[number], used), self.shot, replace=False).tolist())
            for number in classes
        ]
        return Selection(tuple(classes), tuple(support), tuple(queries))


class HsnetSampler:
    """HSNet's test episodes, with one way.

    PASCAL-5i (``listed``): the queries are all pairs of an image and a class of the fold, in order and from the start
    again until there are 1000 episodes. COCO-20i (``uniform``): a class uniformly, then an image of it. In both,
    support images are drawn from the other images of the class, and one may be drawn several times.
    """

    def __init__(
        self,
        images: LabeledImages,
        classes: Sequence[int],
        shot: int = 1,
        query: Literal["listed", "uniform"] = "listed",
    ) -> None:
        """Prepare the lists of images.

        Args:
            images: What to draw from.
            classes: Class ids of the fold's test side.
            shot: Support images.
            query: How queries are drawn.

        Raises:
            DatasetError: When a class has fewer than two images.
        """
        self.shot = shot
        self.query = query
        self.members = images_by_class(images, classes)
        _require_members(self.members, images, 2)
        self.pairs = sorted(
            (int(image), number) for number, members in self.members.items() for image in members
        )

    def __call__(self, index: int, rng: np.random.Generator) -> Selection:
        """Draw the episode of an index."""
        if self.query == "listed":
            image, class_id = self.pairs[index % len(self.pairs)]
        else:
            class_id = int(rng.choice(list(self.members)))
            image = int(rng.choice(self.members[class_id]))
        others = self.members[class_id][self.members[class_id] != image]
        support = tuple(rng.choice(others, self.shot, replace=True).tolist())
        return Selection((class_id,), (support,), ((image, 0),))


class PatchSweep:
    """Jiang et al. (sections III-B and III-E): every patch of the test tiles once, in all classes jointly.

    K support patches are drawn from the training tiles so that they show all classes together. Each way lists all K:
    the mask is empty in those without its class. The paper can be read both ways on whether the patches are drawn
    once ("only five annotated patches") or for every query ("for each patch ... randomly select five patches").
    """

    def __init__(
        self,
        support_images: LabeledImages,
        query_images: LabeledImages,
        classes: Sequence[int],
        shot: int = 5,
        support: Literal["fixed", "redrawn"] = "fixed",
        seed: int = 0,
    ) -> None:
        """Prepare the lists of images.

        Args:
            support_images: Patches of the training tiles.
            query_images: Patches of the test tiles; an ``EpisodeDataset`` of their number sweeps them.
            classes: Class ids of the ways.
            shot: Support patches K.
            support: ``fixed``, one set for all queries; or ``redrawn`` for each.
            seed: Of the fixed set.

        Raises:
            DatasetError: When the patches cannot show all classes.
        """
        self.classes = tuple(classes)
        self.shown = [support_images.present(index) for index in range(len(support_images))]
        self.shot = shot
        self.queries = len(query_images)
        _require_members(images_by_class(support_images, classes), support_images, 1)
        self.fixed = self._draw(np.random.default_rng(seed)) if support == "fixed" else None

    def __call__(self, index: int, rng: np.random.Generator) -> Selection:
        """The episode of a query patch."""
        patches = self._draw(rng) if self.fixed is None else self.fixed
        return Selection(self.classes, (patches,) * len(self.classes), ((index % self.queries, 0),))

    def _draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        return covering_images(self.shown, self.classes, self.shot, rng)


def covering_images(
    shown: Sequence[frozenset[int]], classes: Sequence[int], count: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """Draw images that show all classes together: in random order, those that add a class first.

    Args:
        shown: Classes in each image.
        classes: Those to cover.
        count: Number of images.
        rng: Random numbers.

    Raises:
        DatasetError: When there are too few images, or that many were not found to show all classes.
    """
    if len(shown) < count:
        raise DatasetError(
            f"{count} support images cannot be drawn from {len(shown)}; use fewer, or smaller patches."
        )
    for _ in range(100):
        order = rng.permutation(len(shown)).tolist()
        missing, chosen = set(classes), []
        for image in order:
            if missing & shown[image]:
                chosen.append(image)
                missing -= shown[image]
        if not missing and len(chosen) <= count:
            others = [image for image in order if image not in chosen]
            return tuple(chosen + others[: count - len(chosen)])
    # Rare classes: take first the image that adds most.
    missing, chosen = set(classes), []
    order = rng.permutation(len(shown)).tolist()
    while missing and len(chosen) < count:
        chosen.append(max(order, key=lambda image: len(missing & shown[image])))
        missing -= shown[chosen[-1]]
    if missing:
        raise DatasetError(
            f"No {count} images were found that show all {len(classes)} classes; use more images."
        )
    others = [image for image in order if image not in chosen]
    return tuple(chosen + others[: count - len(chosen)])


def _require_members(members: dict[int, NDArray[np.int64]], images: LabeledImages, needed: int) -> None:
    for class_id, indices in members.items():
        if len(indices) < needed:
            raise DatasetError(
                f"The class {images.classes[class_id - 1]!r} is in {len(indices)} images, but an episode needs "
                f"{needed}; use fewer shots and queries, smaller patches, or leave the class out."
            )
