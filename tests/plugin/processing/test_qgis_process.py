"""The algorithms in qgis_process: no window, a profile of its own, the plugin under a name that nobody thought of."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsVectorLayer

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]


def program():
    # Debian's script qgis_process passes an option that its program does not know.
    return (
        shutil.which("qgis_process.bin") or shutil.which("qgis_process") or pytest.skip("needs qgis_process")
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory, backend_python):
    """The variables of a shell in which the plugin is switched on."""
    folder = tmp_path_factory.mktemp("qgis_process")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "any-name").symlink_to(ROOT, target_is_directory=True)
    variables = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(folder / "plugins"),
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "profile"),
        "PROTOLABEL_DATA": str(folder / "data"),
        "PROTOLABEL_PYTHON": backend_python,
        "OMP_NUM_THREADS": "1",
    }
    done = run(variables, "plugins", "enable", "any-name")
    assert done.returncode == 0, done.stderr
    return variables


def run(variables, *arguments):
    return subprocess.run(
        [program(), *arguments], env=variables, capture_output=True, text=True, check=False, timeout=400
    )


def pixels(path):
    return gdal.Open(str(path)).ReadAsArray()


def label(variables, raster, support, output, *more):
    done = run(variables, "run", "protolabel:label", f"--RASTER={raster}", f"--SUPPORT={support}",
               f"--LABELS={output}", *more)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_label_map_of_a_generated_scene_is_the_command_line_s(environment, scene, run_backend, tmp_path):
    made, expected = tmp_path / "made.tif", tmp_path / "expected.tif"
    said = label(environment, scene.raster, scene.support, made, f"--MODEL={scene.model}", "--DEVICE=cpu")
    run_backend("-m", "backend", "label", scene.raster, scene.support, str(expected), "--model", scene.model)
    assert (pixels(made) == pixels(expected)).all()
    assert "of the labelled pixels" in said


def test_label_map_of_real_imagery_is_the_command_line_s(environment, shared, run_backend, tmp_path):
    raster = shared / "data" / "naip" / "scene06.tif"
    support = shared / "data" / "naip" / "scene06_support_k5_s0.geojson"
    made, expected, confidence = (tmp_path / f"{name}.tif" for name in ("made", "expected", "confidence"))
    polygons = tmp_path / "polygons.gpkg"
    label(environment, raster, support, made, f"--CONFIDENCE={confidence}", f"--POLYGONS={polygons}")
    run_backend("-m", "backend", "label", str(raster), str(support), str(expected))
    assert (pixels(made) == pixels(expected)).all()
    assert mean_iou(pixels(made), pixels(shared / "data" / "naip" / "scene06_labels.tif")) > 0.2
    assert 0 < pixels(confidence).max() <= 255
    assert QgsVectorLayer(str(polygons), "", "ogr").featureCount() > 5


def mean_iou(found, truth):
    scores = []
    for value in sorted(set(truth.flat) - {255}):
        both = ((found == value) & (truth == value)).sum()
        either = (((found == value) | (truth == value)) & (truth != 255)).sum()
        scores.append(both / either)
    return sum(scores) / len(scores)


def test_vectorize_takes_what_label_has_made(environment, scene, tmp_path):
    labels, polygons = tmp_path / "labels.tif", tmp_path / "polygons.gpkg"
    label(
        environment, scene.raster, scene.support, labels, f"--MODEL={scene.model}", "--DEVICE=cpu", "--CRF=0"
    )
    done = run(environment, "run", "protolabel:vectorize", f"--LABELS={labels}", "--SIEVE=20", "--SIMPLIFY=1.5",
               f"--POLYGONS={polygons}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    layer = QgsVectorLayer(str(polygons), "", "ogr")
    assert {"class_id", "class_name", "area_m2"} <= set(layer.fields().names())
    assert layer.featureCount() > 1


def test_a_model_is_tuned(environment, scene, tmp_path):
    raster, labels = Path(scene.raster), Path(scene.raster).with_name("labels.tif")
    done = run(environment, "run", "--json", "protolabel:finetune", f"--RASTERS={raster}", f"--LABELS={labels}",
               f"--BASE={scene.model}", "--ITERATIONS=1", "--CROP=96", "--DEVICE=cpu",
               f"--FOLDER={tmp_path / 'run'}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout)["results"]
    assert Path(results["MODEL"]) == tmp_path / "run" / "best.safetensors"
    assert results["SENTENCE"].startswith("The tuned model is")


def test_without_a_backend_the_way_out_is_told(environment, scene, tmp_path):
    bare = {name: value for name, value in environment.items() if name != "PROTOLABEL_PYTHON"}
    output = tmp_path / "labels.tif"
    done = run(bare, "run", "protolabel:label", f"--RASTER={scene.raster}", f"--SUPPORT={scene.support}",
               f"--LABELS={output}")  # fmt: skip
    assert done.returncode != 0
    assert "PROTOLABEL_PYTHON" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_prepare_support_needs_no_backend(environment, scene, tmp_path):
    bare = {name: value for name, value in environment.items() if name != "PROTOLABEL_PYTHON"}
    classes, support = tmp_path / "classes.csv", tmp_path / "support.gpkg"
    classes.write_text("id,name,color\n1,forest,#145c28\n2,water,#2466d1\n", encoding="utf-8")
    done = run(bare, "run", "protolabel:prepare_support", f"--RASTER={scene.raster}",
               f"--CLASSES_FILE={classes}", f"--SUPPORT={support}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    layer = QgsVectorLayer(str(support), "", "ogr")
    assert [c.label() for c in layer.renderer().categories()] == ["forest", "water"]


def test_machines_can_read_the_answer(environment, scene, tmp_path):
    output = tmp_path / "support.gpkg"
    done = run(environment, "run", "--json", "protolabel:prepare_support", f"--RASTER={scene.raster}",
               "--CLASSES=1,forest,#145c28", f"--SUPPORT={output}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["results"]["SUPPORT"] == str(output)


def test_worker_ends_with_a_killed_qgis_process(environment, scene, tmp_path):
    started = subprocess.Popen(
        [program(), "run", "protolabel:label", f"--RASTER={scene.raster}", f"--SUPPORT={scene.support}",
         f"--MODEL={scene.model}", f"--LABELS={tmp_path / 'labels.tif'}"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        worker = wait_for(lambda: workers_of(started.pid), 60)
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait(10)
    assert worker
    assert wait_for(lambda: not any(map(is_running, worker)), 20)


def workers_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    return condition()
