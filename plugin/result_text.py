"""What a finished run says of itself: in a message, and with the label map for as long as that is kept."""

from __future__ import annotations

from typing import Any

from .expectation import means_text, no_borders_text, number_text, read_expectation, weakest_text
from .head_titles import head_title
from .label_run import time_text
from .translation import tr


def result_message(name: str, value: dict[str, Any]) -> str:
    """One or two sentences for the user.

    Args:
        name: Of the group of layers.
        value: The result; see :class:`backend.messages.Label`.
    """
    text = tr("“{0}” is on the map ({1}, {2}).").format(name, time_text(value["seconds"]), value["device"])
    expectation = read_expectation(value["expected"])
    if expectation is None:
        return text
    weakest = weakest_text(expectation)
    told = tr("{0}; weakest: {1}.").format(means_text(expectation), weakest)
    return f"{text} {told if weakest else means_text(expectation) + '.'}"


def result_description(value: dict[str, Any]) -> str:
    """A few lines for the layer: model, scale, matching, and how well left-out polygons were labelled.

    Args:
        value: As of :func:`result_message`.
    """
    model = tr("Model {0}, scale {1}. Matching: {2}.")
    lines = [model.format(value["model"], f"{value['scale']:g}", head_title(value["head"]))]
    expectation = read_expectation(value["expected"])
    if expectation is not None:
        classes = ", ".join(
            f"{item.name} {number_text(item.iou)} / {number_text(item.f1)}" for item in expectation.classes
        )
        lines.append(means_text(expectation) + ".")
        lines.append(tr("IoU / F1 of the classes there: {0}.").format(classes))
        lines.append(no_borders_text())
    return "\n".join(lines)
