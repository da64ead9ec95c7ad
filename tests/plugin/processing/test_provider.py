"""What the provider shows of itself."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingParameterDefinition

NAMES = ["accuracy", "finetune", "label", "prepare_support", "sample_points", "vectorize"]


def algorithm(name):
    return QgsApplication.processingRegistry().algorithmById(f"protolabel:{name}")


def test_algorithms_are_in_the_registry(provider):
    assert sorted(a.name() for a in provider.algorithms()) == NAMES
    assert provider.id() == "protolabel"
    assert not provider.icon().isNull()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_description_and_a_help(provider, name):
    found = algorithm(name)
    assert found.displayName()
    assert found.shortDescription()
    for parameter in found.parameterDefinitions():
        assert parameter.description()
        assert parameter.help().endswith("."), parameter.name()
        assert parameter.help() in found.shortHelpString()


@pytest.mark.parametrize("name", NAMES)
def test_instances_are_independent(provider, name):
    made = algorithm(name).create()
    assert made.id() == f"protolabel:{name}"
    assert made is not algorithm(name)


def test_rare_options_are_advanced_and_extra_outputs_are_skipped(provider):
    definitions = {p.name(): p for p in algorithm("label").parameterDefinitions()}
    advanced = {
        n for n, p in definitions.items() if p.flags() & QgsProcessingParameterDefinition.FlagAdvanced
    }
    assert advanced == {"MODEL", "BANDS", "SCALE", "HEAD", "SPECTRAL", "DEVICE", "TILE", "SUPPORT_RASTERS"}
    skipped = {n for n, p in definitions.items() if p.isDestination() and not p.createByDefault()}
    assert skipped == {"CONFIDENCE", "POLYGONS"}


def test_provider_loads_without_a_backend_and_says_the_way_out(plugin_module, qgis_processing, tmp_path):
    environ = {"PROTOLABEL_DATA": str(tmp_path)}
    service = plugin_module("plugin.backend_service").BackendService(environ=environ)
    provider = plugin_module("plugin.processing.provider").ProtolabelProvider(service)
    registry = QgsApplication.processingRegistry()
    assert registry.addProvider(provider)
    try:
        for name, can in ((name, name == "prepare_support") for name in NAMES):
            possible, text = algorithm(name).canExecute()
            assert possible == can
            assert can or "Set Up Backend" in text
        feedback_free = algorithm("prepare_support").checkParameterValues({}, QgsProcessingContext())
        assert not feedback_free[0]
    finally:
        registry.removeProvider(provider)
        service.close()


def test_icon_is_the_provider_s_own(provider):
    assert all(not a.icon().isNull() for a in provider.algorithms())
