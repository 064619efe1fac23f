# Shared by the scripts here; sourced, not run. Sets root (the checkout), cache and jobs.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${SATCHEL_CACHE:-$HOME/.cache/satchel}
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
jobs=${SATCHEL_JOBS:-$(nproc)}
program=$(basename "$0")
# The distribution's tools first: another Python in PATH would lack NumPy, another compiler be
# untested. CC and CXX still choose a compiler.
export PATH=/usr/bin:/bin:$PATH

say() { echo "$program: $*"; }

die() {
    echo "$program: $*" >&2
    exit 1
}

# Runs a command quietly: its output is kept in a file and shown only if it fails.
quietly() { # LOG COMMAND...
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        die "failed: $* (all of its output: $log)"
    fi
}

# Downloads a wheel of PyPI, if it has the hash given, into an empty folder, and prints its path. With a pip of
# our own: the system's may be absent, and another Python may come first in PATH.
fetch_wheel() { # NAME==VERSION HASH FOLDER
    local log=$cache/log/${1%%=*}
    echo "$1 --hash=$2" >"$3/requirements"
    quietly "$log" /usr/bin/python3 -m venv "$3/venv"
    quietly "$log" "$3/venv/bin/python" -m pip download -q --no-deps --disable-pip-version-check \
        --only-binary :all: --require-hashes -r "$3/requirements" -d "$3"
    echo "$3"/*.whl
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        # Without a terminal sudo must not wait for a password.
        if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
    else
        die "needs root for: $*"
    fi
}

# Prints the packages of the list that are not installed.
missing_packages() {
    local installed package
    installed=" $(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        awk '$2 == "installed" { printf "%s ", $1 }' || true)"
    for package in "$@"; do
        case $installed in *" $package "*) ;; *) echo "$package" ;; esac
    done
}

apt_updated=
apt_update() {
    [ -z "$apt_updated" ] || return 0
    say "packages: reading the package lists (apt-get update)"
    quietly "$cache/log/apt-update" as_root apt-get -q update
    apt_updated=yes
}

install_packages() {
    local missing
    missing=$(missing_packages "$@" | tr '\n' ' ')
    if [ -z "$missing" ]; then
        say "packages: all $# there"
        return
    fi
    command -v apt-get >/dev/null ||
        die "no apt-get here; install what docs/dependencies.md lists, then run meson by hand"
    apt_update
    say "packages: installing $missing"
    # shellcheck disable=SC2086
    quietly "$cache/log/apt-install" as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing
}

# Where the FAISS of the current recipe belongs; CXX as for scripts/faiss/build.
faiss_prefix() { echo "$cache/deps/$("$root/scripts/faiss/build" --name)"; }

ensure_faiss() {
    local prefix
    prefix=$(faiss_prefix)
    if [ -f "$prefix/lib/pkgconfig/satchel-faiss.pc" ]; then
        say "FAISS: there ($prefix)"
        return
    fi
    # The source list is made from what apt knows, so apt must have its lists.
    apt-get indextargets --format '$(ORIGIN)' 2>/dev/null | grep -q Debian || apt_update
    say "FAISS: building 1.7.3 from Debian's source, about 2 minutes on 2 cores"
    quietly "$cache/log/faiss" "$root/scripts/faiss/build" "$prefix"
}

# Builds the libraries of scripts/static-deps, if they are not there, and prints where. CC and AR as there.
static_deps_prefix() { # [--all]
    local prefix
    prefix=$cache/deps/$("$root/scripts/static-deps" "$@" --name)
    [ -f "$prefix/lib/pkgconfig/md4c.pc" ] ||
        quietly "$cache/log/static-deps" "$root/scripts/static-deps" "$@" "$prefix"
    echo "$prefix"
}

# Configures BUILD with the meson arguments, if it is not configured so already, and compiles it.
configure_and_build() { # BUILD ARGUMENTS...
    local build=$1 wanted argument
    shift
    # Files that the arguments name count by what is in them.
    wanted=$(
        printf '%s\n' "$@" "CC=${CC:-}" "CXX=${CXX:-}"
        for argument in "$@"; do
            case $argument in --cross-file=*) cat "${argument#*=}" ;; esac
        done
    )
    if [ -f "$build/build.ninja" ] && [ "$(cat "$build/.arguments" 2>/dev/null)" = "$wanted" ]; then
        :
    else
        say "build: configuring $build"
        if [ -d "$build/meson-private" ]; then
            rm -rf "$build"
        elif [ -e "$build" ]; then
            die "$build exists and is no build folder of meson; move it away"
        fi
        quietly "$cache/log/configure-$(basename "$build")" meson setup "$@" "$build" "$root"
        echo "$wanted" >"$build/.arguments"
    fi
    say "build: compiling $build"
    quietly "$cache/log/compile-$(basename "$build")" ninja -C "$build" -j "$jobs"
}

# Arguments of every native build.
native_arguments() {
    echo "-Dpkg_config_path=$(faiss_prefix)/lib/pkgconfig"
    # Extra arguments from outside, one word each.
    # shellcheck disable=SC2086
    [ -z "${SATCHEL_MESON_ARGS:-}" ] || printf '%s\n' $SATCHEL_MESON_ARGS
}
