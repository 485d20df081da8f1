#!/usr/bin/env bash
# All that is measured on a CUDA device, in one call of less than 12 minutes on a machine that may have nothing but torch and no network:
#
#     benchmarks/gpu_session.sh [--wheels DIR] [--results DIR] [--seconds N] [--dry-run]
#
# tests marked gpu, kNN graphs (gpu.py), codes (gpu_codes.py), training (gpu_training.py) and torch.compile (gpu_compile.py, each where it is there). Every part has a time of its own, is
# ended when that is over, and its failure stops none of the others. Results are gpu_*, and gpu_session.md says what was done and on which card.
#
#     --wheels DIR    wheels to install what is missing from, into a folder of this call (pip download -d DIR graphret[test] faiss-gpu on a machine with a network)
#     --results DIR   where results go (benchmarks/results)
#     --seconds N     for all parts together (690; a dry run 2400, since a processor may be slow, or busy with something else)
#     --dry-run       the same parts on the processor, with small sizes, to see that they go through
set -uo pipefail
cd "$(dirname "$0")/.."

wheels="" results=benchmarks/results seconds="" dry=0
while [ $# -gt 0 ]; do
    case "$1" in
        --wheels) wheels=${2:?--wheels needs a folder}; shift 2 ;;
        --results) results=${2:?--results needs a folder}; shift 2 ;;
        --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
        --dry-run) dry=1; shift ;;
        *) echo "gpu_session.sh: unknown option $1 (--wheels DIR, --results DIR, --seconds N, --dry-run)" >&2; exit 2 ;;
    esac
done
[ -n "$seconds" ] || { [ "$dry" = 1 ] && seconds=2400 || seconds=690; }
python=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
start=$(date +%s)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$results"
report="$results/gpu_session.md"
say() { echo "$(date +%H:%M:%S) $*" >&2; }
left() { echo $((seconds - $(date +%s) + start)); }

