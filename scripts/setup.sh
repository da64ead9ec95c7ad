#!/usr/bin/env bash
# Makes the Python environment and brings it up to date; a second call returns at once.
#
#   scripts/setup.sh backend|demo|dev      installs requirements/<that>.txt
#
# PROTOLABEL_VENV   the environment's folder, default .venv
# PYTHON            the interpreter to make it with, default the first fitting of python3, python3.13 ... python3.10
#
# An interrupted call is made good by the next one: the environment counts as whole only once its stamp is written,
# and one that was left in the middle of installing is made anew.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
profile=${1:-dev}
requirements=requirements/$profile.txt
venv=${PROTOLABEL_VENV:-.venv}
python=$venv/bin/python
stamp=$venv/.protolabel-$profile
installing=$venv/.protolabel-installing

[[ -f $requirements ]] || fail "There is no $requirements; use backend, demo or dev."

# One line that changes when the interpreter or any requirement does; fails when the environment is broken.
fingerprint() {
    "$python" - requirements/{backend,demo,train,dev}.txt <<'PYTHON' 2>/dev/null
import hashlib, pathlib, sys
digest = hashlib.sha256()
for name in sorted(sys.argv[1:]):
    digest.update(pathlib.Path(name).read_bytes())
print(".".join(map(str, sys.version_info[:3])), digest.hexdigest())
PYTHON
}

# Whether an interpreter runs and has a version that the backend's packages exist for.
fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON was not found."
        fits "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1); Python 3.10 to 3.13 is needed."
        printf '%s' "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
}

# The Debian packages that are missing to make an environment with interpreter $1 and to build pydensecrf2 in it.
missing_packages() {
    local name=python3
    if [[ -z $1 ]]; then
        echo python3 python3-venv python3-dev
    else
        name=$("$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        "$1" -c 'import ensurepip, venv' 2>/dev/null || echo "$name-venv"
        "$1" -c 'import os, sysconfig as s; os.stat(os.path.join(s.get_path("include"), "Python.h"))' 2>/dev/null ||
            echo "$name-dev"
    fi
    command -v g++ >/dev/null || command -v c++ >/dev/null || command -v clang++ >/dev/null || echo g++
}

make_venv() {
    local found packages
    found=$(find_python)
    if [[ -z $found ]] && python3 --version >/dev/null 2>&1; then
        fail "$(python3 --version) does not fit: install Python 3.10, 3.11, 3.12 or 3.13, or name one with PYTHON."
    fi
    mapfile -t packages < <(missing_packages "$found" | tr ' ' '\n')
    if ((${#packages[@]})); then
        install_packages "${packages[@]}"
        found=$(find_python)
    fi
    [[ -n $found ]] || fail "No Python 3.10 to 3.13 was found; install one or name it with PYTHON."
    if [[ ! -e $installing && -f $python ]] && fits "$python" && "$python" -m pip --version >/dev/null 2>&1 &&
        [[ -z ${PYTHON:-} || $(version "$PYTHON") == $(version "$python") ]]; then
        return # only its packages are not up to date
    fi
    check_folder "$venv" PROTOLABEL_VENV
    say "Making the Python environment $venv with $("$found" --version) ..."
    "$found" -m venv --clear "$venv"
}

version() { "$1" -c 'import sys; print(sys.version_info[:3])' 2>/dev/null; }

whole() { [[ -f $1 && $(fingerprint) == "$(<"$1")" ]]; }

right_python() { [[ -z ${PYTHON:-} ]] || [[ $(version "$PYTHON") == $(version "$python") ]]; }

# What is installed for a larger profile serves a smaller one.
case $profile in
    backend) stamps=("$venv/.protolabel-backend" "$venv/.protolabel-demo" "$venv/.protolabel-dev") ;;
    demo) stamps=("$venv/.protolabel-demo" "$venv/.protolabel-dev") ;;
    *) stamps=("$stamp") ;;
esac
for file in "${stamps[@]}"; do
    if whole "$file" && right_python; then
        exit 0
    fi
done

make_venv
say "Installing $requirements into $venv; the first time this downloads PyTorch and takes a while ..."
quiet=(--quiet)
if [[ -t 1 ]]; then
    quiet=() # somebody is watching: show what is downloaded
fi
touch "$installing"
if ! "$python" -m pip install --disable-pip-version-check "${quiet[@]}" -r "$requirements"; then
    rm -f "$installing" # pip has taken back what it had begun
    fail "pip could not install $requirements (see above); check the internet connection and the free disk space."
fi
"$python" -c 'import torch, torchvision, rasterio, pyogrio, pydensecrf.densecrf' ||
    fail "The installed packages do not fit together (see above); run make again to make $venv anew."
rm -f "$installing"
fingerprint >"$stamp.part"
mv -f "$stamp.part" "$stamp"
say "The environment is ready: $venv"
