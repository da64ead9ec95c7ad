"""Shows the work on the environment while it runs, and what it has said when it is over."""

from __future__ import annotations

import re
import time

from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QFontDatabase, QTextCursor
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..client.errors import SetupCancelled
from ..client.install_steps import download_progress
from ..client.job import Job
from ..translation import tr

_INTERVAL = 100  # milliseconds between two looks at the job
_MOST_LINES = 2000
_AT_ONCE = 200  # lines
_ACTIVITY = re.compile(
    r"\s*(Collecting|Downloading|Building|Installing|Using cached|Obtaining|Preparing) ?(.*)"
)
_MEGABYTE = 1e6


class SetupProgress(QWidget):
    """The progress bar with its Cancel button, and the log."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Show nothing yet."""
        super().__init__(parent)
        self._job: Job | None = None
        self._shown, self._began = 0, 0.0
        self._step = self._activity = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self.look)
        self.bar = QProgressBar(objectName="setupBar", textVisible=False)
        self.bar.setToolTip(tr("How far a download is; it moves to and fro where that is not known."))
        self.cancel = QPushButton(tr("Cancel"), objectName="setupCancel", autoDefault=False)
        self.cancel.setToolTip(tr("Stop, and remove what is half made."))
        self.cancel.clicked.connect(self._cancel)
        self.status = QLabel(objectName="setupStatus", wordWrap=True)
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.log = QPlainTextEdit(objectName="setupLog", readOnly=True)
        self.log.setMaximumBlockCount(_MOST_LINES)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.log.setToolTip(tr("What the installation says."))
        self.log.setTabChangesFocus(True)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.status)
        layout.addLayout(row)
        layout.addWidget(self.log, 1)
        self._show_running(False)
        self.status.hide()
        self._show_log(False)

    def follow(self, job: Job) -> None:
        """Show a job, from its beginning."""
        self._job, self._shown, self._began = job, 0, time.monotonic()
        self._step, self._activity = job.title, ""
        self.log.clear()
        self._show_log(False)
        self.bar.setRange(0, 0)
        self.cancel.setEnabled(not job.cancelled)
        self._show_running(True)
        self._timer.start()
        self.look()

    def look(self) -> None:
        """Show what the job has said since the last look."""
        job = self._job
        if job is None:
            return
        done = job.done  # before the look, which may otherwise miss the last words
        said, self._shown = job.said(self._shown)
        # Of a flood only the end is shown; the file of the log has all of it.
        lines = [line for line in map(str, said[-_AT_ONCE:]) if not self._take(line)]
        if lines:
            self._append("\n".join(lines))
        if done:
            self._finish(job)
        else:
            self._tell()

    def _take(self, line: str) -> bool:
        """Understand a line; True when it is of no interest in the log."""
        progress = download_progress(line)
        if progress is not None:
            done, total = progress
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * done / max(1, total)))
            return True
        if line.endswith(" ..."):
            self._step, self._activity = line[:-4], ""
        activity = _ACTIVITY.match(line)
        if activity is not None:
            self._activity = f"{activity[1]} {activity[2].split(' (')[0]}"[:80]
        self.bar.setRange(0, 0)
        return False

    def _tell(self) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        parts = [f"{minutes}:{seconds:02}", self._step, self._activity]
        if self._job is not None and self._job.cancelled:
            parts = [tr("Cancelling…")]
        self._say(" · ".join(part for part in parts if part))

    def _finish(self, job: Job) -> None:
        self._timer.stop()
        self._job = None
        self._show_running(False)
        if isinstance(job.error, SetupCancelled):
            self._say(tr("{title} was cancelled; nothing was left behind.").format(title=job.title))
        elif job.error is not None:
            self._say(str(job.error))
            self._append(str(job.error))  # from where a command in it can be copied
        else:
            self._say(tr("{title} succeeded.").format(title=job.title))

    def _say(self, text: str) -> None:
        # Addresses and paths have no blanks to wrap at.
        self.status.setText(re.sub(r"([/\\=])", "\\1\u200b", text))
        self.status.show()

    def _show_running(self, on: bool) -> None:
        self.bar.setVisible(on)
        self.cancel.setVisible(on)

    def _append(self, text: str) -> None:
        self._show_log(True)
        self.log.appendPlainText(text)
        if not self.log.hasFocus():  # or somebody is reading it
            self.log.moveCursor(QTextCursor.MoveOperation.End)
            self.log.moveCursor(QTextCursor.MoveOperation.StartOfLine)

    def _show_log(self, on: bool) -> None:
        self.log.setVisible(on)
        # Without the log there is nothing that could grow.
        vertical = QSizePolicy.Policy.Preferred if on else QSizePolicy.Policy.Maximum
        self.setSizePolicy(QSizePolicy.Policy.Preferred, vertical)

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self.cancel.setEnabled(False)
            self._tell()
