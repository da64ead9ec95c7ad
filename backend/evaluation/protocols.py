"""The protocols of evaluation, by name: how many runs of how many episodes, with which seeds, counted how."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import ProtolabelError
from .metrics import Counting


class ProtocolError(ProtolabelError):
    """A protocol that is unknown or cannot be used so."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """How an evaluation runs.

    Attributes:
        name: ``panet``, ``hsnet`` or ``patches``.
        seeds: One run each.
        episodes: Of a run; None for as many as there are query patches.
        counting: Which false positives count.
    """

    name: str
    seeds: tuple[int, ...]
    episodes: int | None
    counting: Counting

    def shortened(self, runs: int | None = None, episodes: int | None = None) -> EvaluationProtocol:
        """The same with fewer or more runs and episodes; further seeds count on from the last one."""
        seeds = self.seeds
        if runs is not None:
            if runs < 1:
                raise ProtocolError(f"{runs} runs cannot be evaluated; ask for at least one.")
            seeds = (*seeds, *range(seeds[-1] + 1, seeds[-1] + 1 + runs))[:runs]
        if episodes is not None and episodes < 1:
            raise ProtocolError(f"{episodes} episodes cannot be evaluated; ask for at least one.")
        return replace(self, seeds=seeds, episodes=self.episodes if episodes is None else episodes)


def protocol_names() -> tuple[str, ...]:
    """The protocols that ``protocol`` knows."""
    return ("panet", "hsnet", "patches")


def protocol(name: str) -> EvaluationProtocol:
    """A protocol by its name.

    * ``panet``: 5 runs of 1,000 episodes, seeds 1234 to 1238; counts are summed over all episodes of a run, false
      positives only in images that have the class. What PANet's test script does; DPCL says "the same protocols".
    * ``hsnet``: 1 run of 1,000 episodes, seed 0, all false positives, one way.
    * ``patches``: every patch of the test tiles once, 5 draws of the support patches with seeds 1234 to 1238, all
      false positives. Jiang et al. tell neither draws nor seeds.

    Raises:
        ProtocolError: When there is none of that name.
    """
    if name == "panet":
        return EvaluationProtocol("panet", tuple(range(1234, 1239)), 1000, "present")
    if name == "hsnet":
        return EvaluationProtocol("hsnet", (0,), 1000, "all")
    if name == "patches":
        return EvaluationProtocol("patches", tuple(range(1234, 1239)), None, "all")
    raise ProtocolError(f"There is no protocol {name}; choose one of {', '.join(protocol_names())}.")
