#!/bin/sh
# The tests of tests/gpu on a bare machine: no DVC, Prefect or MLflow, no network, nothing installed for good.
#
#     sh tests/gpu/run.sh [WHEELS]               on its GPU
#     FCN_DEVICE=cpu sh tests/gpu/run.sh         the same on a CPU, as a trial of the script
#
# WHEELS is a folder with pydantic's wheels, where Python doesn't have it:
#     pip download --only-binary :all: --python-version 3.12 --dest WHEELS pydantic
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if ! "$python" -c 'import pydantic' 2>"$scratch/said"; then
    wheels=${1:?"Python has no pydantic; name a folder with its wheels, as the head of this script says"}
    "$python" -m pip install --quiet --no-index --find-links "$wheels" --target "$scratch/modules" pydantic
fi
export PYTHONPATH="$scratch/modules${PYTHONPATH:+:$PYTHONPATH}"
"$python" -m pytest tests/gpu -m gpu -v --durations=5 -p no:cacheprovider --basetemp="$scratch/tests"
