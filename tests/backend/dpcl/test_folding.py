from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from backend.dpcl.folding import folded_norms
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout


@pytest.fixture(scope="module")
def network() -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(EncoderLayout(layers=(2, 3), projections=(4, 4)))
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.4, 0.8)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.6, 1.6)
    return encoder.double().eval()


def test_result_and_gradients_stay(network):
    images = torch.rand(1, 3, 32, 32, dtype=torch.float64) * 255
    plain, folded = deepcopy(network), deepcopy(network)
    expected = plain(images)
    with folded_norms(folded):
        found = folded(images)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    for (name, a), b in zip(plain.named_parameters(), folded.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None, name
        scale = float(a.grad.abs().max()) + 1e-12
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-7, atol=1e-9 * scale)


def test_no_normalisation_runs_and_all_come_back(network):
    calls = []
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        assert "forward" not in vars(norm)
    with folded_norms(network):
        assert all("forward" in vars(norm) for norm in norms)
        copy = deepcopy(network.state_dict())
    assert copy.keys() == network.state_dict().keys()
    assert not any("forward" in vars(module) for module in network.modules())

    def fail() -> None:
        with folded_norms(network):
            calls.append(1)
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        fail()
    assert calls and not any("forward" in vars(module) for module in network.modules())


def test_normalisations_in_training_mode_are_left_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False)).train()
    images = torch.randn(2, 3, 4, 4)
    before = network[1].running_mean.clone()
    with folded_norms(network):
        network(images)
    assert not network[1].running_mean.equal(before)
    network.eval()
    expected = network(images)
    with folded_norms(network):
        torch.testing.assert_close(network(images), expected)
