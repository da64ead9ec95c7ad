"""What all algorithms have in common."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
)
from qgis.PyQt.QtGui import QIcon

from ...backend import protocol
from ..backend_service import BackendService
from ..client.errors import ClientError, RequestCancelled, RequestError
from ..client.pending import Pending
from ..client.worker_client import WorkerClient
from ..label_run import stage_text
from ..translation import tr
from .styling import LayerStyler

_TICK = 0.05  # seconds between two looks at the worker's news
_CANCELLING = 1.5  # seconds that a cancelled run is waited for; the client sees to its end meanwhile


class ProtolabelAlgorithm(QgsProcessingAlgorithm):
    """An algorithm of the provider.

    Layers are touched by :meth:`read` only, in the thread that they live in; :meth:`work` may run in any other.
    """

    USES_BACKEND = True
    WORKER = ""  # the one that does it; an algorithm that takes long has its own, and keeps no other waiting

    def __init__(self, service: BackendService, stylers: list[LayerStyler]) -> None:
        """Make one.

        Args:
            service: Where the backend comes from.
            stylers: Keeps what styles the layers after the run.
        """
        super().__init__()
        self._service, self._stylers = service, stylers
        self._client: WorkerClient | None = None
        self._problem: str | None = None

    def createInstance(self) -> ProtolabelAlgorithm:
        """One more of the same; Processing calls this."""
        return type(self)(self._service, self._stylers)

    def icon(self) -> QIcon:
        """The provider's."""
        return self.provider().icon() if self.provider() is not None else QIcon()

    def group(self) -> str:
        """The branch of the toolbox."""
        return tr("Land cover")

    def groupId(self) -> str:
        """Its name in scripts, never translated."""
        return "landcover"

    def about(self) -> str:
        """What the algorithm does, in some sentences."""
        raise NotImplementedError

    def shortHelpString(self) -> str:
        """The help beside the parameters."""
        parts = [f"<p>{html.escape(text, quote=False)}</p>" for text in self.about().split("\n")]
        for parameter in self.parameterDefinitions():
            title, help = (
                html.escape(text, quote=False) for text in (parameter.description(), parameter.help())
            )
            parts.append(f"<p><b>{title}</b>: {help}</p>")
        return "".join(parts)

    def canExecute(self) -> tuple[bool, str]:
        """Whether there is a backend; Processing asks before it shows the parameters."""
        if self.USES_BACKEND:
            try:
                self._service.client(self.WORKER)  # starts nothing
            except ClientError as error:
                return False, str(error)
        return True, ""

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read the layers; Processing calls this."""
        try:
            if self.USES_BACKEND:
                self._client = self._service.client(self.WORKER)
            self.read(parameters, context)
        except (ClientError, QgsProcessingException) as error:
            self._problem = str(error)  # Processing would tell the caller no more than that there were errors
        return True

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do it; Processing calls this."""
        if self._problem is not None:
            raise QgsProcessingException(self._problem)
        return self.work(parameters, context, feedback)

    def read(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take from the layers what the work needs, in the thread that they live in.

        Raises:
            QgsProcessingException: When something cannot serve.
        """
        raise NotImplementedError

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do it with plain data, in any thread; returns the outputs, none when it was cancelled.

        Raises:
            QgsProcessingException: When it fails.
        """
        raise NotImplementedError

    # For the algorithms.

    def _add(self, parameter: QgsProcessingParameterDefinition, help: str, advanced: bool = False) -> None:
        """Add a parameter with its help; advanced ones are folded away."""
        parameter.setHelp(help)
        if advanced:
            advanced_flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            parameter.setFlags(parameter.flags() | advanced_flag)
        self.addParameter(parameter)

    def _output(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> str | None:
        """The path of an output as Processing knows it, None when it is not wanted."""
        return self.parameterAsOutputLayer(parameters, name, context) or None

    def _style(
        self, output: str | None, context: QgsProcessingContext, style: Callable[[QgsMapLayer], None]
    ) -> None:
        """Style an output after the run, if it will be loaded at all."""
        if output is not None and context.willLoadLayerOnCompletion(output):
            styler = LayerStyler(style)
            self._stylers.append(styler)
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(styler)

    def _request(
        self, message: protocol.Request, feedback: QgsProcessingFeedback, hide: dict[str, str] | None = None
    ) -> dict[str, Any] | None:
        """Send a request and tell of its progress until it is done.

        Args:
            message: The request.
            feedback: Takes progress and texts, and may cancel.
            hide: Texts of the backend's messages that mean nothing to the user, with what to say instead.

        Returns:
            The result's values, None when the run was cancelled.

        Raises:
            QgsProcessingException: When it failed.
        """
        if self._client is None:
            raise QgsProcessingException(tr("The backend is not set up."))
        try:
            pending = self._client.request(message)
            report = _Report(feedback)
            while not pending.wait_done(_TICK):
                report(pending)
                if feedback.isCanceled():
                    pending.cancel()
                    pending.wait_done(_CANCELLING)
                    return None
            report(pending)
            return pending.wait(0)
        except RequestCancelled:
            return None
        except (ClientError, protocol.ProtocolError) as error:
            if isinstance(error, RequestError) and error.detail:
                feedback.pushDebugInfo(error.detail)
            text = str(error)
            for hidden, shown in (hide or {}).items():
                text = text.replace(hidden, shown)
            raise QgsProcessingException(text) from error


class _Report:
    """Tells the user what the worker tells."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback, self._stage = feedback, ""

    def __call__(self, pending: Pending) -> None:
        """Pass on what is new."""
        for news in pending.poll():
            if isinstance(news, protocol.Progress):
                self._feedback.setProgress(100.0 * news.done / max(news.total, 1))
                if news.stage != self._stage:  # every text stays in the log
                    self._stage = news.stage
                    self._feedback.setProgressText(stage_text(news.stage))
            elif isinstance(news, protocol.Log) and news.level == "warning":
                self._feedback.pushWarning(news.text)
            elif isinstance(news, protocol.Log):
                self._feedback.pushInfo(news.text)
