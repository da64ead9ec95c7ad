"""One text that tells a maintainer what the set-up looks like, without telling who its user is."""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .environment import Environment
from .install_steps import without_secrets
from .interpreter import Verdict

_LINES = 40


def diagnostics(
    facts: Mapping[str, str],
    verdicts: Iterable[Verdict] = (),
    environment: Environment | None = None,
    logs: Iterable[Path] = (),
    home: Path | None = None,
    user: str | None = None,
) -> str:
    """Write the report as Markdown.

    Args:
        facts: What the caller knows, by name: versions of QGIS and the plugin, settings.
        verdicts: The Pythons that were judged.
        environment: The environment in use.
        logs: Log files, of which the last lines are shown.
        home: The user's folder, which becomes ``~``; None asks the system.
        user: The user's name, which becomes ``USER``; None asks the system.
    """
    lines = ["## Protolabel", ""]
    about = {
        **facts,
        "System": platform.platform(),
        "Machine": platform.machine(),
        "Python": platform.python_version(),
    }
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", "### Environment", "", *_environment(environment)]
    lines += ["", "### Pythons", ""]
    lines += [f"- {_verdict(verdict)}" for verdict in verdicts] or ["- none was judged"]
    for log in logs:
        lines += ["", f"### {log.name}", "", "```", *_last_lines(log), "```"]
    return _anonymous("\n".join(lines) + "\n", home or Path.home(), _user() if user is None else user)


def _environment(environment: Environment | None) -> list[str]:
    if environment is None:
        return ["- none"]
    verified = environment.verified
    lines = [f"- Folder: {environment.folder}", f"- Device: {verified.device}"]
    lines += [f"- {name}: {version}" for name, version in verified.versions.items()]
    return lines + ([f"- Note: {verified.note}"] if verified.note else [])


def _verdict(verdict: Verdict) -> str:
    version = ".".join(map(str, verdict.probe.version)) if verdict.probe else "not asked"
    about = f"{verdict.candidate.path} ({verdict.candidate.source.value}, {version})"
    return f"{about}: {verdict.reason or 'fits'}"


def _last_lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]
    except OSError as error:
        return [f"cannot be read: {error.strerror or error}"]


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # what there is when the system knows no name
        return ""


def _anonymous(text: str, home: Path, user: str) -> str:
    text = without_secrets(text)
    spellings = {str(home), home.as_posix(), str(home).replace("\\", "\\\\")} - {"/", ".", ""}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = re.sub(re.escape(spelling) + r"(?![\w-])", "~", text, flags=re.IGNORECASE)
    if user:
        text = re.sub(rf"(?<![\w-]){re.escape(user)}(?![\w-])", "USER", text, flags=re.IGNORECASE)
    return text
