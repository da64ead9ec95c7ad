"""The runner computes what the encoder computes, on the device asked for, and survives a full memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backend.encoders import runner as runner_module
from backend.encoders.encoder import Encoder
from backend.encoders.layout import Compression, EncoderLayout
from backend.encoders.runner import EncoderRunner, choose_device, cpu_count
from backend.errors import DeviceError, ProtolabelError

CPU = torch.device("cpu")
CUDA_FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
FULL = [
    CUDA_FULL,
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried..."
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("std::bad_alloc"),
]


class _Small(nn.Module):
    """Looks 8 + 16 + 3 pixels around each cell, which is less than the margin of a cut."""

    stride, first_center, channels = 8, 4.0, 6

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = nn.Conv2d(3, 4, 8, stride=8, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 5, padding=2)
        self.bn2 = nn.BatchNorm2d(6)
        for norm in (self.bn1, self.bn2):
            nn.init.uniform_(norm.running_mean, 1.0, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 1.0, 2.0)  # type: ignore[arg-type]
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return features


class _Memory:
    """A forward pass that fails above a size, and remembers the sizes that it was asked for."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, fits: Callable[[int, int], bool], error: Exception
    ) -> None:
        self.sizes: list[tuple[int, int]] = []
        self._fits, self._error, self._forward = fits, error, EncoderRunner._forward
        monkeypatch.setattr(EncoderRunner, "_forward", lambda runner, image: self(runner, image))

    def __call__(self, runner: EncoderRunner, image: Tensor) -> Tensor:
        rows, cols = image.shape[1] // 8, image.shape[2] // 8
        self.sizes.append((rows, cols))
        if not self._fits(rows, cols):
            raise self._error
        return self._forward(runner, image)


def _runner(on_split: Callable[[int], None] | None = None) -> EncoderRunner:
    encoder: Any = _Small()
    return EncoderRunner(encoder, CPU, on_split)


def _image(rows: int, cols: int) -> Tensor:
    return torch.rand(3, 8 * rows, 8 * cols, generator=torch.Generator().manual_seed(rows)) * 255.0


