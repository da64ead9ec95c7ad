"""The plugin's one way to the backend: which Python runs it, its workers, and the work on its environment."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication, QObject, Qt, pyqtSignal

from .client.candidates import VARIABLE, is_python_name, python_of
from .client.environment import FOLDER_VARIABLE, Environments, data_folder
from .client.errors import BackendMissingError
from .client.install_steps import proxy_variables
from .client.job import Job, Work
from .client.verify import VERIFY_SCRIPT, Verified
from .client.worker_client import WorkerClient
from .client.worker_process import WorkerLaunch
from .proxy import qgis_proxy
from .settings import Settings
from .translation import tr

_ROOT = Path(__file__).resolve().parent.parent
FINE_TUNING = "finetuning"  # what the second worker is for
_LOGS_KEPT = 7 * 24 * 3600.0  # seconds
_JOBS_END = 10.0  # seconds; a killed installation removes what it has made


class BackendService(QObject):
    """One for each plugin; serves the window, QgsTask and qgis_process alike.

    Signals:
        changed: The environment or the settings are not what they were.
        jobDone: A job of :meth:`run` has ended; carries it.

    Attributes:
        settings: The present settings; :meth:`use` changes them.
        environments: The managed environments.
        setup: The job that works on the environment at the moment, or None; there is one at a time.
        checked: What environments that the user brought along turned out to be, by their Python.
    """

    changed = pyqtSignal()
    jobDone = pyqtSignal(object)
    _jobEnded = pyqtSignal(object)

    def __init__(
        self,
        parent: QObject | None = None,
        environ: Mapping[str, str] = os.environ,
        requirements: Path = _ROOT / "requirements" / "backend.txt",
        verify_script: str = VERIFY_SCRIPT,
    ) -> None:
        """Prepare; nothing is started or written before it is needed.

        Args:
            parent: The Qt object that it belongs to.
            environ: As ``os.environ``.
            requirements: What an environment has to hold.
            verify_script: What shows that it works; see :func:`verify`.
        """
        super().__init__(parent)
        self.environ, self.requirements, self.verify_script = environ, requirements, verify_script
        self._lock = threading.Lock()
        self._clients: dict[str, WorkerClient] = {}  # by what they are for
        self._clients_python: Path | None = None
        self._jobs: list[Job] = []
        self._then: dict[Job, Callable[[Any], None]] = {}
        self._jobEnded.connect(self._settle, Qt.ConnectionType.QueuedConnection)
        self.setup: Job | None = None
        self.checked: dict[Path | None, Verified] = {}
        self._closed = False
        self.settings = Settings.load()
        self.environments = self._environments()
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)

    @property
    def log(self) -> Path:
        """The worker's log; every QGIS has its own, since two would take turns to shorten one."""
        return self.environments.root / "logs" / f"worker-{os.getpid()}.log"

    def log_of(self, purpose: str) -> Path:
        """The log of the worker for a purpose; see :meth:`client`."""
        return self.log.with_name(f"{self.log.stem}-{purpose}.log") if purpose else self.log

    @property
    def chosen(self) -> str:
        """What the variable PROTOLABEL_PYTHON or else the setting names, empty for the managed environment."""
        return self.environ.get(VARIABLE) or self.settings.python

    @property
    def chosen_by_variable(self) -> bool:
        """Whether the variable PROTOLABEL_PYTHON decides."""
        return bool(self.environ.get(VARIABLE))

    @property
    def folder_by_variable(self) -> bool:
        """Whether the variable PROTOLABEL_DATA decides where the managed environment is."""
        return bool(self.environ.get(FOLDER_VARIABLE))

    def python(self) -> Path | None:
        """The Python that runs the backend: of the variable, of the setting, of the managed environment, or None."""
        if self.chosen:
            path = Path(os.path.abspath(self.chosen))
            python = python_of(path) if path.is_dir() else path
            return python if python.is_file() and is_python_name(python) else None
        found = self.environments.find()
        return found.python if found else None

    def verified(self) -> Verified | None:
        """What the environment in use consists of; None when there is none, or a brought one was not verified yet."""
        if self.chosen:
            return self.checked.get(self.python())
        found = self.environments.find()
        return found.verified if found else None

    def client(self, purpose: str = "") -> WorkerClient:
        """The connection to a worker, which starts with the first request; any thread may ask for it.

        Args:
            purpose: Each has a worker of its own, so that one that is busy for hours keeps no other waiting.

        Raises:
            BackendMissingError: When there is no Python to run it with; the message tells the way out.
        """
        python = self.python()
        if python is None:
            raise BackendMissingError(self.what_is_missing())
        with self._lock:
            if self._closed:
                raise BackendMissingError(tr("Protolabel is closing."))
            if self._clients_python != python:
                self._end_soon(self._taken())
            self._clients_python = python
            if purpose not in self._clients:
                self._remove_old_logs()
                environ = {**self.environ, **self._proxy()}
                launch = WorkerLaunch(python, _ROOT, self.log_of(purpose))
                self._clients[purpose] = WorkerClient(launch, environ)
            return self._clients[purpose]

    def restart(self) -> None:
        """End the workers without waiting for their end; the next :meth:`client` starts with the present settings."""
        with self._lock:
            clients = self._taken()
        self._end_soon(clients)

    def dismiss(self, purpose: str) -> None:
        """End one worker without waiting for its end, since it is not needed for now."""
        with self._lock:
            client = self._clients.pop(purpose, None)
        self._end_soon([client] if client else [])

    def stop_worker(self) -> None:
        """End the workers and wait for it, since a running one keeps its files from being removed on Windows."""
        with self._lock:
            clients = self._taken()
        for thread in self._end_soon(clients):
            thread.join()

    def use(self, settings: Settings) -> None:
        """Keep settings and act on them."""
        if settings != self.settings:
            settings.save()
            self.settings = settings
            self.environments = self._environments()
            self.refresh()

    def refresh(self) -> None:
        """Say that something has changed, after the worker was ended if it runs with another Python."""
        with self._lock:
            stale = bool(self._clients) and self._clients_python != self.python()
        if stale:
            self.restart()
        self.changed.emit()

    def run(self, work: Work, title: str = "", then: Callable[[Any], None] | None = None) -> Job:
        """Start a job, which is cancelled when QGIS closes.

        Args:
            work: See :class:`Job`.
            title: What it does, for the user.
            then: Called with its result in the service's thread, if it succeeds.
        """
        self._jobs = [job for job in self._jobs if not job.done]
        job = Job(work, title, self._on_job_done)
        self._jobs.append(job)
        if then is not None:
            self._then[job] = then
        return job

    def close(self) -> None:
        """Cancel the jobs and end the workers; more calls do nothing."""
        with self._lock:
            self._closed = True
        for job in self._jobs:
            job.cancel()
        self.stop_worker()
        deadline = time.monotonic() + _JOBS_END
        for job in self._jobs:
            job.join(max(0.0, deadline - time.monotonic()))

    def _on_job_done(self, job: Job) -> None:
        with contextlib.suppress(RuntimeError):  # the service may be gone by now
            self._jobEnded.emit(job)

    def _settle(self, job: Job) -> None:
        """Go on in the service's own thread."""
        then = self._then.pop(job, None)
        if then is not None and job.error is None and not self._closed:
            then(job.result)
        ours = job is self.setup
        if ours:
            self.setup = None
        self.jobDone.emit(job)
        if ours:
            self.changed.emit()

    def _proxy(self) -> dict[str, str]:
        """Lead the worker through QGIS's proxy, since it may have to download a model."""
        proxy = qgis_proxy() if self.settings.use_proxy else None
        # Python's own downloads know no SOCKS.
        return proxy_variables(proxy if proxy and proxy.startswith("http:") else None)

    def _environments(self) -> Environments:
        usual = self.folder_by_variable or not self.settings.folder
        root = data_folder(environ=self.environ) if usual else Path(self.settings.folder)
        return Environments(root, self.requirements, self.verify_script, self.environ)

    def what_is_missing(self) -> str:
        """One sentence on why there is no Python for the backend, and the way out."""
        if self.chosen_by_variable:
            text = tr(
                "The variable {variable} names {path}, which is no Python; mend it and start QGIS again."
            )
            return text.format(variable=VARIABLE, path=self.chosen)
        if self.settings.python:
            text = tr(
                "{path} is no Python any more; choose another one in Raster > Protolabel > Set Up Backend…."
            )
            return text.format(path=self.settings.python)
        text = tr(
            "The backend is not set up: choose Raster > Protolabel > Set Up Backend… in QGIS, "
            "or name its Python in the variable {variable}."
        )
        return text.format(variable=VARIABLE)

    def _taken(self) -> list[WorkerClient]:
        """All connections, which are forgotten; to be called with the lock held."""
        clients = list(self._clients.values())
        self._clients.clear()
        return clients

    def _end_soon(self, clients: Iterable[WorkerClient]) -> list[threading.Thread]:
        """End workers side by side."""
        threads = [
            threading.Thread(target=client.close, name="protolabel-close", daemon=True) for client in clients
        ]
        for thread in threads:
            thread.start()
        return threads

    def _remove_old_logs(self) -> None:
        with contextlib.suppress(OSError):
            for path in self.log.parent.glob("worker-*.log*"):
                with contextlib.suppress(OSError):  # on Windows another QGIS may hold it
                    if time.time() - path.stat().st_mtime > _LOGS_KEPT:
                        path.unlink()
