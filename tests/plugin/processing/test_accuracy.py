"""``protolabel:sample_points`` and ``protolabel:accuracy`` with the real worker."""

from __future__ import annotations

import csv
import json

import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

pytestmark = pytest.mark.slow
CLASSES = [{"id": 1, "name": "forest", "color": "#145c28"}, {"id": 2, "name": "water", "color": "#2466d1"}]


def write_labels(path, rows):
    system = osr.SpatialReference()
    system.ImportFromEPSG(32633)
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), len(rows[0]), len(rows), 1)
    dataset.SetProjection(system.ExportToWkt())
    dataset.SetGeoTransform((500_000, 2, 0, 5_000_000, 0, -2))
    dataset.SetMetadataItem("PROTOLABEL_CLASSES", json.dumps(CLASSES))
    band = dataset.GetRasterBand(1)
    band.SetNoDataValue(255)
    band.WriteRaster(0, 0, len(rows[0]), len(rows), bytes(value for row in rows for value in row))
    del band, dataset
    return str(path)


@pytest.fixture
def labels(tmp_path):
    """60 columns of forest, 40 of water, 50 rows."""
    return write_labels(tmp_path / "labels ä.tif", [[1] * 60 + [2] * 40] * 50)


@pytest.fixture
def truth(tmp_path):
    """The border is ten columns further to the left."""
    return write_labels(tmp_path / "truth.tif", [[1] * 50 + [2] * 50] * 50)