@pytest.mark.parametrize(
    "layout",
    [
        EncoderLayout("resnet50", (2, 4), stride_on="conv1", projections=(8, 8)),
        EncoderLayout("resnet50", (2, 3), level_scales=(0.5, 2.0)),
        EncoderLayout("vgg16", (3,)),
    ],
    ids=["projected", "scaled", "vgg"],
)
def test_same_as_the_encoder(layout: EncoderLayout, make_encoder: Callable[[EncoderLayout], Encoder]) -> None:
    encoder, image = make_encoder(layout), _image(9, 6)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    runner = EncoderRunner(encoder.train(), CPU)
    assert (runner.stride, runner.channels) == (8, encoder.channels)
    assert runner.first_center == encoder.first_center
    features = runner.encode(image)
    assert encoder.training  # its own copy is what evaluates
    with torch.no_grad():
        expected = encoder.eval()(image[None])[0]
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    for name, tensor in encoder.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_rough_ones_are_nearly_the_same(
    make_encoder: Callable[[EncoderLayout], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([1.0, 2.0])
    monkeypatch.setattr(runner_module, "_seconds", lambda encoder: next(seconds))
    layout = EncoderLayout("resnet50", (2, 3), stride_on="conv1", projections=(8, 8))
    encoder, image = make_encoder(layout), _image(9, 6)
    rough = EncoderRunner(encoder, CPU, rough=True).encode(image)
    exact = EncoderRunner(encoder, CPU).encode(image)
    assert rough.dtype == exact.dtype == torch.float32
    assert (rough != exact).any()
    assert torch.nn.functional.cosine_similarity(rough, exact, dim=0).min() > 0.999


@pytest.mark.parametrize("slow", [0.8, 1.0, 9.0])
def test_rough_ones_are_exact_where_nothing_is_gained(
    slow: float, make_encoder: Callable[[EncoderLayout], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([slow, 1.0])
    monkeypatch.setattr(runner_module, "_seconds", lambda encoder: next(seconds))
    encoder, image = make_encoder(EncoderLayout("vgg16", (3,))), _image(4, 4)
    rough = EncoderRunner(encoder, CPU, rough=True).encode(image)
    assert torch.equal(rough, EncoderRunner(encoder, CPU).encode(image))


def test_threads_are_set_only_when_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        runner = _runner()
        torch.set_num_threads(2)
        runner.encode(_image(4, 4))
        assert torch.get_num_threads() == 2
        runner.encode(_image(4, 4), threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:30])
def test_halves_when_memory_runs_out(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    runner, image = _runner(told.append), _image(60, 52)
    whole = runner.encode(image)
    memory = _Memory(monkeypatch, lambda rows, cols: max(rows, cols) <= 40, error)
    halved = runner.encode(image)
    assert halved.shape == whole.shape
    torch.testing.assert_close(halved, whole, rtol=1e-4, atol=1e-4)
    assert told == [38]
    # The limit stays: nothing larger is tried again.
    memory.sizes.clear()
    torch.testing.assert_close(runner.encode(image), whole, rtol=1e-4, atol=1e-4)
    assert max(map(max, memory.sizes)) <= 38
    assert told == [38]
    memory.sizes.clear()
    runner.encode(_image(30, 38))
    assert memory.sizes == [(30, 38)]


def test_halves_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    runner, image = _runner(told.append), _image(88, 88)
    whole = runner.encode(image)
    _Memory(monkeypatch, lambda rows, cols: rows * cols <= 700, CUDA_FULL)
    torch.testing.assert_close(runner.encode(image), whole, rtol=1e-4, atol=1e-4)
    assert told == sorted(set(told), reverse=True)
    assert told[0] == 52


def test_real_features_hardly_change(
    monkeypatch: pytest.MonkeyPatch, make_encoder: Callable[[EncoderLayout], Encoder]
) -> None:
    runner, image = EncoderRunner(make_encoder(EncoderLayout(layers=(2,))), CPU), _image(8, 40)
    whole = runner.encode(image)
    _Memory(monkeypatch, lambda rows, cols: cols <= 30, CUDA_FULL)
    halved = runner.encode(image)
    assert halved.shape == whole.shape
    near = torch.isclose(halved, whole, rtol=1e-3, atol=1e-3 * float(whole.max()))
    assert near.float().mean() > 0.95


def test_small_tiles_beyond_the_limit_are_halved_too(monkeypatch: pytest.MonkeyPatch) -> None:
    runner, image = _runner(), _image(24, 24)
    whole = runner.encode(image)
    _Memory(monkeypatch, lambda rows, cols: rows * cols <= 21 * 21, CUDA_FULL)
    runner.encode(_image(88, 88))
    assert runner._limit is not None
    assert runner._limit < 24
    torch.testing.assert_close(runner.encode(image), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(88, 88), (88, 3), (3, 25), (24, 24), (1, 1)])
def test_too_little_memory_for_anything(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    _Memory(monkeypatch, lambda rows, cols: False, CUDA_FULL)
    with pytest.raises(ProtolabelError, match="Not enough memory on cpu"):
        _runner().encode(_image(*shape))


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("no"), KeyError("memory")])
def test_other_errors_pass_through(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    _Memory(monkeypatch, lambda rows, cols: False, error)
    with pytest.raises(type(error)) as caught:
        _runner(told.append).encode(_image(60, 60))
    assert caught.value is error
    assert told == []


def test_several_threads_lower_the_limit_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    runner = _runner(told.append)
    images = [_image(60, 41 + index) for index in range(4)]
    whole = [runner.encode(image) for image in images]
    together = threading.Barrier(4)

    def fits(rows: int, cols: int) -> bool:
        if max(rows, cols) == 60:
            together.wait(timeout=30)  # all of them are under way before the first one fails
        return max(rows, cols) <= 40

    _Memory(monkeypatch, fits, CUDA_FULL)
    with ThreadPoolExecutor(4) as threads:
        for halved, expected in zip(threads.map(runner.encode, images), whole, strict=True):
            torch.testing.assert_close(halved, expected, rtol=1e-4, atol=1e-4)
    assert told == [38]


@pytest.mark.parametrize(
    "name", ["", "gpu", "CUDA", "mps", "meta", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda: 1", "cuda:0 "]
)
def test_unknown_devices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(DeviceError, match="Unknown device"):
        choose_device(name)


def test_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == CPU
    for name in ("cuda", "cuda:0", "cuda:7"):
        with pytest.raises(DeviceError, match="finds no CUDA device"):
            choose_device(name)


def test_with_two_cuda_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    # Torch itself reads cuda:256 as cuda:0 and cuda:200 as a negative index.
    for name in ("cuda:2", "cuda:200", "cuda:256"):
        with pytest.raises(DeviceError, match=f"no {name}; the last CUDA device is cuda:1"):
            choose_device(name)


def test_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpu_count() >= 1
    monkeypatch.delattr(runner_module.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(runner_module.os, "cpu_count", lambda: None)
    assert cpu_count() == 1


@pytest.mark.parametrize("compression", [Compression(8), Compression(8, 2, relu=True)], ids=str)
def test_a_compression_is_encoded_too(
    make_encoder: Callable[[EncoderLayout], Encoder], compression: Compression
) -> None:
    encoder = make_encoder(EncoderLayout(layers=(2, 3), compression=compression))
    image = 255.0 * torch.rand(3, 72, 104)
    with torch.no_grad():
        expected = encoder(image[None])[0]
    for rough, tolerance in ((False, 1e-4), (True, 5e-2)):
        runner = EncoderRunner(encoder, CPU, rough=rough)
        features = runner.encode(image)
        assert runner.channels == 8 and features.shape == (8, 9, 13)
        torch.testing.assert_close(
            features, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())
        )
