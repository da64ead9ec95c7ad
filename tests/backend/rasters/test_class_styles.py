"""Names and colours that the user chose."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import ProtolabelError
from backend.rasters.class_styles import ClassStyle, read_classes, renamed
from backend.rasters.palette import colors_for
from backend.rasters.support import ClassInfo


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "classes.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ('id,name,color\n3,"Wald, dicht",#00ff00\n\n 10 ,Straße,#ABCDEF\n', "utf-8"),
        ('Color;ID;note;Name\n#00ff00;3;;"Wald, dicht"\n#abcdef;10;x;Straße\n', "utf-8-sig"),
    ],
)
def test_read(tmp_path: Path, text: str, encoding: str) -> None:
    expected = (ClassStyle(3, "Wald, dicht", (0, 255, 0)), ClassStyle(10, "Straße", (171, 205, 239)))
    assert read_classes(write(tmp_path, text, encoding)) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column 'id'"),
        ("id,name\n1,a\n", "no column 'color'"),
        ("id,name,color\nx,a,#000000\n", "class id 'x'"),
        ("id,name,color\n-1,a,#000000\n", "class id '-1'"),
        ("id,name,color\n65535,a,#000000\n", "from 0 to 65534"),
        ("id,name,color\n1,,#000000\n", "no name for the class 1"),
        ("id,name,color\n1,a,red\n", "colour 'red' for the class 1"),
        ("id,name,color\n1,a\n", "colour '' for the class 1"),
        ("id,name,color\n1,a,#000000\n1,b,#000001\n", "class id 1 twice"),
        ('id,name,color\n1,"a,#000000\n', "is no CSV"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ProtolabelError, match=says) as caught:
        read_classes(write(tmp_path, text))
    assert "classes.csv" in str(caught.value)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ProtolabelError, match="does not exist"):
        read_classes(tmp_path / "gone.csv")
    with pytest.raises(ProtolabelError, match="cannot be read"):
        read_classes(tmp_path)
    (tmp_path / "latin.csv").write_bytes("id,name,color\n1,Straße,#000000\n".encode("latin-1"))
    with pytest.raises(ProtolabelError, match="not text in UTF-8"):
        read_classes(tmp_path / "latin.csv")


def test_other_classes_keep_their_names_and_get_other_colors() -> None:
    classes = [ClassInfo(1, "a"), ClassInfo(2, "water"), ClassInfo(3, "b"), ClassInfo(4, "c")]
    styles = [ClassStyle(3, "lake", (36, 102, 210)), ClassStyle(9, "absent", (1, 2, 3))]
    assert [info.name for info in renamed(classes, styles)] == ["a", "water", "lake", "c"]
    assert renamed(classes, None) == tuple(classes)
    colors = colors_for(classes, {style.id: style.color for style in styles})
    assert colors[3] == (36, 102, 210)
    assert len(set(colors.values())) == 4
    # The blue of water would be too near to the one that is taken.
    assert colors[2] != (36, 102, 209) == colors_for(classes)[2]
    twice = {1: (5, 5, 5), 3: (5, 5, 5)}
    assert colors_for(classes, twice)[1] == colors_for(classes, twice)[3] == (5, 5, 5)
