"""Turns what pip, the compiler and Python print when they fail into one sentence with the fix."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

_COMPILER = {
    "win32": "install the Build Tools for Visual Studio with C++",
    "darwin": "run `xcode-select --install` in a terminal",
    "linux": "on Debian and Ubuntu `sudo apt install g++ python3-dev` adds it",
}
# The first pattern that is found decides: what lies deeper stands first, since pip goes on to "no matching
# distribution" whatever kept it from looking.
_REASONS = (
    (
        r"No space left on device|Errno 28\b|WinError 112\b|not enough space on the disk",
        "The disk is full; free several gigabytes or choose another folder in the settings.",
    ),
    (
        r"407 Proxy|Proxy Authentication Required|ProxyError|Cannot connect to proxy",
        "The proxy refused the connection; check its address, user and password in QGIS's network settings.",
    ),
    (
        r"Missing dependencies for SOCKS",
        "pip cannot use a SOCKS proxy; set an HTTP proxy in QGIS's network settings "
        "or install from a folder of wheels.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|SSLError",
        "The server's certificate was not accepted, as happens behind a company's filter; "
        "set PIP_CERT to the company's certificate file or install from a folder of wheels.",
    ),
    (
        r"name resolution|getaddrinfo failed|nodename nor servname|Failed to establish a new connection"
        r"|NewConnectionError|Network is unreachable|ConnectTimeoutError|Read timed out|ReadTimeoutError"
        r"|Connection reset by peer|RemoteDisconnected|IncompleteRead|Connection broken|DO NOT MATCH THE HASHES",
        "The package server cannot be reached; check the internet connection and the proxy, "
        "or install from a folder of wheels.",
    ),
    (
        r"DLL load failed|WinError 126\b|WinError 1114\b",
        "A library of PyTorch does not load; install the newest Microsoft Visual C++ Redistributable (x64) "
        "and repair the environment.",
    ),
    (
        r"Microsoft Visual C\+\+ 14|Python\.h: No such file|Python\.h' file not found|unable to execute '"
        r"|command '[^']*(gcc|g\+\+|cc|c\+\+|clang|cl\.exe)' failed|xcrun: error"
        r"|Failed (to build|building wheel for).*pydensecrf",
        "pydensecrf2 could not be built since a C++ compiler is missing; {compiler}.",
    ),
    (
        r"no kernel image is available|CUDA error|CUDA driver version is insufficient|no NVIDIA driver"
        r"|NVIDIA driver on your system is too old|not compiled with CUDA|lib(cuda|cudnn|cublas|nvrtc)[\w-]*\.so",
        "The graphics card does not work with this PyTorch; update its driver or install for the CPU.",
    ),
    (
        r"operator torchvision::",
        "PyTorch and torchvision do not fit together; take both from the same place.",
    ),
    (
        r"ensurepip is not available|No module named '?ensurepip",
        "This Python cannot make environments; on Debian and Ubuntu `sudo apt install python3-venv` adds that.",
    ),
    (
        r"Windows Long Path support|WinError 206\b",
        "A path became too long for Windows; choose a folder with a short path, such as C:\\protolabel.",
    ),
    (
        r"WinError 1260\b|WinError 225\b|blocked by group policy",
        "This machine's policy or virus scanner does not let programs run from there; "
        "choose another folder, or an environment that already exists.",
    ),
    (
        r"Permission denied|Access is denied|WinError 5\b|Operation not permitted",
        "A file may not be written or run; look for a virus scanner that blocks it, or choose another folder.",
    ),
)
_MISSING = re.compile(r"No matching distribution found for ([^\s;(]+)")
_IMPORT = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")


def explain(lines: Sequence[str], step: str, offline: bool = False, system: str = sys.platform) -> str:
    """One sentence on why a step failed.

    Args:
        lines: What the step printed.
        step: What it was to do, as a noun.
        offline: Whether it installed from a folder of wheels.
        system: As ``sys.platform``.
    """
    text = "\n".join(lines)
    for pattern, sentence in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return sentence.format(compiler=_COMPILER.get(system, _COMPILER["linux"]))
    missing = _MISSING.search(text)
    if missing and offline:
        return f"The folder of wheels holds no {missing[1]} for this Python; add it with what it needs."
    if missing:
        return f"There is no {missing[1]} for this Python; choose another version of Python."
    absent = _IMPORT.search(text)
    if absent:
        return f"The package {absent[1]} is missing; repair the environment."
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
    return f"{step} failed: {last.rstrip('.')}."
