"""``protolabel:vectorize`` with the real worker."""

from __future__ import annotations

import json

import pytest
from osgeo import gdal, osr
from qgis.core import QgsProcessingException, QgsVectorLayer

pytestmark = pytest.mark.slow
CLASSES = [{"id": 1, "name": "forest", "color": "#145c28"}, {"id": 2, "name": "water", "color": "#2466d1"}]


@pytest.fixture
def labels(tmp_path):
    """Forest to the left, water to the right, with an islet of forest of 2 x 2 pixels in it; no label at the edge."""
    path = str(tmp_path / "labels ä.tif")
    system = osr.SpatialReference()
    system.ImportFromEPSG(32633)
    dataset = gdal.GetDriverByName("GTiff").Create(path, 40, 20, 1)
    dataset.SetProjection(system.ExportToWkt())
    dataset.SetGeoTransform((500_000, 2, 0, 5_000_000, 0, -2))
    dataset.SetMetadataItem("PROTOLABEL_CLASSES", json.dumps(CLASSES))
    band = dataset.GetRasterBand(1)
    band.SetNoDataValue(255)
    rows = [[1 if column < 15 else 2 for column in range(40)] for _ in range(20)]
    for row in (9, 10):
        rows[row][30] = rows[row][31] = 1
    for row in rows:
        row[-1] = 255
    band.WriteRaster(0, 0, 40, 20, bytes(value for row in rows for value in row))
    del band, dataset
    return path


def areas(path):
    layer = QgsVectorLayer(path, "", "ogr")
    assert layer.crs().authid() == "EPSG:32633"
    return sorted(
        (f["class_id"], f["class_name"], f["area_m2"], f.geometry().area()) for f in layer.getFeatures()
    )


def test_polygons_have_class_name_and_area(labels, run_algorithm, tmp_path):
    output = str(tmp_path / "polygons.gpkg")
    result = run_algorithm("protolabel:vectorize", {"LABELS": labels, "POLYGONS": output})
    assert result == {"POLYGONS": output}
    forest, water = 15 * 20 * 4, 24 * 20 * 4
    assert areas(output) == [
        (1, "forest", 16, 16),
        (1, "forest", forest, forest),
        (2, "water", water - 16, water - 16),
    ]


def test_small_patches_go_to_their_neighbour(labels, run_algorithm, tmp_path):
    output = str(tmp_path / "polygons.geojson")
    run_algorithm("protolabel:vectorize", {"LABELS": labels, "SIEVE": 5, "SIMPLIFY": 1.0, "POLYGONS": output})
    layer = QgsVectorLayer(output, "", "ogr")
    assert sorted(feature["class_name"] for feature in layer.getFeatures()) == ["forest", "water"]


def test_what_is_no_label_map_is_refused(scene, run_algorithm, tmp_path):
    flat = str(tmp_path / "flat.tif")
    gdal.GetDriverByName("GTiff").Create(flat, 8, 8, 1, gdal.GDT_Float32)
    with pytest.raises(QgsProcessingException, match="choose a label map"):
        run_algorithm("protolabel:vectorize", {"LABELS": flat, "POLYGONS": str(tmp_path / "a.gpkg")})
