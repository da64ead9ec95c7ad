# Shell functions that the scripts in this folder share; to be sourced.

say() { printf '%s\n' "$*" >&2; }
fail() { say "Error: $*"; exit 2; }

# Installs Debian packages, or fails with the command that does.
install_packages() {
    local command="apt-get update && apt-get install -y --no-install-recommends $*" run=()
    if ! command -v apt-get >/dev/null; then
        fail "Missing on this system (names of the Debian packages): $*. Install them, then run make again."
    elif [[ $(id -u) != 0 ]]; then
        sudo -n true 2>/dev/null || fail "Missing: $*. Run this, then make again:  sudo sh -c '$command'"
        run=(sudo -n)
    fi
    say "Installing $* ..."
    run+=(env DEBIAN_FRONTEND=noninteractive apt-get)
    "${run[@]}" update -q >&2 || say "apt-get update failed; trying with the lists that are there."
    "${run[@]}" install -q -y --no-install-recommends "$@" >&2 ||
        fail "Installing failed. Run this as root, then make again:  $command"
}

# An environment's folder that make may empty: missing, empty or an environment.
check_folder() {
    if [[ -d $1 && -n $(ls -A "$1") && ! -f $1/pyvenv.cfg ]]; then
        fail "$1 exists and is no Python environment; move it away or set $2."
    fi
}
