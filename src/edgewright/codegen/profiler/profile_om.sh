#!/bin/sh
# Profiles an .om with msprof.
#
#   sh profile_om.sh MODEL.om [FOLDER]     on the device: collects, and parses where this machine can
#   sh profile_om.sh --parse FOLDER        on a host with the CANN toolkit: parses what a board collected
#
# Boards where the NPU's own CPU runs the program (Atlas 200I DK A2 and other "RC" boards) have msprof in /var and
# cannot parse: copy FOLDER to a host and parse it there. Then, anywhere: edgewright profile --import FOLDER
# LOOPS and PYTHON may be set in the environment.
set -eu
umask 0027 # msprof refuses folders that others may write

here=$(cd "$(dirname "$0")" && pwd)

find_msprof() {
    for candidate in "$(command -v msprof || true)" "${ASCEND_HOME_PATH:-/nowhere}/tools/profiler/bin/msprof" /var/msprof; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            echo "$candidate"
            return
        fi
    done
    echo "profile_om: no msprof: source CANN's set_env.sh (on a DK A2 it is /var/msprof)." >&2
    exit 4
}

parsed() {
    for output in "$1"/PROF_*/mindstudio_profiler_output; do
        [ -d "$output" ] || return 1
    done
}

parse() {
    for capture in "$1"/PROF_*; do
        [ -d "$capture" ] || { echo "profile_om: $1 holds no PROF_ folder." >&2; exit 2; }
        "$msprof" --export=on --output="$capture"
    done
}

if [ "${1:-}" = --parse ]; then
    [ -d "${2:-}" ] || { echo "profile_om: name the folder that was collected." >&2; exit 2; }
    msprof=$(find_msprof)
    parse "$2"
    exit
fi

[ -f "${1:-}" ] || { echo "usage: sh profile_om.sh MODEL.om [FOLDER] | --parse FOLDER" >&2; exit 2; }
model=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
mkdir -p "${2:-prof}"
folder=$(cd "${2:-prof}" && pwd)
msprof=$(find_msprof)
# The board's msprof is started from its own folder.
cd "$(dirname "$msprof")"
"$msprof" --output="$folder" --ascendcl=on --task-time=on --ai-core=on --aic-mode=task-based \
    --aic-metrics=PipeUtilization "${PYTHON:-python3}" "$here/profile_om.py" "$model" --loops "${LOOPS:-20}"
cd "$here"
if parsed "$folder"; then
    echo "Parsed: $folder"
elif [ "$msprof" != /var/msprof ] && parse "$folder" && parsed "$folder"; then
    echo "Parsed: $folder"
else
    echo "Collected, not parsed: copy $folder to a host with the CANN toolkit and run there"
    echo "  sh profile_om.sh --parse $(basename "$folder")"
fi
