"""Boxes that a narrow dock may squeeze."""

from __future__ import annotations

from typing import TypeVar

from qgis.PyQt.QtWidgets import QComboBox

_C = TypeVar("_C", bound=QComboBox)


def shrinkable(box: _C) -> _C:
    """Let a box be narrower than its longest entry, which the list that it opens shows in full."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(6)
    return box
