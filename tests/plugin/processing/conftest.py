"""Fixtures for Processing: the provider in QGIS's registry, and a small scene with a model of random weights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsProcessingProvider

ROOT = Path(__file__).resolve().parents[3]
_MODEL = """
import sys, torch
from pathlib import Path
from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
torch.manual_seed(0)
save_checkpoint(Encoder(EncoderLayout(layers=(2,))), Path(sys.argv[1]), {"trained_on": "random weights for tests"})
"""


@dataclass(frozen=True)
class Scene:
    """A generated orthophoto, its support polygons and a model."""

    raster: str
    support: str
    model: str


@pytest.fixture(scope="session")
def backend_python() -> str:
    """The Python of the backend's environment."""
    path = os.environ.get("PROTOLABEL_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
    if not Path(path).is_file():
        pytest.skip("needs the backend's environment; name its Python in PROTOLABEL_PYTHON")
    return path


@pytest.fixture(scope="session")
def run_backend(backend_python: str) -> Callable[..., str]:
    """Runs the backend's Python: ``run_backend("-m", "backend", "label", ...)``; returns what it printed."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [backend_python, *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def scene(run_backend: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    model = folder / "random.safetensors"
    run_backend("-c", _MODEL, str(model))
    run_backend("-m", "backend", "sample", str(folder), "--width", "320", "--height", "240")
    return Scene(str(folder / "orthophoto.tif"), str(folder / "support.gpkg"), str(model))


@pytest.fixture(scope="session")
def service(
    plugin_module: Callable[[str], ModuleType], backend_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """One for all tests, since a worker takes seconds to start."""
    data = str(tmp_path_factory.mktemp("data"))
    environ = {**os.environ, "PROTOLABEL_PYTHON": backend_python, "PROTOLABEL_DATA": data}
    service = plugin_module("plugin.backend_service").BackendService(environ=environ)
    yield service
    service.close()


@pytest.fixture
def provider(
    plugin_module: Callable[[str], ModuleType], service: Any, qgis_processing: None
) -> Iterator[QgsProcessingProvider]:
    """The provider in the registry."""
    provider = plugin_module("plugin.processing.provider").ProtolabelProvider(service)
    registry = QgsApplication.processingRegistry()
    assert registry.addProvider(provider)
    yield provider
    registry.removeProvider(provider)


@pytest.fixture
def run_algorithm(provider: QgsProcessingProvider) -> Callable[..., dict[str, Any]]:
    """Runs an algorithm as a script does: ``run_algorithm("protolabel:label", parameters, feedback)``."""
    import processing

    def run(id: str, parameters: dict[str, Any], feedback: Any = None, context: Any = None) -> dict[str, Any]:
        return processing.run(id, parameters, feedback=feedback, context=context)

    return run
