#!/bin/sh
# One borrowed GPU, used well: the tests of tests/gpu, the papers' rates, and profiles/voc-subset-gpu trained and scored.
# On a bare machine: no DVC, Prefect or MLflow, no network, nothing installed for good.
#
#     sh benchmarks/gpu/run.sh PARTS OUT [unpack] [tests] [speed] [timing] [prepare] [train] [collect]
#
# PARTS is a folder with what `python -m benchmarks.gpu.pack` wrote, and pydantic's wheels in PARTS/wheels where Python
# has none; OUT gets logs, rates, results and the 8s net. FCN_DEVICE=cpu tries the same on a CPU; PARAMS names another
# profile, such as one with a few iterations.
set -eu
cd "$(dirname "$0")/../.."
[ $# -ge 2 ] || { echo "usage: sh benchmarks/gpu/run.sh PARTS OUT [STEP ...]; its first lines say what they are" >&2; exit 2; }
parts=$1 out=$2
shift 2
mkdir -p "$out"
[ $# -gt 0 ] || set -- unpack tests speed timing prepare train collect
for step; do
    case $step in unpack | tests | speed | timing | prepare | train | chain-of-others | collect) ;; *)
        echo "no step $step; there are unpack, tests, speed, timing, prepare, train and collect" >&2
        exit 2 ;;
    esac
done
params=${PARAMS:-profiles/voc-subset-gpu/params.yaml}
python=${PYTHON:-python3}
scratch=$(mktemp -d) others= wrong=
leave() {
    status=$?
    [ $status = 0 ] || tail -5 "$out/train.log" >&2 2>/dev/null || true
    [ -z "$others" ] || kill "$others" 2>/dev/null || true
    rm -rf "$scratch"
}
trap leave EXIT
if ! "$python" -c 'from pydantic import TypeAdapter' 2>"$scratch/said"; then
    "$python" -m pip install --quiet --no-index --find-links "$parts/wheels" --target "$scratch/modules" pydantic
fi
export PYTHONPATH="$scratch/modules${PYTHONPATH:+:$PYTHONPATH}"

fcn() {
    "$python" -m fcn "$@" --params "$params" 2>>"$out/train.log"
}

chain() {
    scoring=
    for run; do
        fcn train "$run"
        fcn evaluate "$run" & scoring="$scoring $!"
    done
    all_of $scoring
}

all_of() {
    failed=0
    for process; do wait "$process" || failed=1; done
    return $failed
}

for step; do
    began=$(date +%s)
    case $step in
    unpack)
        for part in "$parts"/*.zip; do
            "$python" -m zipfile -e "$part" ../shared
        done ;;
    tests) PYTHON=$python sh tests/gpu/run.sh >"$out/tests.log" 2>&1 || wrong=tests; tail -30 "$out/tests.log" ;;
    speed)
        "$python" -m benchmarks.gpu.speed --out "$out/speed.json" --profile "$out/step.txt" ${QUICK:+--quick}
        "$python" -m benchmarks.gpu.speed --page "$out/speed.json" >"$out/speed.md"
        # The hours of profiles/paper by these rates; a trial has none of its nets.
        [ -n "${QUICK:-}" ] || FCN_SPEED=$out/speed.json "$python" -m benchmarks.paper_plan >"$out/paper-plan.md" ;;
    timing) for net in fcn32s-alexnet fcn32s-vgg16 fcn16s-vgg16 fcn8s-vgg16; do fcn timing $net; done ;;
    prepare)
        fcn code
        fcn datasets voc2012 & voc=$!
        fcn datasets sbd & sbd=$!
        fcn weights vgg16-conv
        fcn weights alexnet-conv
        fcn classifiers vgg16-none
        all_of $voc $sbd
        fcn splits ;;
    train)
        # Two side by side: one alone leaves a third of the GPU idle. The second ends when the time is over.
        timeout "${SECONDS_LEFT:-86400}" sh benchmarks/gpu/run.sh "$parts" "$out" chain-of-others & others=$!
        chain voc-fcn32s-vgg16 voc-fcn16s-vgg16 voc-fcn8s-vgg16
        ended=0
        wait "$others" || ended=$?
        others=
        [ $ended = 0 ] || [ $ended = 124 ] || { echo "one of the others failed" >&2; exit 1; }
        [ $ended = 0 ] || echo "the time is over: not all of the others are trained"
        fcn figures ;;
    chain-of-others) chain voc-fcn32s-vgg16-fixed voc-fcn32s-alexnet voc-fcn32s-vgg16-scratch ;;
    collect) "$python" -m benchmarks.gpu.collect --params "$params" --net voc-fcn8s-vgg16 --out "$out" ;;
    esac
    echo "$step: $(($(date +%s) - began)) s"
done
[ -z "$wrong" ] || { echo "$wrong: FAILED, as $out/$wrong.log says; the other steps did their work" >&2; exit 1; }
