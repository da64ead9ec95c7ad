"""What is fitted on a support is kept while the support stays, and the scores are those of fitting each time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from backend.baselines.fitting import FittingOptions, SupervisedSegmenter
from backend.baselines.ppnet_parts import PartOptions, PartPrototypeNetwork
from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.options import MethodError, MethodOptions
from backend.encoders.encoder import Encoder
from backend.encoders.layout import Compression, EncoderLayout
from backend.episodes.episode import Episode
from backend.evaluation.prototypes import MeanPrototypes, PartPrototypes
from backend.evaluation.segmenter import fitting

SIDE = 32


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Encoder(EncoderLayout("vgg16", layers=(2,), compression=Compression(8))).eval()


def support_of(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 1, 3, SIDE, SIDE, generator=generator) * 255
    masks = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    masks[0, :, : SIDE // 2], masks[1, :, :, SIDE // 2 :] = 1, 1
    return images, masks


def episodes():
    """Two supports, each anew for its two queries, the first one once more, and one with another mask."""
    found = []
    for query, seed in enumerate((1, 1, 2, 2, 1)):
        generator = torch.Generator().manual_seed(100 + query)
        image = torch.rand(1, 3, SIDE, SIDE, generator=generator) * 255
        found.append(Episode(*support_of(seed), image, torch.zeros(1, SIDE, SIDE, dtype=torch.uint8), (1, 2)))
    images, masks = support_of(1)
    masks[0, :, 0] = 255
    return [*found, replace(found[-1], support_images=images, support_masks=masks)]


def small(classes):
    return nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1)
    )


def segmenters(encoder):
    return {
        "mean": lambda: MeanPrototypes(encoder),
        "parts": lambda: PartPrototypes(PartPrototypeNetwork(encoder, PartOptions(parts=3)).eval()),
        "fitted": lambda: SupervisedSegmenter(small, FittingOptions(iterations=3)),
    }


@pytest.mark.parametrize("kind", ["mean", "parts", "fitted"])
def test_reuse_changes_nothing_but_the_number_of_fits(encoder, kind):
    make = segmenters(encoder)[kind]
    kept, fits = make(), []
    fit = kept.fit
    kept.fit = lambda *support: (fits.append(1), fit(*support))
    segment = fitting(kept)
    with torch.inference_mode():  # as the runner has it
        found = [segment(episode) for episode in episodes()]
        anew = [fitting(make())(episode) for episode in episodes()]
    assert len(fits) == 4, "the first, the second, the first again, and the one with another mask"
    for one, other in zip(found, anew, strict=True):
        assert one.shape == (1, 3, SIDE, SIDE) and one.equal(other)
    assert not found[0].equal(found[1]) and not found[4].equal(found[5])


def test_a_fit_that_failed_is_not_kept(encoder):
    segmenter = MeanPrototypes(encoder)
    segment = fitting(segmenter)
    first, *_, changed = episodes()
    expected = segment(first)
    fit = segmenter.fit

    def spoil(images, masks):
        fit(images, 1 - masks)
        raise MethodError("in the middle")

    segmenter.fit = spoil
    with pytest.raises(MethodError, match="in the middle"):
        segment(changed)
    segmenter.fit = fit
    assert segment(first).equal(expected)
    assert segment(changed).equal(fitting(MeanPrototypes(encoder))(changed))


def test_supports_of_another_shape(encoder):
    segment = fitting(MeanPrototypes(encoder))
    episode = episodes()[0]
    one_way = replace(
        episode,
        support_images=episode.support_images[:1],
        support_masks=episode.support_masks[:1],
        classes=(1,),
    )
    assert segment(episode).shape[1] == 3 and segment(one_way).shape[1] == 2


def test_the_scores_are_those_of_the_trained_networks(encoder):
    for episode in episodes():
        mean = fitting(MeanPrototypes(encoder))(episode)
        method = DualPrototypicalContrast(encoder, MethodOptions.jiang()).eval()
        torch.testing.assert_close(mean, method.segment(episode), rtol=1e-4, atol=1e-4)
        network = PartPrototypeNetwork(encoder).eval()
        assert fitting(PartPrototypes(network))(episode).equal(network.segment(episode))


def test_nothing_is_predicted_before_a_fit(encoder):
    for make in segmenters(encoder).values():
        with pytest.raises(MethodError, match="call fit with the support first"):
            make().predict(torch.zeros(1, 3, SIDE, SIDE))
