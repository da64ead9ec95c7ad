"""The class table: ids that stay, names, colours, undo."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"


@pytest.fixture
def module(plugin_module):
    return plugin_module("plugin.classes")


@pytest.fixture
def table(module, qgis_app):
    return module.ClassTable()


def names(table):
    return [entry.name for entry in table.entries()]


def test_new_classes_get_ids_from_1_names_and_different_colours(table):
    entries = [table.add() for _ in range(40)]
    assert [entry.id for entry in entries] == list(range(1, 41))
    assert names(table)[:2] == ["Class 1", "Class 2"]
    assert len({entry.color for entry in entries}) == 40
    assert table.entry(3) == entries[2] and table.entry(99) is None


@pytest.mark.skipif(not PYTHON.exists(), reason="needs the backend's environment")
def test_default_colours_are_the_backends(plugin_module):
    colors = plugin_module("plugin.class_colors").default_colors()
    code = "from backend.rasters.palette import *; print(*map(hex_color, class_colors(300)))"
    done = subprocess.run([str(PYTHON), "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [next(colors) for _ in range(300)] == done.stdout.split()


def test_a_free_default_colour_is_used_again(table):
    first = table.add()
    table.add()
    table.recolor(first.id, "#123456")
    assert table.add().color == first.color


def test_ids_are_never_given_twice(module, table):
    table.add("water")
    table.add("field")
    table.remove(2)
    assert table.add("road").id == 3
    table.undo_stack.undo()
    assert table.add("house").id == 4, "polygons of the class that was taken back may exist"
    with pytest.raises(module.ClassError, match="belongs to the class field"):
        table.add("grass", id=2)
    assert table.add("Field", id=2).id == 2, "the same class may come back"

    other = module.ClassTable()
    table.remove(4)
    other.load_dict(json.loads(json.dumps(table.to_dict())))
    assert other.entries() == table.entries()
    assert other.add().id == 5
    with pytest.raises(module.ClassError, match="house"):
        other.add("barn", id=4)


def test_every_change_can_be_undone_and_says_what_it_was(table):
    signals = []
    table.changed.connect(lambda: signals.append(1))
    table.add("water")
    table.add("field")
    table.rename(1, "lake")
    table.recolor(2, "#ABCDEF")
    table.move(2, 0)
    table.remove(1)
    stack = table.undo_stack
    assert [stack.text(i) for i in range(stack.count())] == [
        "Add class water",
        "Add class field",
        "Rename class water to lake",
        "Change colour of class field",
        "Move class field",
        "Remove class lake",
    ]
    assert len(signals) == 6
    after = table.entries()
    assert after[0].color == "#abcdef"
    while stack.canUndo():
        stack.undo()
    assert table.entries() == ()
    while stack.canRedo():
        stack.redo()
    assert table.entries() == after


def test_what_changes_nothing_is_no_step(table):
    table.add("water")
    table.rename(1, " water ")
    table.recolor(1, table.entry(1).color.upper())
    table.move(1, 7)
    assert table.undo_stack.count() == 1


@pytest.mark.parametrize("name", ["", "   ", "WATER", None])
def test_names_that_are_refused(module, table, name):
    table.add("water")
    table.add("field")
    before = table.to_dict()
    with pytest.raises(module.ClassError, match="name"):
        table.rename(2, name)
    if name is not None:
        with pytest.raises(module.ClassError, match="name"):
            table.add(name)
    assert table.to_dict() == before


def test_a_class_may_change_the_case_of_its_own_name(table):
    table.add("water")
    table.rename(1, "Water")
    assert names(table) == ["Water"]


@pytest.mark.parametrize("id", [-1, 65_535, 10**9, 1.5, "3", True])
def test_ids_that_the_backend_refuses(module, table, id):
    with pytest.raises(module.ClassError, match="class id"):
        table.add("water", id=id)
    assert table.entries() == ()


@pytest.mark.parametrize("id", [0, 255, 65_534])
def test_ids_that_the_backend_takes(table, id):
    assert table.add("water", id=id).id == id


def test_when_all_ids_are_used_up(module, table):
    table.add(id=65_534)
    with pytest.raises(module.ClassError, match="0 to 65534"):
        table.add()


@pytest.mark.parametrize("color", ["red", "#12345", "", "#12345g", None])
def test_colours_that_are_refused(module, table, color):
    table.add("water")
    with pytest.raises(module.ClassError, match="#rrggbb"):
        table.recolor(1, color)


def test_unknown_ids_are_refused(module, table):
    for change in (lambda: table.rename(5, "a"), lambda: table.remove(5), lambda: table.move(5, 0)):
        with pytest.raises(module.ClassError, match="id 5"):
            change()


def test_merging_is_one_step_and_finds_classes_by_name(module, table):
    wish = module.ClassWish
    table.add("water")
    table.add("field")
    wishes = [wish(2, "WATER", "#000001"), wish(2, "road"), wish(7), wish(None, "house"), wish(2)]
    merged = table.merge(wishes, "Import")
    assert [entry.id for entry in merged] == [1, 3, 7, 8, 2]
    assert table.entry(1).color == "#000001"
    assert table.entry(7).name == "Class 7"
    assert table.undo_stack.text(2) == "Import"
    table.undo_stack.undo()
    assert names(table) == ["water", "field"]


def test_merging_something_wrong_changes_nothing(module, table):
    table.add("water")
    with pytest.raises(module.ClassError):
        table.merge([module.ClassWish(2, "ok"), module.ClassWish(70_000, "no")], "Import")
    assert names(table) == ["water"] and table.undo_stack.count() == 1


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"classes": 5, "removed": [], "next_id": "x"},
        {"classes": [None, {}, {"id": 1, "name": "a", "color": "#zzz"}]},
    ],
)
def test_broken_sessions_are_read_as_far_as_possible(module, table, values):
    table.add("old")
    table.load_dict(values)
    assert "old" not in names(table)
    assert not table.undo_stack.canUndo()
    assert table.add("new").id >= 1


def test_many_classes_are_merged_quickly(module, table):
    merged = table.merge([module.ClassWish(i, f"c{i}") for i in range(1, 2001)], "Import")
    assert len(merged) == 2000 and table.undo_stack.count() == 1
