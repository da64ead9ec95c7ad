"""What lists and tooltips take from a card."""

from __future__ import annotations

import pytest

from backend.card_text import first_paragraph


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# aerial\n\nFor pixels of *0.3 m* to **1 m**,\nin `RGB`.\n\nMore.", "For pixels of 0.3 m to 1 m, in RGB."),
        ("aerial\n======\n\n![map](map.png)\n\nSee [NAIP](https://a.example/x).", "See NAIP."),
        ("Title\n---\nText\n# Next", "Text"),
        ("<!-- a\nremark -->\n| a | b |\n|---|---|\n\nText <https://a.example>", "Text https://a.example"),
        ("- first item,\n  still it\n- second", "first item, still it"),
        ("1. first\n2. second", "first"),
        (r"a\_b and c_d_e and 2 \* 3 and _so_ ~~not~~", "a_b and c_d_e and 2 * 3 and so not"),
        ("Windows\r\nlines\r\n\r\nnot this", "Windows lines"),
        ("# Only a heading", ""),
        ("***\n\n", ""),
        ("", ""),
        ("<!-- never closed\n\ntext", ""),
    ],
)  # fmt: skip
def test_first_paragraph(markdown: str, expected: str) -> None:
    assert first_paragraph(markdown) == expected


def test_a_long_one_is_cut_between_words() -> None:
    text = first_paragraph("# x\n\n" + "word, " * 100)
    assert len(text) <= 300
    assert text.endswith("word…")
