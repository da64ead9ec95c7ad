"""What the machine has, as far as the set-up wants to know it beforehand; no program is run for it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_WHAT_BUILDS = {
    "win32": "the Build Tools for Visual Studio with C++",
    "darwin": "Xcode's command line tools (`xcode-select --install`)",
    "linux": "a C++ compiler and Python's headers (on Debian and Ubuntu `sudo apt install g++ python3-dev`)",
}


def has_nvidia(
    system: str = sys.platform, environ: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> bool:
    """Whether the driver of an NVIDIA card is there; whether PyTorch can use it shows only when it computes.

    Args:
        system: As ``sys.platform``.
        environ: As ``os.environ``.
        root: Where the system's folders are.
    """
    if system == "darwin":
        return False
    if system == "win32":
        windows = Path(environ.get("SYSTEMROOT") or r"C:\Windows")
        return (windows / "System32" / "nvml.dll").is_file()
    marks = ("proc/driver/nvidia/version", "dev/nvidiactl", "usr/lib/wsl/lib/libcuda.so.1")
    return any((root / mark).exists() for mark in marks)


def has_compiler(
    system: str = sys.platform, environ: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> bool:
    """Whether Python packages in C++ can most likely be built; the arguments are those of :func:`has_nvidia`."""
    if system == "win32":
        programs = Path(environ.get("PROGRAMFILES(X86)") or r"C:\Program Files (x86)")
        return (programs / "Microsoft Visual Studio" / "Installer" / "vswhere.exe").is_file()
    if system == "darwin":  # where /usr/bin/c++ is there in any case, and asks to install the rest
        tools = ("Library/Developer/CommandLineTools/usr/bin/c++", "Applications/Xcode.app")
        return any((root / tool).exists() for tool in tools)
    return any(shutil.which(name, path=environ.get("PATH")) for name in ("g++", "c++", "clang++"))


def what_builds(system: str = sys.platform) -> str:
    """What has to be installed for packages in C++ to be built."""
    return _WHAT_BUILDS.get(system, _WHAT_BUILDS["linux"])


def free_space(folder: Path) -> int | None:
    """Bytes that are free where a folder is or will be; None when nobody can tell."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
