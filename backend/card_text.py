"""What a model card says in short; the plugin imports this as well, so it needs the standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LONGEST = 300  # characters
_COMMENT = re.compile(r"<!--.*?(-->|$)", re.DOTALL)
# What is no text: a heading, a rule, a table, a picture.
_OTHER = re.compile(r"#{1,6}(\s|$)|([-*_]\s*){3,}$|\||!\[")
_UNDERLINE = re.compile(r"(=+|-{2,})$")  # makes a heading of the line above
_ITEM = re.compile(r"^([-*+]|\d{1,9}[.)])\s+")
_MARKUP = re.compile(
    r"\\([!-/:-@\[-`{-~])"  # an escaped letter, which is none
    r"|!?\[([^\]]*)\]\([^)]*\)|<(https?://[^>\s]+)>"  # links
    r"|\*+|`+|~~|(?<!\w)_+|_+(?!\w)"
)


def first_paragraph(markdown: str) -> str:
    r"""The first paragraph of a Markdown text, as plain text on one line.

    Args:
        markdown: A model card. Headings, tables and pictures before the paragraph are passed over; of a list that
            comes first, its first item is taken.

    Returns:
        At most 300 characters, with "…" where more was said; "" when there is no paragraph.

    Example:
        >>> first_paragraph("# aerial\n\nFor pixels of *0.3 m*.\n\nMore.")
        'For pixels of 0.3 m.'
    """
    text = " ".join(" ".join(_lines(_COMMENT.sub("", markdown))).split())
    text = _MARKUP.sub(lambda found: found[1] or found[2] or found[3] or "", text)
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rsplit(" ", 1)[0].rstrip(",;:.") + "…"


def _lines(markdown: str) -> Iterator[str]:
    """The lines of the first paragraph."""
    lines = [line.strip() for line in markdown.splitlines()]
    begun = False
    for number, line in enumerate(lines):
        ends = not line or _OTHER.match(line) is not None
        if begun and (ends or _ITEM.match(line)):
            return
        heading = number + 1 < len(lines) and _UNDERLINE.match(lines[number + 1]) is not None
        if not ends and (begun or not (heading or _UNDERLINE.match(line))):
            begun = True
            yield _ITEM.sub("", line, count=1)
