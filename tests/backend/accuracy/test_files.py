"""The report in a browser and on its own, the tables, and disks that fail."""

from __future__ import annotations

import csv
import math
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import shapely

from backend.accuracy.assessment import Assessment, assess
from backend.accuracy.files import check_files, write_files
from backend.accuracy.report import amount, count, heat, html, interval, percent, short
from backend.accuracy.tables import NAMES
from backend.errors import OutputError

VOID = {"meta", "link", "br"}


@pytest.fixture
def found(make_map, make_vector, thirds) -> Assessment:
    """Points on a map with a name that is no HTML, and confidences."""
    classes = ((1, "<b>forest</b> & co", "#145c28"), (2, "=water", "#2466d1"), (5, "field", "#f0cd3c"))
    rng = np.random.default_rng(0)
    places = [shapely.Point(*xy) for xy in rng.uniform([0, 1], [60, 40], (90, 2))]
    right = [int(thirds[int(p.y), int(p.x)]) for p in places]
    told = [value if rng.random() < 0.85 else int(rng.choice([1, 2, 5])) for value in right]
    fields = {"class_id": [*told[:-2], None, None], "map_class": right, "stratum_pixels": [780] * 90}
    percent = rng.integers(40, 101, (1, *thirds.shape)).astype(np.uint8)
    return assess(
        make_map(thirds, classes=classes),
        make_vector(places, fields),
        confidence=make_map(percent, "confidence.tif", classes=()),
    )


@pytest.fixture
def exact(make_map, thirds) -> Assessment:
    """A reference raster that covers everything."""
    return assess(make_map(thirds), make_map(np.roll(thirds, 3, axis=1), "truth.tif"))


class Page(HTMLParser):
    """Checks that tags close, and collects what the page refers to, its texts and its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


class TestReport:
    def test_it_refers_to_nothing_else(self, found, exact) -> None:
        for assessment in (found, exact):
            text = html(assessment)
            page = Page(text)
            assert page.links == ["data:,"]
            assert not re.search(r"url\(|@import|<script|https?://", text)
            assert "nan" not in text.lower()

    def test_names_are_not_markup(self, found) -> None:
        text = html(found)
        assert "<b>forest" not in text and "&lt;b&gt;forest&lt;/b&gt; &amp; co" in text

    def test_pictures_are_whole_and_hold_the_numbers(self, found) -> None:
        pictures = re.findall(r"<svg.*?</svg>", html(found), re.DOTALL)
        assert len(pictures) == 4
        for picture in pictures:
            root = ElementTree.fromstring(picture)
            width, height = map(float, root.attrib["viewBox"].split()[2:])
            for item in root.iter("rect"):
                x, y = float(item.attrib["x"]), float(item.attrib["y"])
                assert x >= 0 and x + float(item.attrib["width"]) <= width + 0.01
                assert y >= 0 and y + float(item.attrib["height"]) <= height + 0.01
        texts = [item.text for item in ElementTree.fromstring(pictures[0]).iter("text")]
        for value in found.matrix.ravel().tolist():
            assert short(value) in texts

    def test_it_says_what_counts(self, found, exact) -> None:
        page = Page(html(found)).text
        overall = found.estimates.overall
        assert percent(overall.value) in page and interval(overall) in page
        assert found.statement in page and "2 points that are not labelled yet" in page
        assert "Confusion matrix in shares of the area" in page and "calibration error" in page
        other = Page(html(exact)).text
        assert "95 % interval" not in other and exact.statement in other

    def test_equal_assessments_are_equal_files(self, found) -> None:
        assert html(found) == html(found)

    def test_many_classes_are_still_a_page(self, make_map) -> None:
        ids = np.arange(30, dtype=np.uint8)[None].repeat(40, axis=0).repeat(2, axis=1)
        classes = [(i, f"class with a long name {i}", f"#{i * 8:02x}6688") for i in range(30)]
        many = assess(make_map(ids, classes=classes), make_map(np.roll(ids, 1, axis=1), "truth.tif"))
        text = html(many)
        Page(text)
        assert len(text) < 1_000_000

    @pytest.mark.slow
    def test_a_browser_shows_and_prints_it_without_complaint(self, found, tmp_path) -> None:
        write_files(found, tmp_path / "report.html", None)
        (tmp_path / "bad.html").write_text(
            '<!DOCTYPE html><img src="https://example.com/a.png"><script>console.error(1)</script>'
        )
        picture, paper = tmp_path / "page.png", tmp_path / "page.pdf"
        for option in (f"--screenshot={picture}", f"--print-to-pdf={paper}"):
            assert browse(tmp_path / "report.html", tmp_path, option) == (set(), [])
        assert picture.stat().st_size > 20_000
        assert paper.read_bytes().startswith(b"%PDF")
        hosts, complaints = browse(tmp_path / "bad.html", tmp_path, f"--screenshot={picture}")
        assert hosts == {"example.com"} and len(complaints) == 1  # it would be noticed


def browse(page: Path, folder: Path, option: str) -> tuple[set[str], list[str]]:
    """Opens a page in Chromium: the hosts that it asks for, and what it writes to the console."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("needs Chromium")
    log = folder / "network.json"
    options = [
        "--headless", "--disable-gpu", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", option,
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]  # fmt: skip
    done = subprocess.run(
        [browser, *options, f"file://{page}"], capture_output=True, text=True, timeout=120, check=False
    )
    hosts = set(re.findall(r'"url":"https?://([^/"]+)', log.read_text(encoding="utf-8")))
    own = (".google.com", ".googleapis.com", ".gvt1.com")  # where the browser asks for its updates
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return {host for host in hosts if not host.endswith(own)}, complaints


