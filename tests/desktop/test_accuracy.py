"""The accuracy assessment in a real QGIS: points drawn, labelled by the keyboard, another day, assessed."""

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
CLASSES = ("other", "building", "road", "bare land", "forest", "water")
COLORS = ("#c8c8a0", "#d7191c", "#7f7f7f", "#e69f00", "#1b7837", "#2c7bb6")

# A label map with the faults that maps have: it is blurred, some buildings are bare land; unsure along the edges.
_ALTER = """
import json, sys
import numpy as np, rasterio
truth, labels, confidence, tag = sys.argv[1:5]
with rasterio.open(truth) as src:
    values, profile, palette = src.read(1), src.profile, src.colormap(1)
moved = np.roll(values, (2, 3), (0, 1))
rows, cols = np.indices(values.shape)
moved[(moved == 1) & ((rows // 90 + cols // 90) % 3 == 0)] = 3
sure = np.where(moved == np.roll(moved, (4, 4), (0, 1)), 92, 60).astype(np.uint8)
profile.update(nodata=255)
with rasterio.open(labels, "w", **profile) as dst:
    dst.write(moved, 1)
    dst.update_tags(PROTOLABEL_CLASSES=tag)
    dst.write_colormap(1, palette)
profile.pop("photometric", None)
with rasterio.open(confidence, "w", **profile) as dst:
    dst.write(sure, 1)
print(json.dumps(float((moved == values)[(moved != 255) & (values != 255)].mean())))
"""


@pytest.fixture
def scene(tmp_path: Path, backend_python: str) -> dict[str, Any]:
    """A real orthophoto with a label map beside it, in a folder of the analyst's own."""
    data = SHARED / "data" / "naip"
    if not data.is_dir():
        pytest.skip(f"needs the scenes in {data}")
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(data / "scene02.tif", folder / "orthophoto.tif")
    tag = json.dumps(
        [
            {"id": id, "name": name, "color": color}
            for id, (name, color) in enumerate(zip(CLASSES, COLORS, strict=True))
        ]
    )
    truth, labels = data / "scene02_labels.tif", folder / "labels.tif"
    done = subprocess.run(
        [backend_python, "-c", _ALTER, truth, labels, folder / "labels_confidence.tif", tag],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {
        "folder": folder,
        "right": json.loads(done.stdout),
        "variables": {
            "PROTOLABEL_RASTER": str(folder / "orthophoto.tif"),
            "PROTOLABEL_LABELS": str(labels),
            "PROTOLABEL_CONFIDENCE": str(folder / "labels_confidence.tif"),
            "PROTOLABEL_TRUTH": str(truth),
            "PROTOLABEL_SUPPORT": str(data / "scene02_support_k5_s0.geojson"),
        },
    }


def test_from_map_to_report(qgis: Callable[..., dict[str, Any]], scene: dict[str, Any]) -> None:
    report = qgis("accuracy_scenario.py", scene["variables"])
    values = report["values"]
    assert report["errors"] == [] and values.get("finished"), report["errors"]
    assert values["labeling_dock_stays_closed"]
    assert (values["map"], values["confidence"]) == ("Labels", "Confidence")
    assert values["suggested"] > 100
    assert Path(values["points_file"]) == scene["folder"] / "labels_points.gpkg"
    assert values["map_is_hidden"]
    assert values["after_some"].startswith("12 labelled, 47 left, 1 skipped"), values["after_some"]
    assert values["drawing_ends_labelling"] and values["labelling_ends_drawing"]
    assert values["saved"] and values["ended_with_project"]
    assert values["count_after_reading"].startswith("12 of 60 points labelled, 1 skipped")
    assert values["resumed_at"] == 13 and values["map_is_back"]

    # The truth was told at each point: the interval holds the share of the map that is right.
    assert values["bar"] == "" and values["raster_bar"] == ""
    low, high = (float(part.split("%")[0]) for part in values["interval"].split("\n")[1].split(" to "))
    assert low - 3 <= 100 * scene["right"] <= high + 3, values["interval"]
    assert float(values["raster_overall"].split()[0]) == pytest.approx(100 * scene["right"], abs=1.0)
    assert "left out under support polygons" in values["basis"]
    assert "accuracy.html" in values["files"] and sum(name.endswith(".csv") for name in values["files"]) >= 2
    assert values["left_children"] == [] and values["left_widgets"] == [] and not values["left_folder"]
