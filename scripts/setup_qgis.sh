#!/usr/bin/env bash
# Makes the environment that the plugin is tested in: QGIS's own Python with requirements/qgis.txt. A second call
# returns at once. QGIS itself, xvfb and Python's venv come from Debian's packages; root installs what is missing of
# them, everybody else is told what to install.
#
# PROTOLABEL_QGIS_VENV   the environment's folder, default .venv-qgis
# QGIS_PYTHON            the interpreter that has QGIS's bindings, default /usr/bin/python3, else python3
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
requirements=requirements/qgis.txt
venv=${PROTOLABEL_QGIS_VENV:-.venv-qgis}
python=$venv/bin/python
stamp=$venv/.protolabel-qgis

has_qgis() { "$1" -c 'import qgis.core' 2>/dev/null; }

# The interpreter to make the environment with; the system's own, since a python3 in front of it has no bindings.
find_python() {
    local candidate
    for candidate in ${QGIS_PYTHON:+"$QGIS_PYTHON"} /usr/bin/python3 python3; do
        if command -v "$candidate" >/dev/null && has_qgis "$candidate"; then
            printf '%s' "$candidate"
            return
        elif [[ -n ${QGIS_PYTHON:-} ]]; then
            fail "QGIS_PYTHON=$QGIS_PYTHON cannot import qgis.core; name the Python that QGIS uses."
        fi
    done
}

missing_packages() {
    [[ -n $1 ]] || echo python3-qgis
    [[ -n $1 ]] && ! "$1" -c 'import ensurepip, venv' 2>/dev/null && echo python3-venv
    [[ -z $1 ]] && echo python3-venv
    command -v qgis >/dev/null && command -v qgis_process >/dev/null || echo qgis
    command -v xvfb-run >/dev/null || echo xvfb xauth
}

# One line that changes when the interpreter, QGIS or the requirements do; fails when the environment is broken.
fingerprint() {
    "$python" - "$requirements" <<'PYTHON' 2>/dev/null
import hashlib, pathlib, sys
from qgis.core import Qgis
import pytest, pytest_qgis, pytestqt
digest = hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest()
print(".".join(map(str, sys.version_info[:3])), Qgis.QGIS_VERSION_INT, digest)
PYTHON
}

found=$(find_python)
packages=$(missing_packages "$found" | tr '\n' ' ') || true
if [[ -n ${packages// /} ]]; then
    # shellcheck disable=SC2086 # one word a package
    install_packages $packages
    found=$(find_python)
fi
[[ -n $found ]] || fail "No Python can import qgis.core; install QGIS, or name QGIS's Python with QGIS_PYTHON."
if [[ -f $stamp && $(fingerprint) == "$(<"$stamp")" ]]; then
    exit 0
fi
if ! "$python" -c 'import pip, qgis.core' 2>/dev/null; then
    check_folder "$venv" PROTOLABEL_QGIS_VENV
    say "Making the test environment $venv with QGIS's $("$found" --version) ..."
    "$found" -m venv --clear --system-site-packages "$venv"
fi
"$python" -m pip install --disable-pip-version-check --quiet -r "$requirements" ||
    fail "pip could not install $requirements (see above); check the internet connection and the free disk space."
fingerprint >"$stamp.part" || fail "The installed packages do not fit QGIS's Python (see above)."
mv -f "$stamp.part" "$stamp"
say "The test environment is ready: $venv"
