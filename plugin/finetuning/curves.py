"""What is plotted while a model is fine-tuned: the parts of the loss, and how well held-out areas are labelled."""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]  # iteration and value
_MOST = 400  # points of a curve; more cannot be told apart on a screen


@dataclass
class Curve:
    """Values by iteration; of many, neighbours are averaged."""

    points: list[Point] = field(default_factory=list)

    def add(self, iteration: int, value: float) -> None:
        """Add a value; one that is not later than the last starts the rest of the curve anew, as a resumed run does."""
        while self.points and self.points[-1][0] >= iteration:
            self.points.pop()
        self.points.append((float(iteration), value))

    def thinned(self, most: int = _MOST) -> list[Point]:
        """At most so many points, each the mean of the same number of neighbours."""
        step = -(-len(self.points) // most) or 1
        groups = (self.points[start : start + step] for start in range(0, len(self.points), step))
        return [
            (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups
        ]


@dataclass
class Curves:
    """All that is plotted.

    Attributes:
        losses: The parts of the loss by their titles.
        miou: Mean IoU on what is held out, 0 to 1.
        untuned: That of the base model on the same, None while it is not known.
    """

    losses: dict[str, Curve] = field(default_factory=dict)
    miou: Curve = field(default_factory=Curve)
    untuned: float | None = None

    def add_loss(self, title: str, iteration: int, value: float) -> None:
        """Add the value of a part of the loss."""
        self.losses.setdefault(title, Curve()).add(iteration, value)

    @property
    def last(self) -> float:
        """The last iteration of all curves, 0 before the first."""
        return max(
            (curve.points[-1][0] for curve in (*self.losses.values(), self.miou) if curve.points), default=0.0
        )

    @property
    def best(self) -> Point | None:
        """The iteration with the highest mean IoU; the first of several."""
        return max(self.miou.points, key=lambda point: point[1], default=None)
