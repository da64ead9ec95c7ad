"""What was found: many classes and rasters, long names, warnings."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt

LONG = "Versiegelte Flächen, Straßen und Wege mit einem sehr langen Namen"


def amount(polygons, pixels, held_out=0):
    return {"polygons": polygons, "pixels": pixels, "held_out_pixels": held_out, "held_out_polygons": 0}


def answer(rasters=2, classes=3, problem=None, warnings=()):
    found = [{"id": id, "name": f"{LONG} {id}", **amount(id, 1000 * id, 10)} for id in range(1, classes + 1)]
    return {
        "rasters": [
            {
                "raster": f"/d/{LONG}_{number}.tif", "name": f"{LONG}_{number}.tif", "pixel_size": 0.6,
                "held_out": number == 1, "classes": found,
            }
            for number in range(rasters)
        ],
        "classes": found, "hold_out": "Held out: one raster.", "warnings": list(warnings), "problem": problem,
        "estimate": {
            "device": "cpu", "iterations": 500, "seconds": 600.0, "seconds_per_iteration": 1.0,
            "seconds_per_measurement": 5.0,
        },
    }  # fmt: skip


@pytest.fixture
def view(plugin_module, qgis_app, qtbot):
    view = plugin_module("plugin.panels.findings_view").FindingsView()
    qtbot.addWidget(view)
    view.resize(400, 500)
    view.show()
    return view


@pytest.fixture
def read(plugin_module):
    return plugin_module("plugin.finetuning.findings").read_findings


def test_table_of_classes_and_rasters(view, read):
    view.show_findings(read(answer()))
    assert (view.table.rowCount(), view.table.columnCount()) == (3, 4)
    assert [view.table.item(2, column).text() for column in range(1, 4)] == ["3 / 3.0 k"] * 3
    assert view.table.horizontalHeaderItem(3).text() == "All"
    header = view.table.horizontalHeaderItem(2)
    assert header.text() == "Versie…men_1.tif\n(held out)"
    assert header.toolTip() == f"/d/{LONG}_1.tif"
    assert view.table.item(0, 0).toolTip() == f"{LONG} 1 (class id 1)"
    assert "10 are held out" in view.table.item(0, 1).toolTip()


def test_many_classes_scroll(view, read):
    view.show_findings(read(answer(5, 200)))
    assert view.table.height() < 300
    assert view.table.columnWidth(0) < 400 and view.table.horizontalScrollBar().maximum() > 0


def test_one_raster_needs_no_sum(view, read):
    view.show_findings(read(answer(1)))
    assert view.table.columnCount() == 2


def test_class_that_is_left_out_stays_in_the_table(view, read, qtbot):
    view.show_findings(read(answer()))
    with qtbot.waitSignal(view.classesChanged):
        view.table.item(1, 0).setCheckState(Qt.CheckState.Unchecked)
    assert view.ignored == (2,)
    value = answer()
    value["classes"] = [item for item in value["classes"] if item["id"] != 2]
    view.show_findings(read(value))
    assert view.table.rowCount() == 3 and view.table.item(1, 1).text() == ""
    assert view.table.item(1, 0).checkState() == Qt.CheckState.Unchecked
    view.forget()
    assert view.ignored == ()


def test_problem_before_warnings(view, read):
    view.show_findings(
        read(answer(problem="Only one class is labelled.", warnings=["There is little of it."]))
    )
    assert view.notes == ["Only one class is labelled.", "There is little of it."]
    view.show_problem("The raster is gone.")
    assert view.notes == ["The raster is gone."]
    view.show_findings(read(answer()))
    assert view.notes == []
