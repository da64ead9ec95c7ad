"""What is sent to be fine-tuned on: polygons as they are now, layers and files."""

from __future__ import annotations

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer


@pytest.fixture
def module(plugin_module):
    return plugin_module("plugin.finetuning.material")


@pytest.fixture
def not_ready(plugin_module):
    return plugin_module("plugin.request_fields").NotReadyError


def squares(name, field="kind:string"):
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:26917&field={field}", name, "memory")
    feature = QgsFeature(layer.fields())
    feature.setAttributes(["tree"])
    x, y = 400_010, 4_299_950
    feature.setGeometry(
        QgsGeometry.fromWkt(f"Polygon (({x} {y}, {x + 9} {y}, {x + 9} {y + 9}, {x} {y + 9}, {x} {y}))")
    )
    layer.dataProvider().addFeatures([feature])
    return layer


def test_polygons_of_the_session_with_those_for_validation(module, plugin_module, filled_session, tmp_path):
    layers = plugin_module("plugin.support_layer")
    entry = filled_session.classes.entries()[0]
    geometry = next(filled_session.support.getFeatures()).geometry()
    layers.add_polygon(filled_session.support, geometry, entry, "validation")  # not saved yet
    rasters = module.session_rasters(filled_session)
    assert rasters == [filled_session.raster]
    fields = module.session_fields(filled_session, rasters, tmp_path)
    (data,) = fields["data"]
    assert data["raster"] == filled_session.raster.source()
    written = QgsVectorLayer(data["polygons"], "written", "ogr")
    assert written.featureCount() == filled_session.support.featureCount()
    assert [feature["use"] for feature in written.getFeatures()].count("validation") == 1
    assert [item["name"] for item in fields["classes"]] == [
        entry.name for entry in filled_session.classes.entries()
    ]


def test_rasters_of_the_session_without_polygons_are_left_out(module, filled_session, make_geotiff):
    used = filled_session.raster
    far = QgsRasterLayer(str(make_geotiff("far.tif")), "far")
    QgsProject.instance().addMapLayer(far)
    filled_session.set_raster(far)
    assert module.session_rasters(filled_session) == [used]


def test_session_without_polygons(module, not_ready, filled_session, tmp_path):
    rasters = module.session_rasters(filled_session)
    filled_session.set_support(None)
    assert module.session_rasters(filled_session) == []
    with pytest.raises(not_ready, match="has no polygons"):
        module.session_fields(filled_session, rasters, tmp_path)
    with pytest.raises(not_ready, match="at least one raster"):
        module.session_fields(filled_session, [], tmp_path)


def test_layer_that_is_edited_and_filtered_is_written_as_it_is_now(
    module, qgis_new_project, make_geotiff, tmp_path
):
    raster = QgsRasterLayer(str(make_geotiff("a.tif")), "a")
    layer = squares("polygons")
    layer.startEditing()
    copy = QgsFeature(next(layer.getFeatures()))
    copy.setAttribute("kind", "road")
    assert layer.addFeature(copy)
    rows = [module.LabeledRaster(raster, layer, "kind"), module.LabeledRaster("/b.tif", layer, "kind")]
    first, second = module.chosen_fields(rows, tmp_path)["data"]
    assert (first["raster"], second["raster"]) == (raster.source(), "/b.tif")
    assert first["polygons"] == second["polygons"] and first["class_field"] == "kind"
    written = QgsVectorLayer(first["polygons"], "written", "ogr")
    assert sorted(feature["kind"] for feature in written.getFeatures()) == ["road", "tree"]


def test_label_raster_and_files(module, qgis_new_project, make_geotiff, tmp_path):
    labels = QgsRasterLayer(str(make_geotiff("labels.tif", bands=1)), "labels")
    fields = module.chosen_fields(
        [module.LabeledRaster("/a.tif", labels), module.LabeledRaster("/b.tif", labels.source())], tmp_path
    )
    assert [item["labels"] for item in fields["data"]] == [labels.source()] * 2


def test_what_cannot_serve(module, not_ready, qgis_new_project, tmp_path):
    with pytest.raises(not_ready, match="Add a raster"):
        module.chosen_fields([], tmp_path)
    with pytest.raises(not_ready, match="field that holds the classes"):
        module.chosen_fields([module.LabeledRaster("/a.tif", squares("s"), "")], tmp_path)
    server = QgsRasterLayer("type=xyz&url=http://127.0.0.1:1/{z}/{x}/{y}.png", "server", "wms")
    with pytest.raises(not_ready, match="comes from a server"):
        module.chosen_fields([module.LabeledRaster(server, squares("s"), "kind")], tmp_path)
