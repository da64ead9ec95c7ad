"""The whole method: PANet without its contrastive losses, reproducible with them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.dpcl.method import DualPrototypicalContrast, LossParts
from backend.dpcl.options import MethodError, MethodOptions
from backend.encoders.encoder import Encoder
from backend.episodes.episode import Episode

SMALL = MethodOptions(dictionary_size=32, dictionary_negatives=20, background_negatives=30, redraws=3)


def panet(encoder: Encoder, episode: Episode) -> tuple[Tensor, Tensor]:
    """PANet step by step: features brought to the masks' size, one image, way and shot after the other."""

    def pooled(features: Tensor, mask: Tensor) -> Tensor:
        up = F.interpolate(features, size=mask.shape, mode="bilinear")
        return (up * mask).sum(dim=(2, 3)) / (mask.sum() + 1e-5)

    def distances(features: Tensor, prototypes: list[Tensor]) -> Tensor:
        scores = [20 * F.cosine_similarity(features, p[..., None, None], dim=1) for p in prototypes]
        return torch.stack(scores, dim=1)

    support = [[encoder(image[None]) for image in way] for way in episode.support_images]
    query = torch.cat([encoder(image[None]) for image in episode.query_images])
    ways, shots = episode.support_masks.shape[:2]
    size = episode.query_labels.shape[1:]
    masks = episode.support_masks
    objects = [
        sum(pooled(support[w][s], (masks[w, s] == 1).float()) for s in range(shots)) / shots
        for w in range(ways)
    ]
    ground = sum(
        sum(pooled(support[w][s], (masks[w, s] == 0).float()) for s in range(shots)) / shots
        for w in range(ways)
    )
    scores = distances(query, [ground / ways, *objects])
    up = F.interpolate(scores, size=size, mode="bilinear")
    segmentation = F.cross_entropy(up, episode.query_labels.long(), ignore_index=255)

    predicted = scores.argmax(dim=1)
    alignment = torch.zeros(())
    for way in range(ways):
        if not (predicted == way + 1).any():
            continue
        prototypes = []
        for label in (0, way + 1):
            mask = (predicted == label).float()[:, None]
            prototypes.append((query * mask).sum(dim=(0, 2, 3))[None] / (mask.sum() + 1e-5))
        for shot in range(shots):
            back = F.interpolate(distances(support[way][shot], prototypes), size=size, mode="bilinear")
            loss = F.cross_entropy(back, masks[way, shot][None].long(), ignore_index=255)
            alignment = alignment + loss / shots / ways
    return segmentation, alignment


def gradients(encoder: Encoder) -> list[Tensor]:
    return [p.grad for p in encoder.parameters() if p.grad is not None]


def train(method: DualPrototypicalContrast, episodes: list[Episode], rate: float = 1e-3) -> list[LossParts]:
    optimizer = torch.optim.SGD(method.encoder.parameters(), rate, momentum=0.9)
    history = []
    for episode in episodes:
        optimizer.zero_grad()
        history.append(method([episode]))
        history[-1].total.backward()
        optimizer.step()
        method.update_momentum_encoder()
    return history


