"""The commands that make an environment, and the choices that they depend on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .candidates import python_of

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_INDEX = "https://download.pytorch.org/whl/cu130"
_TORCH = re.compile(r"(torch|torchvision)(?![\w-])")
# Has no wheels: without a compiler it cannot be installed, and all but the refinement works without it.
_OPTIONAL = re.compile(r"pydensecrf")
_PIP = ("pip", "install", "--no-input", "--disable-pip-version-check")
_PIP_WITH_PROGRESS = "pip>=24.1"  # tells in lines how far a download is
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_GIGABYTE = 10**9


@dataclass(frozen=True)
class InstallOptions:
    """What to install from where.

    Attributes:
        cuda: Whether PyTorch has to serve an NVIDIA card, or only the CPU.
        proxy: The proxy, with user and password if it needs them.
        wheels: A folder of wheels to install from without any network.
        device: The device that has to work in the end.
        disk_space: Bytes that have to be free; None for what the build takes.
    """

    cuda: bool = False
    proxy: str | None = None
    wheels: Path | None = None
    device: str = "auto"
    disk_space: int | None = None

    @property
    def download(self) -> int:
        """Bytes that are loaded from the network, roughly."""
        if self.wheels is not None:
            return 0
        return (3 if self.cuda else 0) * _GIGABYTE + _GIGABYTE // 2

    @property
    def needed(self) -> int:
        """Bytes that have to be free."""
        return (10 if self.cuda else 3) * _GIGABYTE if self.disk_space is None else self.disk_space

    def for_cpu(self) -> InstallOptions:
        """The same for the CPU."""
        return replace(self, cuda=False, device="cpu")

    def variables(self, temporary: Path) -> dict[str, str]:
        """Variables for the children; a password in the arguments would be seen by every user of the machine."""
        variables = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
        variables["PIP_USER"] = "0"  # a user's pip.conf may ask for what environments do not have
        return {**variables, **proxy_variables(self.proxy)}


@dataclass(frozen=True)
class Step:
    """One command of the installation.

    Attributes:
        title: What it does, as a noun.
        command: Program and arguments.
    """

    title: str
    command: tuple[str, ...]


def proxy_variables(proxy: str | None) -> dict[str, str]:
    """The variables that lead a child through a proxy, none without one."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return dict.fromkeys(names, proxy) if proxy else {}


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
    """The commands that make an environment; :func:`optional_steps` follow.

    Args:
        python: The interpreter to make it with.
        folder: The environment.
        requirements: The list that pip installs.
        options: What to install from where.
    """
    # Without pip at first: venv swallows what goes wrong with it.
    yield Step("Making of the environment", (str(python), "-I", "-m", "venv", "--without-pip", str(folder)))
    yield Step("Installation of pip", (*_inside(folder), "ensurepip", "--upgrade"))
    pip, wanted = _pip(folder, options), list(_read(requirements))
    if options.wheels is None:
        quiet = (*_inside(folder), *_PIP, "--progress-bar", "off")
        yield Step("Upgrade of pip", (*quiet, "--upgrade", _PIP_WITH_PROGRESS))
        index = torch_index(options.cuda)
        if index is not None:
            # First and alone, so that no other package can come from there.
            torch = [requirement for requirement in wanted if _TORCH.match(requirement)]
            if torch:
                yield Step("Installation of PyTorch", (*pip, "--index-url", index, *torch))
    needed = [requirement for requirement in wanted if not _OPTIONAL.match(requirement)]
    yield Step("Installation of the packages", (*pip, *needed))


def optional_steps(folder: Path, requirements: Path, options: InstallOptions) -> Iterator[Step]:
    """The commands that may fail; they can be tried again in an environment that is whole."""
    for requirement in _read(requirements):
        if _OPTIONAL.match(requirement):
            title = f"Installation of {requirement}"
            yield Step(title, (*_pip(folder, options), requirement))


def compiler_needed(requirements: Path, wheels: Path | None = None) -> bool:
    """Whether a package has to be built; a folder of wheels may hold it ready."""
    names = [requirement for requirement in _read(requirements) if _OPTIONAL.match(requirement)]
    return bool(names) and (wheels is None or not any(wheels.glob("pydensecrf*.whl")))


def download_progress(line: str) -> tuple[int, int] | None:
    """Bytes done and bytes in all, when a line of pip's tells that."""
    found = _PROGRESS.fullmatch(line.strip())
    return (int(found[1]), int(found[2])) if found else None


def without_secrets(text: str) -> str:
    """Take user names and passwords out of addresses."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _inside(folder: Path) -> tuple[str, ...]:
    return (str(python_of(folder)), "-I", "-u", "-m")  # -I passes over PYTHONUNBUFFERED


def _pip(folder: Path, options: InstallOptions) -> tuple[str, ...]:
    if options.wheels is None:
        return (*_inside(folder), *_PIP, "--progress-bar", "raw")
    offline = ("--no-index", "--find-links", str(options.wheels))
    return (*_inside(folder), *_PIP, "--progress-bar", "off", *offline)


def _read(requirements: Path) -> Iterator[str]:
    for line in requirements.read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement:
            yield requirement
