#!/bin/bash
# Converts every recipe in this folder. Run it on a machine with the vendor's toolkit; run again, it goes on where it was.
# The vendor's set_env.sh finds its own folder by $BASH_SOURCE (CANN 9.x): another shell sets wrong paths and says nothing.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -u
cd "$(dirname "$0")" || exit 1
conversions=$(pwd)  # no name that a script of the vendor would set too

if ! command -v atc >/dev/null 2>&1; then
    for script in "${ASCEND_SET_ENV:-}" /usr/local/Ascend/ascend-toolkit/set_env.sh /usr/local/Ascend/cann/set_env.sh
    do
        if [ -n "$script" ] && [ -r "$script" ]; then
            set +u
            . "$script"
            set -u
            cd "$conversions" || exit 1
            break
        fi
    done
fi
if ! command -v atc >/dev/null 2>&1; then
    echo "atc is not here. Say: ASCEND_SET_ENV=<toolkit>/set_env.sh bash convert.sh" >&2
    exit 1
fi
for file in "${ASCEND_HOME_PATH:-}/version.cfg" "${ASCEND_TOOLKIT_HOME:-}/version.cfg"; do
    if [ -r "$file" ]; then cp "$file" version.cfg; fi
done

# run RECIPE MODEL COMMAND...: once; what follows a failed step of the same recipe is left out
run() {
    folder=$1/$2
    shift 2
    step=$(printf '%s' "$*" | cksum | cut -d ' ' -f 1)
    cd "$conversions/$folder" || exit 1
    if [ -e .failed-now ] || [ -e ".done-$step" ]; then
        cd "$conversions"
        return
    fi
    echo "== $folder: $1"
    if "$@" >"log-$1.txt" 2>&1; then
        : >".done-$step"
    else
        : >.failed-now
        failed=1
        tail -n 20 "log-$1.txt" >&2
        echo "== $folder: $1 failed; the whole account is $folder/log-$1.txt" >&2
    fi
    cd "$conversions"
}

failed=0
find . -name .failed-now -exec rm -f {} +
# CONVERSIONS
if [ "$failed" -ne 0 ]; then
    echo "Some steps failed. What was converted can be taken back: edgewright build CONFIG --import FOLDER" >&2
    exit 1
fi
echo "All done. Take this folder back and say: edgewright build CONFIG --import FOLDER"
