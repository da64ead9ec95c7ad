"""Fixtures for Processing: the provider in QGIS's registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsProcessingProvider


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
