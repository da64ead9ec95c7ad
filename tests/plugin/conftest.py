"""Fixtures for the plugin: its package under a folder name that nobody thought of, as a user may unpack it.

The tests in ``client`` need no QGIS and run in the backend's environment; all others run in QGIS's Python.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "plugin_of_any_name"
HAS_QGIS = importlib.util.find_spec("qgis") is not None
_OTHERS = [
    path.name for path in Path(__file__).parent.iterdir() if path.name not in ("client", "conftest.py")
]
collect_ignore = ["client"] if HAS_QGIS else _OTHERS


@pytest.fixture(scope="session")
def plugin_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the plugin by its path in the repository: ``plugin_module("plugin.client.scrub")``."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / NAME).symlink_to(ROOT, target_is_directory=True)
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"{NAME}.{name}")
    sys.path.remove(str(folder))


@pytest.fixture
def make_geotiff(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small GeoTIFF without the backend's libraries: ``make_geotiff("name.tif", width=160, height=120)``."""

    def make(name: str, width: int = 160, height: int = 120, bands: int = 3) -> Path:
        import numpy as np
        from osgeo import gdal, osr

        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = gdal.GetDriverByName("GTiff").Create(str(path), width, height, bands, gdal.GDT_Byte)
        data.SetGeoTransform((400_000.0, 0.6, 0.0, 4_300_000.0, 0.0, -0.6))
        system = osr.SpatialReference()
        system.ImportFromEPSG(26917)
        data.SetProjection(system.ExportToWkt())
        values = np.random.default_rng(0).integers(0, 255, (height, width)).astype(np.uint8)
        for band in range(1, bands + 1):
            data.GetRasterBand(band).WriteArray(values // band)
        data.FlushCache()
        return path

    return make


_MODEL = """
import pathlib, sys, torch
from backend.encoders.checkpoint import save_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
torch.manual_seed(0)
save_checkpoint(Encoder(EncoderLayout(layers=(2,))), pathlib.Path(sys.argv[1]), {"trained_on": "nothing"})
"""


@dataclass(frozen=True)
class Scene:
    """A generated orthophoto, its support polygons and a model of random weights."""

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
    """A scene of 320 x 240 pixels."""
    folder = tmp_path_factory.mktemp("scene")
    model = folder / "random.safetensors"
    run_backend("-c", _MODEL, str(model))
    run_backend("-m", "backend", "sample", str(folder), "--width", "320", "--height", "240")
    return Scene(str(folder / "orthophoto.tif"), str(folder / "support.gpkg"), str(model))


@pytest.fixture(scope="session")
def service(
    plugin_module: Callable[[str], ModuleType], backend_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The connection to a real backend; one for all tests, since a worker takes seconds to start."""
    data = str(tmp_path_factory.mktemp("data"))
    environ = {**os.environ, "PROTOLABEL_PYTHON": backend_python, "PROTOLABEL_DATA": data}
    service = plugin_module("plugin.backend_service").BackendService(environ=environ)
    yield service
    service.close()


@pytest.fixture
def no_service(plugin_module: Callable[[str], ModuleType], tmp_path: Path) -> Iterator[Any]:
    """The connection to a backend whose environment was deleted."""
    environ = {**os.environ, "PROTOLABEL_PYTHON": str(tmp_path / "env" / "bin" / "python3")}
    service = plugin_module("plugin.backend_service").BackendService(environ=environ)
    yield service
    service.close()


@pytest.fixture
def filled_session(
    plugin_module: Callable[[str], ModuleType], qgis_new_project: None, scene: Scene, tmp_path: Path
) -> Iterator[Any]:
    """A session on the generated scene, with its polygons."""
    from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer

    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    raster = QgsRasterLayer(scene.raster, "orthophoto")
    QgsProject.instance().addMapLayer(raster)
    session.set_raster(raster)
    layers = plugin_module("plugin.support_layer")
    support = layers.create_support_layer(tmp_path / "support ü.gpkg", raster.crs(), "support")
    QgsProject.instance().addMapLayer(support)
    session.set_support(support)
    source = QgsVectorLayer(scene.support, "source", "ogr")
    plugin_module("plugin.support_import").import_polygons(
        source, "class_id", "class_name", session.classes, support
    )
    session.set_options(model=scene.model, crf=False)
    yield session
    session.close()


@dataclass(frozen=True)
class AssessedMap:
    """A label map of three classes in stripes, and what is true: the same, a few pixels to the right."""

    labels: Path
    truth: Path
    confidence: Path

    def true_class(self, x: float, y: float) -> int:
        """What is at a place."""
        from osgeo import gdal

        data = gdal.Open(str(self.truth))
        left, width, _, top, _, height = data.GetGeoTransform()
        return int(data.ReadAsArray(int((x - left) / width), int((y - top) / height), 1, 1)[0, 0])


@pytest.fixture
def assessed_map(tmp_path: Path) -> AssessedMap:
    """Files as a run leaves them; 120 x 90 pixels of 0.6 m, 6 of 40 columns of each stripe are wrong."""
    import numpy as np
    from osgeo import gdal, osr

    system = osr.SpatialReference()
    system.ImportFromEPSG(26917)
    stripes = np.repeat(np.array([1, 2, 3], np.uint8), 40)
    truth = np.roll(stripes, 6)
    truth[:6] = 1
    names = [(1, "building", "#d55e00"), (2, "road", "#999999"), (3, "grass", "#009e73")]
    tag = json.dumps([{"id": id, "name": name, "color": color} for id, name, color in names])

    def write(name: str, row: Any, nodata: int) -> Path:
        path = tmp_path / "map" / name
        path.parent.mkdir(exist_ok=True)
        data = gdal.GetDriverByName("GTiff").Create(str(path), 120, 90, 1, gdal.GDT_Byte)
        data.SetGeoTransform((400_000.0, 0.6, 0.0, 4_300_000.0, 0.0, -0.6))
        data.SetProjection(system.ExportToWkt())
        data.SetMetadataItem("PROTOLABEL_CLASSES", tag)
        band = data.GetRasterBand(1)
        band.SetNoDataValue(nodata)
        band.WriteArray(np.tile(row, (90, 1)))
        del band, data
        return path

    return AssessedMap(
        write("labels.tif", stripes, 255),
        write("truth.tif", truth, 255),
        write("labels_confidence.tif", np.where(stripes == truth, 90, 60).astype(np.uint8), 255),
    )


@pytest.fixture
def sample_file(tmp_path: Path, assessed_map: AssessedMap) -> Path:
    """Nine sample points as the backend draws them, three in each class of the map; none is labelled."""
    from osgeo import ogr, osr

    path = tmp_path / "map" / "points.gpkg"
    system = osr.SpatialReference()
    system.ImportFromEPSG(26917)
    data = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = data.CreateLayer("points", system, ogr.wkbPoint)
    for name, kind in (
        ("point_id", ogr.OFTInteger), ("map_class", ogr.OFTInteger), ("map_name", ogr.OFTString),
        ("stratum_pixels", ogr.OFTInteger64), ("class_id", ogr.OFTInteger), ("class_name", ogr.OFTString),
        ("skipped", ogr.OFTInteger),
    ):  # fmt: skip
        layer.CreateField(ogr.FieldDefn(name, kind))
    for number in range(9):
        stratum = number % 3 + 1
        feature = ogr.Feature(layer.GetLayerDefn())
        feature["point_id"], feature["map_class"], feature["map_name"] = number + 1, stratum, "?"
        feature["stratum_pixels"], feature["skipped"] = 3600, 0
        column, row = (stratum - 1) * 40 + 3 + 9 * (number // 3), 10 + 8 * number
        x, y = 400_000.0 + 0.6 * (column + 0.5), 4_300_000.0 - 0.6 * (row + 0.5)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POINT ({x} {y})"))
        layer.CreateFeature(feature)
    del layer, data
    return path
