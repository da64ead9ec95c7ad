"""The raster chooser: what the backend chose stays its choice until the user changes it."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QToolButton, QWidget


@pytest.fixture
def session(plugin_module, qgis_new_project):
    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    yield session
    session.close()


@pytest.fixture
def section(plugin_module, session, service, qtbot):
    section = plugin_module("plugin.panels.raster_section").RasterSection(session, service)
    qtbot.addWidget(section)
    section.show()
    yield section
    section.close_requests()


@pytest.fixture
def raster(make_geotiff) -> QgsRasterLayer:
    layer = QgsRasterLayer(str(make_geotiff("four.tif", bands=4)), "four")
    QgsProject.instance().addMapLayer(layer)
    return layer


def about(section) -> str:
    return section.findChild(QLabel, "protolabelRasterAbout").text()


@pytest.mark.slow
def test_the_backend_chooses_until_the_user_does(session, section, raster, qtbot) -> None:
    session.set_raster(raster)
    qtbot.waitUntil(lambda: "bands" in about(section), timeout=60_000)
    assert session.choice.bands is None
    assert session.choice.stretch is not None and len(session.choice.stretch[0]) == len(section._shown)
    qtbot.wait(200)
    assert session.choice.bands is None
    section._colors[0].setBand(4)
    assert session.choice.bands[0] == 4 and session.choice.stretch is None
    qtbot.waitUntil(lambda: "red 4" in about(section), timeout=60_000)
    section.findChild(QPushButton, "protolabelBandsAutomatic").click()
    assert session.choice.bands is None
    qtbot.waitUntil(lambda: "red 1" in about(section), timeout=60_000)


@pytest.mark.slow
def test_further_bands(session, section, raster, qtbot) -> None:
    session.set_raster(raster)
    qtbot.waitUntil(lambda: "bands" in about(section), timeout=60_000)
    states = {
        section._extra.itemData(row): section._extra.itemCheckState(row)
        for row in range(section._extra.count())
    }
    wanted = Qt.CheckState.Unchecked if states[4] == Qt.CheckState.Checked else Qt.CheckState.Checked
    section._extra.setItemCheckState(3, wanted)
    qtbot.waitUntil(lambda: session.choice.bands is not None, timeout=5000)
    assert (4 in session.choice.bands) == (wanted == Qt.CheckState.Checked)


@pytest.mark.slow
def test_raster_that_the_backend_cannot_read_is_offered_for_export(
    session, section, raster, qtbot, tmp_path
) -> None:
    (tmp_path / "four.tif").unlink()
    session.set_raster(raster)
    qtbot.waitUntil(lambda: "does not exist" in about(section), timeout=60_000)
    assert section.findChild(QPushButton, "protolabelExport").isVisible()


def test_map_service_is_offered_for_export(session, section, tmp_path) -> None:
    layer = QgsRasterLayer(f"type=xyz&url=file://{tmp_path}/{{z}}/{{x}}/{{y}}.png", "tiles", "wms")
    QgsProject.instance().addMapLayer(layer)
    session.set_raster(layer)
    assert "server" in about(section)
    assert section.findChild(QPushButton, "protolabelExport").isVisible()
    assert not section.findChild(QToolButton, "protolabelBandsToggle").isVisible()


def test_results_are_no_imagery(plugin_module, session, section, raster) -> None:
    layer = QgsRasterLayer(raster.source(), "labels")
    layer.setCustomProperty(plugin_module("plugin.results").RESULT_PROPERTY, True)
    QgsProject.instance().addMapLayer(layer)
    box = section.findChild(QWidget, "protolabelRaster")
    assert "labels" not in [box.itemText(row) for row in range(box.count())]
    assert "four" in [box.itemText(row) for row in range(box.count())]


def test_layers_that_come_do_not_choose_themselves(session, section, raster) -> None:
    assert session.raster is None
