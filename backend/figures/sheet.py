"""The comparison as one picture: panels of equal size, a legend below, the agreement in the title.

All places are in inches from the picture's lower left corner.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextToPath
from numpy.typing import NDArray
from shapely import box
from shapely.geometry.base import BaseGeometry

from ..rasters.label_map import write_error
from ..rasters.palette import Color, hex_color
from .comparison import Agreement, ClassStyle, Comparison

_DPI = 200
_PANEL = 5.2  # the longer side of a panel
_STRIP_PANEL = 8.6  # the same of very wide rasters, which stand one above the other
_NARROWEST = 2.9  # a column; a heading has to fit
_MARGIN, _GAP = 0.3, 0.25
_TITLE, _HEADING, _ROW = 0.66, 0.3, 0.27  # heights
_SWATCH, _SPACING = 0.2, 0.32  # of the legend
_TEXT, _QUIET, _FRAME = "#1f2328", "#59636e", "#c8ced5"
_CONFIDENCE = colormaps["magma"]
_NO_LABEL: Color = (255, 255, 255)
_MOST_CLASSES = 30  # in the legend
_LONGEST_NAME = 32  # characters


@dataclass(frozen=True)
class _Entry:
    """One class of the legend."""

    text: str
    color: Color | None

    @property
    def width(self) -> float:
        points, _, _ = TextToPath().get_text_width_height_descent(
            self.text, FontProperties(size=10), ismath=False
        )
        return _SWATCH + 0.09 + float(points) / 72 + _SPACING


@dataclass(frozen=True)
class _Sheet:
    """Where everything is."""

    columns: int
    rows: int
    panel_width: float
    panel_height: float
    legend: tuple[tuple[_Entry, ...], ...]

    @property
    def cell_width(self) -> float:
        return max(self.panel_width, _NARROWEST)

    @property
    def width(self) -> float:
        return 2 * _MARGIN + self.columns * self.cell_width + (self.columns - 1) * _GAP

    @property
    def height(self) -> float:
        panels = self.rows * (_HEADING + self.panel_height) + (self.rows - 1) * _GAP
        return 2 * _MARGIN + _TITLE + panels + 0.6 * _GAP + len(self.legend) * _ROW

    def corner(self, position: int) -> tuple[float, float]:
        """The lower left corner of a panel."""
        row, column = divmod(position, self.columns)
        below = (row + 1) * (_HEADING + self.panel_height) + row * _GAP
        return _MARGIN + column * (self.cell_width + _GAP), self.height - _MARGIN - _TITLE - below


def draw_comparison(comparison: Comparison, output: Path) -> None:
    """Write the picture.

    Args:
        comparison: What it shows.
        output: A ``.png``.

    Raises:
        OutputError: When it cannot be written.
    """
    headings = ["Orthophoto with support polygons" if comparison.support else "Orthophoto", "Label map"]
    pictures = [comparison.image, _colored(comparison.labels, comparison.classes)]
    if comparison.truth is not None:
        headings.append("Truth")
        pictures.append(_colored(comparison.truth, comparison.classes))
    if comparison.confidence is not None:
        headings.append("Confidence")
        pictures.append(_CONFIDENCE(comparison.confidence / 100, bytes=True))

    height, width = comparison.labels.shape
    sheet = _arrange(width, height, len(pictures), _entries(comparison))
    figure = Figure((sheet.width, sheet.height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for position, (heading, picture) in enumerate(zip(headings, pictures, strict=True)):
        left, bottom = sheet.corner(position)
        _text(figure, left, bottom + sheet.panel_height + 0.08, heading, 11)
        axes = _panel(figure, sheet, (left, bottom), picture)
        if position == 0:
            _draw_support(axes, comparison)
            if comparison.pixel_size is not None:
                _draw_scale_bar(figure, sheet, (left, bottom), comparison)
        if heading == "Confidence":
            _draw_color_bar(figure, left, bottom, sheet.panel_width)
    _draw_title(figure, sheet, comparison)
    _draw_legend(figure, sheet)
    _save(figure, output)


def round_length(metres: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50, ... that is not above a length."""
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres)


