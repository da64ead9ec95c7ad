"""The commands that make an environment, and the choices that they depend on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .candidates import python_of

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_INDEX = "https://download.pytorch.org/whl/cu130"
_TORCH = re.compile(r"(torch|torchvision)(?![\w-])")


@dataclass(frozen=True)
class InstallOptions:
    """What to install from where.

    Attributes:
        torch_index: Where PyTorch comes from, None for where the other packages do; see :func:`torch_index`.
        proxy: The proxy, with user and password if it needs them.
        wheels: A folder of wheels to install from without any network.
        device: The device that has to work in the end.
        disk_space: Bytes that have to be free; PyTorch for CUDA alone takes 6 GB.
    """

    torch_index: str | None = None
    proxy: str | None = None
    wheels: Path | None = None
    device: str = "auto"
    disk_space: int = 10 << 30

    def variables(self, temporary: Path) -> dict[str, str]:
        """Variables for the children; a password in the arguments would be seen by every user of the machine."""
        variables = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
        variables["PIP_USER"] = "0"  # a user's pip.conf may ask for what environments do not have
        if self.proxy:
            names = ("http_proxy", "https_proxy")
            variables.update(
                {spelling(name): self.proxy for name in names for spelling in (str.lower, str.upper)}
            )
        return variables


@dataclass(frozen=True)
class Step:
    """One command of the installation.

    Attributes:
        title: What it does, as a noun.
        command: Program and arguments.
    """

    title: str
    command: tuple[str, ...]


def torch_index(cuda: bool, system: str = sys.platform) -> str | None:
    """Where PyTorch comes from; what PyPI holds is for CUDA on Linux and for the CPU elsewhere.

    Args:
        cuda: Whether it has to serve an NVIDIA card.
        system: As ``sys.platform``.
    """
    if system == "darwin":
        return None
    if system == "win32":
        return CUDA_INDEX if cuda else None
    return None if cuda else CPU_INDEX


def install_steps(python: Path, folder: Path, requirements: Path, options: InstallOptions) -> Iterator[Step]:
    """The commands that make an environment.

    Args:
        python: The interpreter to make it with.
        folder: The environment.
        requirements: The list that pip installs.
        options: What to install from where.
    """
    # Without pip at first: venv swallows what goes wrong with it.
    yield Step("Making of the environment", (str(python), "-I", "-m", "venv", "--without-pip", str(folder)))
    inside = [str(python_of(folder)), "-I", "-u", "-m"]  # -I passes over PYTHONUNBUFFERED
    yield Step("Installation of pip", (*inside, "ensurepip", "--upgrade"))
    pip = [*inside, "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    if options.wheels is not None:
        pip += ["--no-index", "--find-links", str(options.wheels)]
    else:
        yield Step("Upgrade of pip", (*pip, "--upgrade", "pip"))
        if options.torch_index:
            # First and alone, so that no other package can come from there.
            names = _torch_requirements(requirements)
            yield Step("Installation of PyTorch", (*pip, "--index-url", options.torch_index, *names))
    yield Step("Installation of the packages", (*pip, "-r", str(requirements)))


def without_secrets(text: str) -> str:
    """Take user names and passwords out of addresses."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _torch_requirements(requirements: Path) -> Iterator[str]:
    for line in requirements.read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if _TORCH.match(requirement):
            yield requirement
