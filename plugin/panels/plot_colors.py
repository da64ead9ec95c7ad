"""The colours of plots, after Okabe and Ito: they stay apart for colour-blind eyes, on bright and on dark windows."""

from __future__ import annotations

LINE_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MIOU_COLOR = "#009e73"
BASE_COLOR = "#848484"