@pytest.mark.parametrize(("way", "shot", "queries"), [(1, 1, 1), (1, 5, 1), (2, 2, 3)])
def test_without_contrast_it_is_panet(encoder, make_episode, way, shot, queries):
    episodes = [make_episode(way, shot, queries, seed=seed) for seed in (0, 1)]
    reference = deepcopy(encoder)
    method = DualPrototypicalContrast(encoder, MethodOptions.panet()).train()
    before = torch.get_rng_state()
    parts = method(episodes)
    parts.total.backward()
    assert method.momentum_encoder is None and method.dictionary is None
    assert torch.get_rng_state().equal(before)

    expected = [panet(reference, episode) for episode in episodes]
    segmentation = sum(pair[0] for pair in expected) / 2
    alignment = sum(pair[1] for pair in expected) / 2
    assert alignment > 0
    (segmentation + alignment).backward()
    torch.testing.assert_close(parts.segmentation, segmentation, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(parts.alignment, alignment, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(parts.total, segmentation + alignment, rtol=1e-4, atol=1e-6)
    assert parts.class_specific == 0 and parts.class_agnostic == 0
    for found, wanted in zip(gradients(encoder), gradients(reference), strict=True):
        torch.testing.assert_close(found, wanted, rtol=2e-3, atol=1e-4 * float(wanted.abs().max()))


def test_contrast_adds_its_losses_and_leaves_the_rest_and_torchs_random_numbers(encoder, make_episode):
    episodes = [make_episode(2, 2, 2), make_episode(1, 3, 1, seed=1)]
    plain = DualPrototypicalContrast(deepcopy(encoder), MethodOptions.panet()).train()(episodes)
    method = DualPrototypicalContrast(encoder, SMALL).train()
    torch.manual_seed(4)
    before = torch.get_rng_state()
    parts = method(episodes)
    assert torch.get_rng_state().equal(before)
    assert parts.segmentation.equal(plain.segmentation) and parts.alignment.equal(plain.alignment)
    assert parts.class_specific > 0 and parts.class_agnostic > 0
    expected = plain.total + 0.02 * parts.class_specific + 0.015 * parts.class_agnostic
    torch.testing.assert_close(parts.total, expected)
    assert method.dictionary is not None
    assert method.dictionary.labels[:7].tolist() == [5, 5, 6, 6, 5, 5, 5]
    assert method.dictionary.position == 7


def test_keys_are_the_momentum_encoder_s(encoder, make_episode):
    method = DualPrototypicalContrast(encoder, SMALL).train()
    other = deepcopy(method)
    with torch.no_grad():
        other.momentum_encoder.encoder.projections["layer2"].weight.normal_()
    one, two = (m([make_episode()]) for m in (method, other))
    assert one.segmentation.equal(two.segmentation) and one.alignment.equal(two.alignment)
    assert not one.class_specific.isclose(two.class_specific)
    assert not one.class_agnostic.isclose(two.class_agnostic)
    assert not method.dictionary.entries[0].allclose(other.dictionary.entries[0])


def test_objects_that_the_view_cuts_away_make_no_keys(encoder, make_episode):
    episode = make_episode(1, 2)
    episode.support_masks[0, 1] = 0
    episode.support_masks[0, 1, 0, 0] = 1  # one pixel in the corner, which this seed's view does not show
    method = DualPrototypicalContrast(encoder, replace(SMALL, redraws=0)).train()
    method([episode])
    assert method.dictionary.labels[:2].tolist() == [5, -1]


def test_as_many_negatives_as_the_options_say(encoder, make_episode):
    few, many = (
        DualPrototypicalContrast(deepcopy(encoder), replace(SMALL, dictionary_negatives=count)).train()
        for count in (1, 30)
    )
    episode = make_episode()
    assert few([episode]).class_specific < many([episode]).class_specific


def test_a_way_that_is_not_predicted_is_not_aligned(encoder, make_episode):
    episode = make_episode(2, 1, 1)
    episode.support_images[1], episode.support_masks[1] = episode.support_images[0], episode.support_masks[0]
    method = DualPrototypicalContrast(encoder, MethodOptions.panet()).train()
    assert not (method.segment(episode).argmax(dim=1) == 2).any()
    expected = panet(encoder, episode)[1]
    assert expected > 0
    torch.testing.assert_close(method([episode]).alignment, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight", ["class_specific_weight", "class_agnostic_weight"])
def test_each_loss_alone(encoder, make_episode, weight):
    options = replace(SMALL, **{"class_specific_weight": 0.0, "class_agnostic_weight": 0.0, weight: 1.0})
    method = DualPrototypicalContrast(encoder, options).train()
    parts = method([make_episode(queries=4)])
    assert (parts.class_specific > 0) == (weight == "class_specific_weight")
    assert (parts.class_agnostic > 0) == (weight == "class_agnostic_weight")
    assert (method.dictionary is None) == (weight == "class_agnostic_weight")
    method.zero_grad()
    (parts.total - parts.segmentation - parts.alignment).backward()
    assert sum(float(g.abs().sum()) for g in gradients(encoder)) > 0
    assert method.momentum_encoder is not None
    assert all(p.grad is None for p in method.momentum_encoder.parameters())


def test_resumes_bit_for_bit(resnet, make_episode):
    options = replace(SMALL, freeze_batch_norm=False, momentum=0.9)
    episodes = [make_episode(seed=seed) for seed in range(4)]
    whole = DualPrototypicalContrast(deepcopy(resnet), options).train()
    expected = train(whole, episodes[:2])
    state = deepcopy(whole.state_dict())
    momenta = [p.detach().clone() for p in whole.encoder.parameters()]
    expected = train(whole, episodes[2:])

    resumed = DualPrototypicalContrast(deepcopy(resnet), replace(options, seed=0)).train()
    torch.manual_seed(99)  # torch's own state does not matter
    resumed.load_state_dict(state)
    assert all(a.equal(b) for a, b in zip(momenta, resumed.encoder.parameters(), strict=True))
    found = train(resumed, episodes[2:])
    for a, b in zip(found, expected, strict=True):
        assert all(getattr(a, f.name).equal(getattr(b, f.name)) for f in fields(LossParts))
    assert all(
        a.equal(b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_batch_norm_is_frozen_or_not(resnet, make_episode):
    frozen = DualPrototypicalContrast(deepcopy(resnet), SMALL).train()
    frozen([make_episode()])
    assert frozen.encoder.backbone.bn1.running_mean.equal(resnet.backbone.bn1.running_mean)
    assert frozen.encoder.backbone.bn1.weight.requires_grad
    free = DualPrototypicalContrast(deepcopy(resnet), replace(SMALL, freeze_batch_norm=False)).train()
    free([make_episode()])
    assert not free.encoder.backbone.bn1.running_mean.equal(resnet.backbone.bn1.running_mean)
    assert free.momentum_encoder is not None and not free.momentum_encoder.encoder.training


def test_evaluation_changes_nothing(encoder, make_episode):
    method = DualPrototypicalContrast(encoder, SMALL).eval()
    before = deepcopy(method.state_dict())
    parts = method([make_episode()])
    assert parts.class_specific == 0 and parts.class_agnostic == 0 and parts.total > 0
    assert all(value.equal(before[name]) for name, value in method.state_dict().items())


def test_segments_at_full_size(encoder, make_episode):
    episode = make_episode(2, 2, 3, size=53)
    method = DualPrototypicalContrast(encoder, MethodOptions.panet())
    scores = method.segment(episode)
    assert scores.shape == (3, 3, 53, 53) and not scores.requires_grad
    assert scores.abs().max() <= 20.001
    valid = episode.query_labels != 255
    loss = F.cross_entropy(scores, episode.query_labels.long(), ignore_index=255)
    torch.testing.assert_close(loss, method([episode]).segmentation)
    assert (scores.argmax(dim=1) == episode.query_labels)[valid].float().mean() > 0.5


@pytest.mark.parametrize("emptied", ["way", "query", "support"])
def test_missing_objects_and_ignored_images(encoder, make_episode, emptied):
    episode = make_episode(2, 1, 1)
    if emptied == "way":
        episode.support_masks[1] = 0
    elif emptied == "query":
        episode.query_labels[:] = 0
    else:
        episode.support_masks[:] = 255
        episode.query_labels[:] = 255
    method = DualPrototypicalContrast(encoder, SMALL).train()
    parts = method([episode])
    parts.total.backward()
    assert all(getattr(parts, f.name).isfinite() for f in fields(parts))
    assert all(g.isfinite().all() for g in gradients(encoder))
    assert method.dictionary is not None
    expected = {"way": [5, -1], "query": [5, 6], "support": [-1, -1]}[emptied]
    assert method.dictionary.labels[:2].tolist() == expected
    if emptied == "support":
        assert parts.total == 0
    if emptied == "query":
        assert parts.class_agnostic == 0


@pytest.mark.parametrize("mask", ["predicted", "labels"])
@pytest.mark.parametrize("anchor", ["class", "shot"])
def test_readings(encoder, make_episode, mask, anchor):
    method = DualPrototypicalContrast(encoder, replace(SMALL, alignment_mask=mask, anchor=anchor)).train()
    parts = method([make_episode(1, 2, 1)])
    parts.total.backward()
    assert all(getattr(parts, f.name) > 0 for f in fields(parts))


def test_jiang_has_the_segmentation_loss_alone(encoder, make_episode):
    parts = DualPrototypicalContrast(encoder, MethodOptions.jiang()).train()([make_episode()])
    assert parts.alignment == 0 and parts.total.equal(parts.segmentation)


def test_losses_are_in_single_precision_under_autocast(encoder, make_episode):
    method = DualPrototypicalContrast(encoder, SMALL).train()
    exact = deepcopy(method)([make_episode()])
    with torch.autocast("cpu", torch.bfloat16):
        parts = method([make_episode()])
    parts.total.backward()
    assert parts.total.dtype == torch.float32
    torch.testing.assert_close(parts.segmentation, exact.segmentation, rtol=0.05, atol=0.02)


def test_learns(encoder, make_episode):
    method = DualPrototypicalContrast(encoder, SMALL).train()
    history = train(method, [make_episode(seed=seed % 4) for seed in range(24)], rate=3e-3)
    first, last = (torch.stack([p.total for p in part]).mean() for part in (history[:4], history[-4:]))
    assert last < 0.9 * first


def test_bad_episodes_are_named(encoder, make_episode):
    method = DualPrototypicalContrast(encoder, SMALL)
    episode = make_episode()
    with pytest.raises(MethodError, match="at least one"):
        method([])
    with pytest.raises(MethodError, match="48 x 48 and 56 x 56"):
        method([episode, make_episode(size=56)])
    with pytest.raises(MethodError, match="support masks have the shape"):
        method([replace(episode, support_masks=episode.support_masks[..., :-1])])
    with pytest.raises(MethodError, match="query labels have the shape"):
        method.segment(replace(episode, query_labels=episode.query_labels[:, 1:]))
    with pytest.raises(MethodError, match="2 classes for 1 ways"):
        method([replace(episode, classes=(1, 2))])


@pytest.mark.parametrize(
    "option",
    [
        {"class_specific_weight": -1.0},
        {"class_agnostic_weight": float("nan")},
        {"alpha": 0.0},
        {"temperature": 0.0},
        {"momentum": 1.0},
        {"dictionary_size": 0},
        {"seed": -1},
        {"anchor": "shots"},
        {"alignment_mask": "true"},
    ],
)
def test_bad_options_are_named(option):
    with pytest.raises(MethodError, match=f"option {next(iter(option))} must be"):
        MethodOptions(**option)
