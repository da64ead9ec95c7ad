"""The published numbers: complete, consistent in themselves, and corrected where they are not."""

from __future__ import annotations

import pytest

from backend.evaluation.published import TableError, published_table, published_tables

TABLES = published_tables()
HEADLINES = [
    ("dpcl-1", "DPCL", "1-shot Mean", 53.39),
    ("dpcl-1", "DPCL", "5-shot fold-2", 71.79),
    ("dpcl-2", "DPCL", "5-shot Mean", 39.9),
    ("dpcl-3", "CSCL", "fold-1", 47.30),
    ("dpcl-3", "CACL", "fold-1", 46.54),
    ("dpcl-4", "layer 3 + 4", "fold-2", 62.16),
    ("jiang-1", "Ours", "Cars", 41.1),
    ("jiang-2", "PANet", "Buildings", 66.7),
    ("jiang-3", "building", "In-domain", 77.4),
    ("jiang-4", "VGG-init", "Potsdam Kappa", 35.7),
    ("jiang-5", "SegNet (5 shots)", "Vaihingen Acc.", 60.9),
]


def find(items, name):
    return next(item for item in items if item.name == name)


@pytest.mark.parametrize(("name", "row", "column", "value"), HEADLINES)
def test_values(name, row, column, value):
    table = TABLES[name]
    assert find(table.rows, row).values[table.columns.index(find(table.columns, column))] == value


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_value_for_every_column_and_names_are_unique(name):
    table = TABLES[name]
    rows, columns = ([item.name for item in items] for items in (table.rows, table.columns))
    assert len(set(rows)) == len(rows) and len(set(columns)) == len(columns)
    assert all(len(row.values) == len(columns) for row in table.rows)
    assert all(correction.row in rows and correction.column in columns for correction in table.corrections)


@pytest.mark.parametrize("shot", ["", "1-shot ", "5-shot "])
@pytest.mark.parametrize("name", ["dpcl-1", "dpcl-2", "dpcl-3", "dpcl-4"])
def test_corrected_means_are_the_means_of_the_corrected_folds(name, shot):
    table = TABLES[name]
    columns = [column for column in table.columns if column.name in [f"{shot}fold-{i}" for i in range(1, 5)]]
    for row in table.rows if columns else ():
        mean = table.reading(row, find(table.columns, f"{shot}Mean"))
        folds = [table.reading(row, column) for column in columns]
        assert mean == pytest.approx(sum(folds) / 4, abs=0.0501), (row.name, sum(folds) / 4)


def test_printed_means_disagree_only_where_a_correction_says_so():
    for table in (TABLES["dpcl-1"], TABLES["dpcl-2"], TABLES["dpcl-4"]):
        for row in table.rows:
            for start in range(0, len(row.values), 5):
                *folds, mean = row.values[start : start + 5]
                names = {column.name for column in table.columns[start : start + 5]}
                wrong = abs(sum(folds) / 4 - mean) > 0.0501
                corrected = any((row.name, name) in table.notes for name in names)
                assert corrected or not wrong, (row.name, names)


def test_repeated_numbers_agree_between_tables():
    def values(name, row):
        return find(TABLES[name].rows, row).values

    assert (
        values("dpcl-1", "DPCL")[:5]
        == values("dpcl-3", "CSCL and CACL")
        == values("dpcl-4", "layer 2 + 3 + 4")
    )
    vaihingen, potsdam = values("jiang-1", "Ours"), values("jiang-2", "Ours")
    assert vaihingen[-1] == values("jiang-4", "Ours w DenseCRF")[0] == values("jiang-5", "Ours (5 shots)")[0]
    assert potsdam[-1] == values("jiang-4", "Ours w DenseCRF")[2] == values("jiang-5", "Ours (5 shots)")[2]
    assert values("jiang-1", "PANet")[-1] == values("jiang-4", "ResNet50")[0]
    assert values("jiang-2", "PANet")[-1] == values("jiang-4", "VGG-Net")[2]
    assert (values("jiang-3", "building")[0], values("jiang-3", "imp. surface")[0]) == vaihingen[1::-1]


@pytest.mark.parametrize("name", TABLES)
def test_settings_of_every_cell_are_valid(name):
    table = TABLES[name]
    for row in table.rows:
        for column in table.columns:
            settings = table.measurements(row, column)
            assert (not settings) == (row.settings is None)
            if column.name.endswith("Mean") and settings:
                assert [setting.fold for setting in settings] == [0, 1, 2, 3]
            else:
                assert len(settings) <= 1


def test_the_model_with_densecrf_is_another_backbone_on_potsdam():
    table = TABLES["jiang-4"]
    row = find(table.rows, "Ours w DenseCRF")
    used = [table.measurements(row, column)[0].backbone for column in table.columns]
    assert used == ["resnet50", "resnet50", "vgg16", "vgg16"]


def test_rows_of_one_table_have_names_and_checkpoints_of_their_own():
    for table in TABLES.values():
        for column in table.columns:
            names = [s.name for row in table.rows for s in table.measurements(row, column)]
            assert len(set(names)) == len(names)
    names = {
        s.checkpoint_name
        for row in TABLES["dpcl-3"].rows
        for s in TABLES["dpcl-3"].measurements(row, TABLES["dpcl-3"].columns[0])
    }
    assert len(names) == 4


def test_training_excludes_the_test_class_only_within_the_domain():
    table = TABLES["jiang-3"]
    cross, within = (table.measurements(table.rows[0], column)[0] for column in table.columns)
    assert cross.checkpoint_name == "jiang_resnet50_pascal"
    assert within.checkpoint_name == "jiang_resnet50_vaihingen_without-building"


def test_unknown_table():
    with pytest.raises(TableError, match="dpcl-1"):
        published_table("dpcl-9")