def _entries(comparison: Comparison) -> list[_Entry]:
    """List the classes, and white where a panel shows some."""
    classes = comparison.classes
    entries = [_Entry(_short(style.name), style.color) for style in classes[:_MOST_CLASSES]]
    if len(classes) > _MOST_CLASSES:
        entries.append(_Entry(f"and {len(classes) - _MOST_CLASSES} more", None))
    ids = [style.id for style in classes]
    shown = [picture for picture in (comparison.labels, comparison.truth) if picture is not None]
    if not all(np.isin(picture, ids).all() for picture in shown):
        entries.append(_Entry("no label", _NO_LABEL))
    return entries


def _arrange(width: int, height: int, panels: int, entries: Sequence[_Entry]) -> _Sheet:
    """Choose columns by the raster's shape, and break the legend into rows."""
    shape = width / height
    if shape > 2.4:
        columns, longest = 1, _STRIP_PANEL
    else:
        columns, longest = (panels if shape < 0.7 or panels == 3 else 2), _PANEL
    panel_width = max(longest * min(shape, 1.0), 0.4)
    panel_height = max(longest / max(shape, 1.0), 0.4)
    room = columns * max(panel_width, _NARROWEST) + (columns - 1) * _GAP + _SPACING
    legend: list[list[_Entry]] = [[]]
    for entry in entries:
        if legend[-1] and sum(e.width for e in legend[-1]) + entry.width > room:
            legend.append([])
        legend[-1].append(entry)
    rows = math.ceil(panels / columns)
    return _Sheet(columns, rows, panel_width, panel_height, tuple(tuple(row) for row in legend))


def _panel(figure: Figure, sheet: _Sheet, corner: tuple[float, float], picture: NDArray[np.uint8]) -> Axes:
    left, bottom = corner
    place = (left / sheet.width, bottom / sheet.height)
    size = (sheet.panel_width / sheet.width, sheet.panel_height / sheet.height)
    axes = figure.add_axes((*place, *size))
    height, width = picture.shape[:2]
    axes.imshow(picture, aspect="auto", extent=(0, width, height, 0))
    axes.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    axes.spines[:].set(color=_FRAME, linewidth=0.8)
    return axes


def _draw_support(axes: Axes, comparison: Comparison) -> None:
    """Outline the polygons in their colours, on white, so that they are seen on any ground."""
    colors = {style.id: hex_color(style.color) for style in comparison.classes}
    looks = {"facecolor": "none", "joinstyle": "round"}
    for id_, polygon in comparison.support:
        outline = _outline(polygon)
        axes.add_patch(PathPatch(outline, edgecolor="white", linewidth=2.6, zorder=2, **looks))
        axes.add_patch(
            PathPatch(outline, edgecolor=colors.get(id_, _QUIET), linewidth=1.3, zorder=3, **looks)
        )


def _draw_scale_bar(
    figure: Figure, sheet: _Sheet, corner: tuple[float, float], comparison: Comparison
) -> None:
    """Draw it in the first corner, from the lower left one on, where it hides no polygon."""
    assert comparison.pixel_size is not None  # nosec B101 - for the type checker
    height, pixels = comparison.labels.shape
    metres, width = pixels * comparison.pixel_size, sheet.panel_width
    length = round_length(metres * min(0.25, max(width - 0.5, 0.1) / width))
    long = width * length / metres
    plate = max(long, 0.45) + 0.2
    reach, deep = (plate + 0.1) / width * pixels, 0.48 / sheet.panel_height * height
    right, low = pixels - reach, height - deep
    corners = [(0.0, low), (right, low), (0.0, 0.0), (right, 0.0)]
    free = [
        (x, y)
        for x, y in corners
        if not any(polygon.intersects(box(x, y, x + reach, y + deep)) for _, polygon in comparison.support)
    ]
    x, y = (free or corners)[0]
    left = corner[0] + (width - plate - 0.1 if x > 0 else 0.1)
    bottom = corner[1] + (0.0 if y > 0 else sheet.panel_height - 0.58)
    middle = left + plate / 2
    _plate(figure, left, bottom + 0.1, plate, 0.38)
    _box(figure, middle - long / 2, bottom + 0.18, long, 0.045, facecolor=_TEXT)
    name = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    _text(figure, middle, bottom + 0.275, name, 8.5, ha="center")