def polygons(boxes, name="Reference in memory", use=None):
    """A layer in memory, of (class, left, top, right, bottom) in pixels."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32633&field=class_id:integer&field=use:string", name, "memory")
    features = []
    for class_id, left, top, right, bottom in boxes:
        feature = QgsFeature(layer.fields())
        feature.setAttributes([class_id, use or "validation"])
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        ring = [QgsPointXY(500_000 + 2 * x, 5_000_000 - 2 * y) for x, y in corners]
        feature.setGeometry(QgsGeometry.fromPolygonXY([ring]))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    QgsProject.instance().addMapLayer(layer)
    return layer


class Listening(QgsProcessingFeedback):
    def __init__(self):
        super().__init__(False)
        self.said = []

    def pushInfo(self, info):
        self.said.append(info)


def test_a_raster_in_full(labels, truth, run_algorithm, tmp_path):
    report, tables, feedback = tmp_path / "report.html", tmp_path / "tables", Listening()
    result = run_algorithm(
        "protolabel:accuracy",
        {"LABELS": labels, "REFERENCE": truth, "REPORT": str(report), "TABLES": str(tables)},
        feedback,
    )
    assert result["OVERALL_ACCURACY"] == pytest.approx(0.9)
    assert (result["OVERALL_LOW"], result["COUNTED"], result["REMOVED"]) == (
        result["OVERALL_ACCURACY"],
        5000,
        0,
    )
    assert result["MEAN_IOU"] == pytest.approx((50 / 60 + 40 / 50) / 2, abs=1e-6)
    assert result["REPORT"] == str(report) and "labels ä.tif" in report.read_text(encoding="utf-8")
    with (tables / "confusion_matrix.csv").open(encoding="utf-8-sig") as file:
        assert list(csv.reader(file))[1:] == [["forest", "2500", "500"], ["water", "0", "2000"]]
    assert any(
        "forest: user's accuracy 83.3 %, producer's accuracy 100.0 %" in text for text in feedback.said
    )


def test_layers_in_memory_and_support(labels, run_algorithm, tmp_path):
    reference = polygons([(1, 2, 2, 12, 12), (1, 22, 2, 32, 12), (2, 50, 2, 70, 12), (2, 80, 2, 90, 12)])
    support = polygons([(1, 0, 0, 12, 20)], "My support", use="support")
    report = str(tmp_path / "report.html")
    result = run_algorithm(
        "protolabel:accuracy",
        {"LABELS": labels, "REFERENCE": reference, "SUPPORT": support, "REPORT": report},
    )
    with open(report, encoding="utf-8") as file:
        text = file.read()
    assert ">Reference in memory<" in text and ">My support<" in text and ".gpkg" not in text
    assert (result["COUNTED"], result["REMOVED"]) == (400, 100)
    assert result["OVERALL_ACCURACY"] == pytest.approx(0.75)


def test_edits_that_are_not_saved_count_and_filters_too(labels, run_algorithm, tmp_path):
    points = str(tmp_path / "points.gpkg")
    made = run_algorithm("protolabel:sample_points", {"LABELS": labels, "COUNT": 60, "POINTS": points})
    assert made == {"POINTS": points, "DRAWN": 60}
    layer = QgsVectorLayer(points, "Points", "ogr")
    assert layer.featureCount() == 60 and layer.crs().authid() == "EPSG:32633"
    QgsProject.instance().addMapLayer(layer)
    with pytest.raises(QgsProcessingException, match="label some of them first"):
        run_algorithm("protolabel:accuracy", {"LABELS": labels, "REFERENCE": layer})
    assert layer.startEditing()
    place = layer.fields().lookupField("class_id")
    for feature in layer.getFeatures():
        right = 1 if feature.geometry().asPoint().x() < 500_100 else 2
        layer.changeAttributeValue(feature.id(), place, right)
    result = run_algorithm("protolabel:accuracy", {"LABELS": labels, "REFERENCE": layer})
    assert result["COUNTED"] == 60
    assert result["OVERALL_LOW"] < result["OVERALL_ACCURACY"] < result["OVERALL_HIGH"]
    assert abs(result["OVERALL_ACCURACY"] - 0.9) < 0.1
    assert layer.commitChanges()
    layer.setSubsetString('"point_id" <= 30')
    assert run_algorithm("protolabel:accuracy", {"LABELS": labels, "REFERENCE": layer})["COUNTED"] == 30


def test_points_are_the_command_line_s(labels, run_algorithm, run_backend, tmp_path):
    made, expected = str(tmp_path / "made.gpkg"), str(tmp_path / "expected.gpkg")
    support = polygons([(1, 0, 0, 30, 50)], use="support")
    result = run_algorithm(
        "protolabel:sample_points",
        {"LABELS": labels, "STANDARD_ERROR": 0.05, "SUPPORT": support, "SEED": 5, "POINTS": made},
    )

    def places(path):
        return [f.geometry().asWkt() for f in QgsVectorLayer(path, "", "ogr").getFeatures()]

    assert all(float(text.split("(")[1].split()[0]) > 500_060 for text in places(made))
    saved = str(tmp_path / "support.geojson")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GeoJSON"
    QgsVectorFileWriter.writeAsVectorFormatV3(
        support, saved, QgsProject.instance().transformContext(), options
    )
    run_backend(
        "-m", "backend", "sample-points", labels, expected, "--standard-error", "0.05", "--support", saved,
        "--seed", "5",
    )  # fmt: skip
    assert places(made) == places(expected) and len(places(made)) == result["DRAWN"]


def test_what_cannot_serve_is_told_with_the_layer_s_name(labels, run_algorithm, tmp_path):
    wrong = polygons([(7, 2, 2, 12, 12)], "My reference")
    with pytest.raises(QgsProcessingException, match="The reference My reference holds 7, but the classes"):
        run_algorithm("protolabel:accuracy", {"LABELS": labels, "REFERENCE": wrong})
    with pytest.raises(QgsProcessingException, match="has no field 'kind'"):
        run_algorithm("protolabel:accuracy", {"LABELS": labels, "REFERENCE": wrong, "CLASS_FIELD": "kind"})
    with pytest.raises(QgsProcessingException, match=r"use \.gpkg"):
        run_algorithm("protolabel:sample_points", {"LABELS": labels, "POINTS": str(tmp_path / "points.shp")})


def test_a_reference_raster_that_is_a_layer(labels, truth, run_algorithm):
    layer = QgsRasterLayer(truth, "Truth")
    QgsProject.instance().addMapLayer(layer)
    result = run_algorithm(
        "protolabel:accuracy", {"LABELS": labels, "REFERENCE": layer, "REPORT": "TEMPORARY_OUTPUT"}
    )
    assert result["COUNTED"] == 5000 and result["REPORT"].endswith(".html")
