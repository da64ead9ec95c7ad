"""What requests to the backend have in common."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from qgis.core import QgsRasterLayer
from qgis.gui import QgsMapCanvas


def test_answers_do_not_name_the_files_of_one_request(plugin_module) -> None:
    fields, protocol = plugin_module("plugin.request_fields"), plugin_module("backend.protocol")
    message = protocol.Label(0, "a.tif", "/tmp/x/support.gpkg", output="b.tif", area="/tmp/x/area.gpkg")
    text = fields.for_people("/tmp/x/support.gpkg has no polygon on a.tif.", message)
    assert text == "The support layer has no polygon on a.tif."
    text = fields.for_people("No polygon of /tmp/x/area.gpkg lies on a.tif.", message)
    assert text == "No polygon of the selected features lies on a.tif."
    assert fields.for_people("No space left.", protocol.Models(0)) == "No space left."


def test_layers_of_servers_are_not_sent(plugin_module, filled_session, tmp_path) -> None:
    fields = plugin_module("plugin.request_fields")
    (tmp_path / "0" / "0").mkdir(parents=True)
    layer = QgsRasterLayer(f"type=xyz&url=file://{tmp_path}/{{z}}/{{x}}/{{y}}.png&zmax=0", "tiles", "wms")
    assert layer.isValid()
    filled_session.project.addMapLayer(layer)
    filled_session.set_raster(layer)
    with pytest.raises(fields.NotReadyError, match="export"):
        fields.labeling_fields(filled_session, tmp_path / "polygons.gpkg", "cpu")


def test_places_that_nobody_waits_for_leave_no_file(
    plugin_module, filled_session, no_service, qtbot, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    canvas = QgsMapCanvas()
    qtbot.addWidget(canvas)
    places = plugin_module("plugin.uncertain_places").UncertainPlaces(canvas, filled_session, no_service)
    places.go_on()
    assert list(Path(tmp_path).glob("protolabel-places-*"))
    places.close()
    assert not list(Path(tmp_path).glob("protolabel-places-*"))
