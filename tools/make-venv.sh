#!/bin/sh
# Makes the virtual environment $1 with the first Python >= 3.11 found, or says in one line what is missing.
set -eu
venv=$1

for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        found=$python
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "Python 3.11 or newer is missing: install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)." >&2
    exit 1
fi
if ! "$found" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python's venv module is missing: install it (Debian, Ubuntu: apt install python3-venv)." >&2
    exit 1
fi
"$found" -m venv "$venv"