# What is missing is installed beside what is there, into a folder that goes away with this call.
if [ -n "$wheels" ]; then
    [ -d "$wheels" ] || { echo "gpu_session.sh: --wheels $wheels is not a folder" >&2; exit 2; }
    mkdir -p "$scratch/packages"
    # One process asks for all, and one installs all: sixty starts of Python would take minutes of the session.
    mapfile -t missing < <("$python" - "$wheels"/*.whl <<'PYTHON'
import importlib.metadata, os, sys
for wheel in sys.argv[1:]:
    try:
        importlib.metadata.version(os.path.basename(wheel).split("-")[0])
    except importlib.metadata.PackageNotFoundError:
        if os.path.exists(wheel):
            print(wheel)
PYTHON
    )
    install() { "$python" -m pip install --quiet --no-index --no-deps --target "$scratch/packages" "$@" 2>"$scratch/pip"; }
    if [ "${#missing[@]}" -gt 0 ] && ! install "${missing[@]}"; then
        for wheel in "${missing[@]}"; do # one that is made for another Python does not keep the others out
            install "$wheel" || say "$(basename "$wheel") cannot be installed: $(tail -1 "$scratch/pip")"
        done
    fi
    export PYTHONPATH="$PYTHONPATH:$scratch/packages"
fi

# Everything that is missing at once: a second session to learn the next name costs minutes of a device.
absent() { "$python" -c 'import importlib.util, sys; print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))' "$@"; }
needed=$(absent torch numba numpy scipy threadpoolctl)
if [ -n "$needed" ]; then
    echo "gpu_session.sh: no module named $needed (give the wheels of what is missing: --wheels DIR)" >&2
    exit 1
fi
some_need=$(absent torchvision PIL pyarrow pydicom openjpeg accelerate safetensors torchmetrics pytorch_metric_learning pytest psutil hypothesis)
[ -z "$some_need" ] || say "some parts need what is not here: $some_need (--wheels DIR)"
device=cuda
[ "$dry" = 1 ] && device=cpu
if [ "$device" = cuda ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "gpu_session.sh: torch sees no CUDA device (--dry-run goes through the same parts on the processor)" >&2
    exit 1
fi
card=$([ "$device" = cuda ] && "$python" -c 'import torch; print(torch.cuda.get_device_name())' || echo "the processor (dry run: no figure of it counts)")
versions=$("$python" -c 'import platform, torch; print("Python", platform.python_version() + ", torch", torch.__version__ + ", CUDA", torch.version.cuda)')
# Faiss's wheel is made for one version of CUDA, whose libraries such a machine may lack.
faiss=$("$python" -c 'import faiss; print("Faiss", faiss.__version__, "with", faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0, "GPUs")' 2>"$scratch/faiss") ||
    faiss="without Faiss: $(tail -1 "$scratch/faiss")"
say "$card; $versions; $faiss"
{
    echo "# Session on $card"
    echo
    echo "$versions; $faiss.${some_need:+ Not here: $some_need.}"
    echo
    echo "| part | what came of it | seconds |"
    echo "|---|---|---|"
} >"$report"

failed=0
# part NAME SECONDS COMMAND...: at most so many seconds, and no more than are left
part() {
    local name=$1 limit=$2 begun outcome rest
    shift 2
    rest=$(left)
    [ "$rest" -lt "$limit" ] && limit=$rest
    begun=$(date +%s)
    if [ "$limit" -lt 10 ]; then
        outcome="not run: no time left"
    else
        say "$name, at most $limit s"
        timeout --kill-after=5 "$limit" "$@" >"$scratch/out" 2>&1
        case $? in
            0) outcome=done ;;
            124 | 137) outcome="ended after $limit s" failed=1 ;;
            *) outcome="failed: $(grep -v '^ *$' "$scratch/out" | tail -1 | tr '|' ' ' | cut -c1-200)" failed=1 ;;
        esac
        [ "$outcome" = done ] || tail -30 "$scratch/out" >&2
        [ "$name" = "tests marked gpu" ] && outcome="$outcome ($(grep -E '[0-9]+ (passed|failed|skipped|deselected)' "$scratch/out" | tail -1 | tr -d '='))"
    fi
    say "$name: $outcome"
    echo "| $name | $outcome | $(($(date +%s) - begun)) |" >>"$report"
}
# script NAME SECONDS FILE ARGUMENTS...: a benchmark, where this checkout has it
script() {
    local name=$1 limit=$2 file=$3
    shift 3
    if [ -f "benchmarks/$file" ]; then
        part "$name" "$limit" "$python" "benchmarks/$file" --results "$results" --device "$device" "$@"
    else
        say "$name: this checkout has no benchmarks/$file"
        echo "| $name | not run: this checkout has no benchmarks/$file | 0 |" >>"$report"
    fi
}

if "$python" -c 'import pytest' 2>/dev/null; then
    workers=()
    "$python" -c 'import xdist' 2>/dev/null && workers=(-n 0)
    tests=(tests/neighbors/test_neighbors_gpu.py)
    # Files that have such tests: reading all others takes a minute, and needs packages that only they use.
    [ "$dry" = 1 ] || mapfile -t tests < <(grep -rl --include='test_*.py' 'mark\.gpu' tests | sort)
    part "tests marked gpu" 180 "$python" -m pytest -q -o addopts= --import-mode=importlib -p no:cacheprovider --continue-on-collection-errors \
        "${workers[@]}" -m gpu "${tests[@]}"
else
    say "tests marked gpu: not run, pytest is not there"
    echo "| tests marked gpu | not run: pytest is not there (--wheels DIR) | 0 |" >>"$report"
fi
if [ "$dry" = 1 ]; then
    script "kNN graphs" 600 gpu.py --n 2000 --sizes 2000x32 --runs 1
    script codes 600 gpu_codes.py --films 32 --files 8 --side 128 --size 32 --encoder resnet18
    script training 600 gpu_training.py --films 32 --size 32 --batch 8 --epochs 1 --seeds 1 --encoder resnet18 --seconds 0.2
    script "torch.compile" 300 gpu_compile.py --films 16 --size 32 --encoder resnet18 --backend eager
else
    script "kNN graphs" 240 gpu.py --runs 3
    script codes 150 gpu_codes.py
    script training 130 gpu_training.py
    script "torch.compile" 110 gpu_compile.py # last: it says what may be worth building, the others how good what there is is
fi
echo >>"$report"
echo "$(($(date +%s) - start)) seconds in all." >>"$report"
cat "$report"
exit "$failed"