def test_numbers_for_people() -> None:
    assert [amount(v) for v in (12345.6, 123.45, 12.345, 0.12345, 0, math.nan)] == [
        "12,346", "123.5", "12.35", "0.123", "0.000", "\u2013",
    ]  # fmt: skip
    assert [short(v) for v in (0, 9999, 10_000, 139_414, 1_234_567, 29_354_000)] == [
        "0", "9999", "10k", "139k", "1.2M", "29M",
    ]  # fmt: skip
    assert count(1234567) == "1,234,567" and percent(0.12345) == "12.3 %" and percent(math.nan) == "\u2013"
    assert heat(0) == "#f7fafd" and heat(1) == "#174e8c"


class TestTables:
    def test_they_hold_the_numbers(self, found, tmp_path) -> None:
        written = write_files(found, None, tmp_path / "tables")
        assert [path.name for path in written] == list(NAMES)

        def rows(name: str) -> list[list[str]]:
            with (tmp_path / "tables" / name).open(encoding="utf-8-sig", newline="") as file:
                return list(csv.reader(file))

        matrix = rows("confusion_matrix.csv")
        assert [[int(cell) for cell in row[1:]] for row in matrix[1:]] == found.matrix.tolist()
        assert matrix[2][0] == "'=water"  # no formula
        header, *classes = rows("classes.csv")
        users = header.index("users_accuracy_low")
        for row, item in zip(classes, found.estimates.users, strict=True):
            assert float(row[users]) == pytest.approx(item.low, abs=1e-6)
        summary = dict(rows("summary.csv"))
        assert float(summary["overall accuracy, estimated"]) == pytest.approx(
            found.estimates.overall.value, abs=1e-6
        )
        assert sum(int(row[2]) for row in rows("reliability.csv")[1:]) == found.counted

    def test_tables_of_an_earlier_assessment_do_not_stay(self, found, exact, tmp_path) -> None:
        write_files(found, None, tmp_path)
        assert (tmp_path / "reliability.csv").exists()
        (tmp_path / "other.csv").write_text("mine")
        write_files(exact, None, tmp_path)
        assert not (tmp_path / "reliability.csv").exists() and (tmp_path / "other.csv").exists()


class TestDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "disk"
        folder.mkdir()
        mount = shutil.which("mount")
        done = mount and subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if not done or done.returncode:
            pytest.skip("mounting a small disk is not permitted here")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)

    def test_on_a_full_disk_the_earlier_report_is_kept(self, found, small_disk) -> None:
        (small_disk / "report.html").write_text("earlier")
        with pytest.raises(OutputError, match=rf"No space left on {small_disk}"):
            write_files(found, small_disk / "report.html", small_disk)
        assert [path.name for path in small_disk.iterdir()] == ["report.html"]
        assert (small_disk / "report.html").read_text() == "earlier"

    def test_what_cannot_be_written_is_told_first(self, tmp_path) -> None:
        labels = tmp_path / "map.tif"
        labels.write_bytes(b"")
        for report, folder, says in (
            (tmp_path / "report.pdf", None, r"use \.html"),
            (tmp_path / "gone" / "report.html", None, "does not exist"),
            (None, labels, "need a folder"),
            (None, tmp_path / "gone" / "tables", "does not exist"),
        ):
            with pytest.raises(OutputError, match=says):
                check_files(report, folder, [labels])
        check_files(tmp_path / "report.html", tmp_path / "tables", [labels])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["map.tif"]
