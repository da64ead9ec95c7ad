"""The errors that a user can mend.

Every message is one sentence that names the thing at fault and the fix; commands print it without a traceback
and leave with exit code 2.
"""

from __future__ import annotations


class ProtolabelError(Exception):
    """Something the user can mend: an input, an option, a missing file or device."""


class RasterError(ProtolabelError):
    """A raster that cannot be read or understood."""


class SupportError(ProtolabelError):
    """Support polygons that cannot serve: no field, no class, no geometry inside the raster."""


class AssessmentError(ProtolabelError):
    """A label map and a reference that cannot be compared, or a sample that cannot be drawn."""


class ModelError(ProtolabelError):
    """A model that is unknown, damaged or of another architecture."""


class OutputError(ProtolabelError):
    """An output that cannot be written."""


class DeviceError(ProtolabelError):
    """A device that was asked for and is not there."""


class Cancelled(Exception):
    """The user cancelled; nothing was written."""
