"""The errors of the client side; every message is one sentence, with the fix where there is one."""

from __future__ import annotations


class ClientError(Exception):
    """Anything that keeps the plugin from using its backend."""


class BackendMissingError(ClientError):
    """There is no environment to run the backend in; the message tells how to set one up."""


class InterpreterError(ClientError):
    """No Python that fits was found, or the chosen one does not fit."""


class SetupError(ClientError):
    """The backend's environment could not be made, verified or removed."""


class CheckError(SetupError):
    """The environment was made, but does not work."""


class SetupCancelled(SetupError):
    """The user cancelled the set-up; what was half made is gone."""


class WorkerError(ClientError):
    """The worker could not be started, or ended before it answered.

    Attributes:
        tail: The end of its log.
    """

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.tail = tail


class ProtocolMismatchError(WorkerError):
    """The worker speaks another version of the protocol."""


class RequestError(ClientError):
    """The worker answered a request with an error.

    Attributes:
        kind: "user" for what the user can mend, "protocol" or "internal" for a mistake of ours.
        detail: The traceback of an internal error.
    """

    def __init__(self, message: str, kind: str = "", detail: str | None = None) -> None:
        super().__init__(message)
        self.kind, self.detail = kind, detail


class RequestCancelled(ClientError):
    """The request was cancelled; nothing was written."""
