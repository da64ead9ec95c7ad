"""Reports: published and measured numbers, corrections, what differs and what is missing; without any network."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from backend.errors import OutputError
from backend.evaluation.assembly import table_report
from backend.evaluation.experiment import Outcome
from backend.evaluation.options import Difference, differences, paper_options, used_options
from backend.evaluation.output import write_report
from backend.evaluation.plots import class_plot, comparison_plot
from backend.evaluation.protocols import protocol
from backend.evaluation.report import Report, ReportCell, ReportRow
from backend.evaluation.report_html import html
from backend.evaluation.report_text import comma_separated, markdown
from backend.evaluation.setting import Setting
from backend.evaluation.summary import Statistic, statistic
from backend.evaluation.tables import TableEntry, TableError, entries, entry


def measured_as(table, rows, offset, runs=5):
    """Invented metrics of rows, a little off what is published."""
    rng = np.random.default_rng(0)
    found = {}
    for row in table.table.rows:
        if row.name not in rows:
            continue
        for column in table.table.columns:
            settings = table.table.measurements(row, column)
            if len(settings) == 1:
                value = table.table.reading(row, column) + offset
                metrics = found.setdefault(settings[0], {})
                metrics[table.table.metric(row, column)] = statistic(list(value + rng.normal(0, 0.4, runs)))
                for name in ("aeroplane", "bicycle", "bird"):
                    metrics[f"IoU {name}"] = statistic(list(value + rng.normal(0, 5, runs)))
    return found


@pytest.fixture(scope="module")
def report():
    table = entry("dpcl-2")
    measured = measured_as(table, ["DPCL", "PANet, ResNet-50"], 1.0)
    first = next(iter(measured))
    outcome = Outcome(measured, ("dpcl: no checkpoint <b>",), (Difference(first.title, "size", "473", "64"),))
    return table_report(table, outcome, protocol("panet"))


class Links(HTMLParser):
    """Whatever an HTML file refers to."""

    def __init__(self):
        super().__init__()
        self.found, self.text, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        self.found += [value for key, value in attributes if key in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def test_measured_numbers_stand_beside_the_published_ones(report):
    row = next(row for row in report.rows if row.name == "DPCL")
    mean = row.cells[report.columns.index("1-shot Mean")]
    assert (mean.printed, mean.published) == (33.4, 33.78)
    folds = [cell.measured.mean for cell in row.cells[:4]]
    assert mean.measured.mean == pytest.approx(np.mean(folds))
    assert mean.difference == pytest.approx(mean.measured.mean - 33.78)
    assert report.notes[mean.note - 1].startswith("DPCL, 1-shot Mean: printed 33.4, read 33.78.")
    quoted = next(row for row in report.rows if row.name == "PPNet, ResNet-50")
    assert not quoted.is_measured


def test_a_mean_needs_all_folds():
    table = entry("dpcl-3")
    measured = measured_as(table, ["CSCL"], 0.0)
    measured.pop(next(setting for setting in measured if setting.fold == 2))
    rows = table_report(table, Outcome(measured, (), ()), protocol("panet")).rows
    row = next(row for row in rows if row.name == "CSCL")
    assert [cell.measured is not None for cell in row.cells] == [True, True, False, True, False]


def test_markdown(report):
    text = markdown(report)
    lines = text.splitlines()
    table = [line for line in lines[: lines.index("## Remarks")] if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1, "every line has all columns"
    assert "| DPCL | published | 37.4 | 41.4 \\[7\\] |" in text
    assert "| size | 473 | 64 |" in text
    assert "no checkpoint &lt;b>" in text
    assert "seeds 1234, 1235, 1236, 1237, 1238" in text
    assert re.search(r"\| measured \| \d\d\.\d\d ± \d\.\d\d \|", text)


def test_csv_has_every_number(report):
    rows = list(csv.DictReader(io.StringIO(comma_separated(report))))
    cell = next(
        row for row in rows if (row["method"], row["column"]) == ("PANet, ResNet-50", "5-shot fold-1")
    )
    assert (cell["printed"], cell["published"]) == ("33", "45.9")
    assert "shifted" in cell["note"]
    runs = [float(run) for run in cell["runs"].split()]
    assert float(cell["measured"]) == pytest.approx(np.mean(runs), abs=1e-3)
    assert float(cell["std"]) == pytest.approx(np.std(runs), abs=1e-3)
    assert len([row for row in rows if row["table"] == "dpcl-2"]) == len(rows)


def test_html_stands_alone(report):
    page = html(report)
    links = Links()
    links.feed(page)
    assert links.found, "there are plots"
    assert all(link.startswith("data:image/") for link in links.found)
    assert not re.search(r"https?://", page)
    assert "<b>" not in page and "no checkpoint &lt;b&gt;" in page
    text = " ".join(links.text)
    for expected in ("41.4 [7]", "difference", "Options that differ from the paper", "Not measured"):
        assert expected in text


def test_plots_are_the_same_files_for_the_same_numbers(report):
    first, second = (comparison_plot(report.columns, report.rows) for _ in range(2))
    assert first.data == second.data
    assert b"<!DOCTYPE" in first.data and ElementTree.fromstring(first.data).tag.endswith("svg")
    assert comparison_plot(report.columns, [row for row in report.rows if not row.is_measured]) is None


@pytest.mark.parametrize("runs", [(50.0,), (50.0, 60.0), (float("nan"),)])
def test_plots_of_few_or_undefined_numbers(runs):
    value = statistic(runs)
    row = ReportRow("m", "", (ReportCell(measured=value), ReportCell(measured=value)))
    assert comparison_plot(["a", "b"], [row]).data
    assert class_plot("x", {"IoU a": value, "mIoU": value}).data
    report = Report("x", "X", columns=("a", "b"), rows=(row,), details=(("x", {"IoU a": value}),))
    assert "nan" not in comma_separated(report) + markdown(report)


def test_files(report, tmp_path):
    folder = tmp_path / "new" / "reports"
    paths = write_report(report, folder)
    assert [path.name for path in paths] == ["dpcl-2.html", "dpcl-2.md", "dpcl-2.csv"]
    text = (folder / "dpcl-2.md").read_text()
    shown = re.findall(r"\]\((.+?)\)", text)
    assert shown and all((folder / name).is_file() for name in shown)
    assert not list(folder.glob("*.part"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another output folder"):
        write_report(report, tmp_path / "file")


def test_every_option_that_differs_is_named():
    setting = Setting(method="dpcl", layers=(2, 3, 4), dataset="pascal", fold=0)
    short = protocol("panet").shortened(runs=2, episodes=10)
    paper = paper_options(setting)
    found = differences(setting, {**paper, **used_options(short, 64), "run.batch": 4})
    assert {(d.option, d.paper, d.used) for d in found} == {
        ("runs", "5", "2"),
        ("episodes", "1000", "10"),
        ("seeds", "1234..1238", "1234..1235"),
        ("size", "473", "64"),
        ("run.batch", "2", "4"),
    }
    assert differences(setting, paper) == []
    unknown = differences(setting, used_options(protocol("panet"), 473))
    assert {d.used for d in unknown} == {"not told by the checkpoint"}
    assert "method.dictionary_size" in {d.option for d in unknown}


def test_there_is_an_entry_for_every_table_and_figure():
    names = list(entries())
    expected = [f"dpcl-{i}" for i in range(1, 5)] + [f"jiang-{i}" for i in range(1, 6)]
    expected += [f"dpcl-figure-{i}" for i in range(3, 8)] + ["jiang-figure-2"]
    assert sorted(names) == sorted(expected)
    assert all(len(table.settings()) > 0 for table in entries().values() if isinstance(table, TableEntry))
    with pytest.raises(TableError, match="choose one of dpcl-1"):
        entry("dpcl-5")
    with pytest.raises(TableError, match="'CSCL and CACL'"):
        entry("dpcl-3").settings(("both",))


def test_one_run_has_no_deviation():
    report = Report(
        "x", "X", columns=("a",), rows=(ReportRow("m", "", (ReportCell(measured=Statistic(50, 0, (50,))),)),)
    )
    assert "±" not in markdown(report).partition("over runs")[2] and "50.00" in markdown(report)
