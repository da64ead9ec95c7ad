"""Errors that a user can mend, brought from a loader's processes as they are."""

from __future__ import annotations

from torch.utils.data import Dataset

from ..errors import ProtolabelError
from .episode import Episode


class Telling(Dataset["Episode | ProtolabelError"]):
    """Episodes, and in the place of one that cannot be drawn the error.

    A ``DataLoader`` would make the error's one sentence into the traceback of its process.
    """

    def __init__(self, episodes: Dataset[Episode]) -> None:
        """Wrap episodes."""
        self._episodes = episodes

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._episodes)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Episode | ProtolabelError:
        """Draw an episode."""
        try:
            return self._episodes[index]
        except ProtolabelError as error:
            return error


def told(loaded: Episode | ProtolabelError) -> Episode:
    """The episode that was loaded.

    Raises:
        ProtolabelError: When it is an error.
    """
    if isinstance(loaded, ProtolabelError):
        raise loaded
    return loaded
