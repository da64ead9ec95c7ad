"""What can be wrong with a dataset."""

from __future__ import annotations

from ..errors import ProtolabelError


class DatasetError(ProtolabelError):
    """A dataset that is missing, incomplete or malformed, or too small for the episodes that were asked for."""
