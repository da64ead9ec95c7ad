from __future__ import annotations

import numpy as np
import torch
from torch import nn

from backend.dpcl.momentum_encoder import MomentumEncoder


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def test_is_the_exponential_moving_average_of_parameters_and_buffers():
    torch.manual_seed(0)
    encoder = network()
    momentum = MomentumEncoder(encoder, 0.9)
    expected = {name: value.numpy().copy() for name, value in encoder.state_dict().items()}
    for _ in range(3):
        encoder(torch.randn(2, 3, 5, 5))  # moves the statistics
        for parameter in encoder.parameters():
            parameter.data += torch.randn_like(parameter)
        momentum.update(encoder)
        for name, value in encoder.state_dict().items():
            if value.is_floating_point():
                expected[name] = 0.9 * expected[name] + (1 - 0.9) * value.numpy()
            else:
                expected[name] = value.numpy().copy()
    found = momentum.encoder.state_dict()
    assert not np.allclose(found["1.running_mean"], 0)
    assert found["1.num_batches_tracked"] == 3
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7)


def test_starts_as_a_copy_and_shares_nothing():
    encoder = network()
    momentum = MomentumEncoder(encoder)
    images = torch.randn(2, 3, 4, 4)
    assert momentum(images).equal(encoder.eval()(images))
    encoder[0].weight.data += 1
    assert not momentum(images).equal(encoder(images))


def test_stays_in_evaluation_mode_without_gradients():
    momentum = nn.ModuleList([MomentumEncoder(network())]).train()[0]
    before = {name: value.clone() for name, value in momentum.state_dict().items()}
    features = momentum(torch.randn(2, 3, 4, 4, requires_grad=True))
    assert not features.requires_grad
    assert not any(parameter.requires_grad for parameter in momentum.parameters())
    assert all(value.equal(before[name]) for name, value in momentum.state_dict().items())
