"""The labelling tool in a real QGIS: from a raster to a styled map, and back after the project was closed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
SHARED = Path(__file__).resolve().parents[3] / "shared"

# Mean IoU of label maps against the truth, and the share of pixels that differ, in the backend's Python.
_COMPARE = """
import json, sys
import numpy as np, rasterio
first, second, truth = (rasterio.open(path).read(1) for path in sys.argv[1:4])
known = np.isin(truth, np.unique(first[first != 255]))
def mean_iou(labels):
    ious = []
    for value in np.unique(truth[known]):
        a, b = (labels == value) & known, (truth == value) & known
        ious.append((a & b).sum() / (a | b).sum())
    return float(np.mean(ious))
print(json.dumps({"first": mean_iou(first), "second": mean_iou(second), "differ": float((first != second).mean())}))
"""


@pytest.fixture
def scene(tmp_path: Path) -> dict[str, Path]:
    """A real orthophoto in a folder of the analyst's own."""
    data = SHARED / "data" / "naip"
    if not data.is_dir():
        pytest.skip(f"needs the scenes in {data}")
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(data / "scene02.tif", folder / "orthophoto.tif")
    return {
        "folder": folder,
        "raster": folder / "orthophoto.tif",
        "support": data / "scene02_support_k5_s0.geojson",
        "truth": data / "scene02_labels.tif",
    }


def test_from_raster_to_map(
    qgis: Callable[..., dict[str, Any]], scene: dict[str, Path], backend_python: str, record_property: Any
) -> None:
    report = qgis(
        "labeling_scenario.py",
        {"PROTOLABEL_RASTER": str(scene["raster"]), "PROTOLABEL_SUPPORT": str(scene["support"])},
    )
    values = report["values"]
    assert report["errors"] == [] and values.get("finished"), report["errors"]
    assert values["raster_chosen_by_itself"]
    assert values["polygons"] == 25 and values["after_escape"] == 25
    assert Path(values["support_file"].partition("|")[0]) == scene["folder"] / "project_support.gpkg"

    stages = [stage for stage, _ in values["warm"]]
    assert stages == ["features", "refined"], "an encoded view is not encoded again"
    assert values["group"] == ["Polygons", "Labels", "Confidence"]
    assert values["legend"] == values["classes"] and len(values["classes"]) == 5
    assert values["saved"] and values["cleared"] and values["came_back"], (values["before"], values["after"])
    assert values["support_came_back"] == 25
    assert values["left_children"] == [] and values["left_widgets"] == []
    assert values["loaded_again"]

    # No block of the GUI thread above 100 ms; a machine with other work may be late now and then.
    for name in ("preview_blocks", "run_blocks"):
        assert values[name][-2] < 100.0, values[name]

    command_line = scene["folder"] / "command_line.tif"
    subprocess.run(
        [backend_python, "-m", "backend", "label", scene["raster"], scene["support"], command_line],
        cwd=Path(__file__).resolve().parents[2], check=True, capture_output=True,
    )  # fmt: skip
    done = subprocess.run(
        [backend_python, "-c", _COMPARE, scene["folder"] / "labels.tif", command_line, scene["truth"]],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert abs(found["first"] - found["second"]) <= 0.01, found
    assert found["second"] > 0.3 and found["differ"] < 0.02, found