def _draw_color_bar(figure: Figure, left: float, bottom: float, width: float) -> None:
    long, steps = min(1.5, width - 0.7), 100
    if long < 0.6:
        return
    _plate(figure, left + 0.1, bottom + 0.1, long + 0.5, 0.42)
    for step in range(steps):
        x = left + 0.33 + long * step / steps
        # A little wider than a step, or hairlines show between them.
        _box(figure, x, bottom + 0.18, long / steps * 1.1, 0.1, facecolor=_CONFIDENCE(step / (steps - 1)))
    frame = {"facecolor": "none", "edgecolor": _QUIET, "linewidth": 0.6}
    _box(figure, left + 0.33, bottom + 0.18, long, 0.1, **frame)
    for share in (0.0, 0.5, 1.0):
        _text(figure, left + 0.33 + long * share, bottom + 0.32, f"{100 * share:.0f} %", 8, ha="center")


def _draw_title(figure: Figure, sheet: _Sheet, comparison: Comparison) -> None:
    top = sheet.height - _MARGIN
    _text(figure, _MARGIN, top - 0.2, _short(comparison.name, 64), 15, weight="bold")
    if comparison.agreement is not None:
        where = "outside the support polygons" if comparison.support else "support pixels included"
        _text(
            figure, _MARGIN, top - 0.45, f"{_describe(comparison.agreement)}  ({where})", 10.5, color=_QUIET
        )
    else:
        _text(figure, _MARGIN, top - 0.45, f"{len(comparison.classes)} classes", 10.5, color=_QUIET)


def _describe(agreement: Agreement) -> str:
    return f"Mean IoU {agreement.mean_iou:.3f}   ·   Overall accuracy {agreement.accuracy:.3f}"


def _draw_legend(figure: Figure, sheet: _Sheet) -> None:
    for number, row in enumerate(reversed(sheet.legend)):
        x, y = _MARGIN, _MARGIN + number * _ROW
        for entry in row:
            if entry.color is not None:
                looks = {"facecolor": hex_color(entry.color), "edgecolor": _FRAME, "linewidth": 0.6}
                _box(figure, x, y - 0.02, _SWATCH, 0.15, **looks)
            _text(figure, x + (_SWATCH + 0.09 if entry.color else 0), y, entry.text, 10)
            x += entry.width


def _plate(figure: Figure, x: float, y: float, width: float, height: float) -> None:
    """A light ground for something that is read on top of a picture."""
    style = "round,pad=0,rounding_size=0.05"
    place: dict[str, Any] = {"transform": figure.dpi_scale_trans, "zorder": 4}
    figure.add_artist(
        FancyBboxPatch((x, y), width, height, style, facecolor="white", edgecolor="none", alpha=0.85, **place)
    )


def _box(figure: Figure, x: float, y: float, width: float, height: float, **looks: Any) -> None:
    looks = {"edgecolor": "none", **looks}
    figure.add_artist(Rectangle((x, y), width, height, transform=figure.dpi_scale_trans, zorder=5, **looks))


def _text(figure: Figure, x: float, y: float, text: str, size: float, **looks: Any) -> None:
    looks = {"color": _TEXT, "ha": "left"} | looks
    # A file or class name may hold a dollar sign, which is no mathematics here.
    looks |= {"transform": figure.dpi_scale_trans, "va": "baseline", "zorder": 6, "parse_math": False}
    figure.text(x, y, text, fontsize=size, **looks)


def _colored(ids: NDArray[np.integer[Any]], classes: Sequence[ClassStyle]) -> NDArray[np.uint8]:
    """Colour class ids; what is none of the classes stays white."""
    picture = np.full((*ids.shape, 3), _NO_LABEL, np.uint8)
    for style in classes:
        picture[ids == style.id] = style.color
    return picture


def _outline(polygon: BaseGeometry) -> Outline:
    parts = getattr(polygon, "geoms", [polygon])
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    return Outline.make_compound_path(
        *(Outline(np.asarray(ring.coords)[:, :2], closed=True) for ring in rings)
    )


def _short(name: str, longest: int = _LONGEST_NAME) -> str:
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"


def _save(figure: Figure, output: Path) -> None:
    """Write the picture whole or not at all; the same figure gives the same file."""
    part = output.with_name(output.name + ".part")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for it
            figure.savefig(part, format="png", metadata={"Software": None})
        part.replace(output)
    except OSError as error:
        raise write_error(output, error) from error
    finally:
        part.unlink(missing_ok=True)
