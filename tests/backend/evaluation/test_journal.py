"""The journal: whatever a killed process leaves, it opens with every whole line and goes on."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import OutputError
from backend.evaluation.counts import Counts
from backend.evaluation.journal import Journal, JournalError

SETTINGS = {"protocol": "panet", "classes": (1, 2), "size": 24}


def counts(seed):
    rng = np.random.default_rng(seed)
    return Counts(rng.integers(0, 2**40, (3, 3)), rng.integers(0, 9, 3))


def filled(path, blocks=3):
    journal = Journal(path, SETTINGS, 3)
    for number in range(blocks):
        journal.write((1234, 50 * number), 50, counts(number))
    return journal


def assert_blocks(journal, number):
    assert list(journal.blocks) == [(1234, 50 * i) for i in range(number)]
    for i, found in enumerate(journal.blocks.values()):
        np.testing.assert_array_equal(found.confusion, counts(i).confusion)
        np.testing.assert_array_equal(found.absent, counts(i).absent)


def test_counts_come_back(tmp_path):
    path = tmp_path / "deep" / "journal.jsonl"
    filled(path)
    assert_blocks(Journal(path, SETTINGS, 3), 3)


def test_a_write_cut_at_any_byte_loses_that_line_alone(tmp_path):
    path = tmp_path / "journal.jsonl"
    filled(path)
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content)):
        path.write_bytes(content[:length])
        journal = Journal(path, SETTINGS, 3)
        whole = sum(end <= length for end in ends)
        assert_blocks(journal, max(0, whole - 1))
        if length % 40 == 0:  # and goes on
            for number in range(len(journal.blocks), 3):
                journal.write((1234, 50 * number), 50, counts(number))
            assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("changed", "named"), [({"size": 32}, "size"), ({"protocol": "hsnet"}, "protocol"), ({"new": 1}, "new")]
)
def test_other_settings_are_refused_by_name(tmp_path, changed, named):
    path = tmp_path / "journal.jsonl"
    filled(path)
    with pytest.raises(JournalError, match=f"other settings \\({named}\\)"):
        Journal(path, {**SETTINGS, **changed}, 3)


def test_other_classes_are_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    filled(path)
    with pytest.raises(JournalError, match="classes"):
        Journal(path, SETTINGS, 4)


@pytest.mark.parametrize(
    "line",
    [b"{]", b"[1]", b'{"seed": 1}', b"\x00\x00", b'{"seed":1,"first":0,"confusion":[[1]],"absent":[0]}'],
)
def test_damage_before_the_end_is_told(tmp_path, line):
    path = tmp_path / "journal.jsonl"
    filled(path)
    lines = path.read_bytes().splitlines()
    lines[2] = line
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(JournalError, match=r"Line 3 .* damaged"):
        Journal(path, SETTINGS, 3)


def test_another_file_is_not_taken_for_a_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"type": "FeatureCollection"}\n')
    with pytest.raises(JournalError, match="not the journal"):
        Journal(path, SETTINGS, 3)
    assert path.read_text() == '{"type": "FeatureCollection"}\n'


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another output folder"):
        Journal(tmp_path / "file" / "journal.jsonl", SETTINGS, 3)
