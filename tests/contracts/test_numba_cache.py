"""Kernels compiled by many processes meet in one cache on disk: none may be taken for another one.

The steps run in processes of their own on one fresh cache, in several orders, and must answer as with a cache that no
other process has touched.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHORT = ["diffusion in one thread", "contextual in one thread"]
"""Quick: with sorts of one name in their kernels, the check of the symbols fails here. The forms of kernels for threads
hold the same sorts, and take long to compile; they are in the slow run.
"""
README = ["build", "region_growing", "diffusion", "contextual", "diffusion"]
"""Processes that ended in a segmentation fault when kernels held such sorts; in the slow run."""
FURTHER = [
    *("nearest", "alpha_qe", "hamming", "label_aware", "scan", "one_thread", "filtered"),
    *("graph_search", "join", "communities", "hashing"),
]
ORDERS = {
    "as the README tells it": [*README, *FURTHER],
    "backwards": ["build", *reversed([*README[1:], *FURTHER])],
    "sorts first": ["build", "graph_search", "label_aware", "contextual", "diffusion", "join", "scan", "nearest"],
}
SAME_EVERYWHERE = re.compile(
    r"^NRT_|^__excinfo_unwrap_args|raise_with_shape_context|unicode_concat|_array_(min|max|sum)_|npy_(min|max)"
)
"""Numba's own functions whose name, with the types of their arguments, says all that they do."""


def run(script, *arguments, cache):
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    assert done.returncode == 0, f"{arguments[0]} ended with status {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def uncached(tmp_path_factory):
    """What a step answers with a cache of its own; the index is that of the first step."""
    known = {}

    def answer(step):
        if step not in known:
            index = tmp_path_factory.getbasetemp() / "uncached-index"
            known[step] = run("numba_steps.py", step, index, cache=tmp_path_factory.mktemp("cache"))
        return known[step]

    return answer


@pytest.fixture(scope="module")
def in_this_process(tmp_path_factory):
    """The same from this process, whose kernels come from the cache of the checkout."""
    spec = importlib.util.spec_from_file_location("numba_steps", HERE / "numba_steps.py")
    steps = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(steps)
    index = tmp_path_factory.mktemp("this-process") / "index"
    steps.build(index)
    return index, lambda step: steps.fingerprint(steps.STEPS[step](index))


def check_order(order, answer, folder, index=None):
    index = folder / "index" if index is None else index
    expected = {step: answer(step) for step in dict.fromkeys(order)}
    found = {step: run("numba_steps.py", step, index, cache=folder / "cache") for step in order}
    assert found == expected


def test_one_cache_for_several_processes(in_this_process, tmp_path):
    index, answer = in_this_process
    check_order(SHORT, answer, tmp_path, index)
    check_symbols(tmp_path / "cache")


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_one_cache_for_all_processes_in_any_order(order, uncached, tmp_path):
    check_order(ORDERS[order], uncached, tmp_path)
    check_symbols(tmp_path / "cache")


def check_symbols(cache):
    """No two cached kernels define functions that a loader could confuse.

    Numba numbers functions within a process, and names what it generates by an address: both are left out of the
    comparison, so that what holds for this cache holds for every one.
    """
    symbols = json.loads(run("numba_symbols.py", cache, cache=cache))
    assert symbols
    kernels = {}
    for name, places in symbols.items():
        plain = re.sub(r"0x[0-9a-f]+", "", re.sub(r"B\d+v\d+", "", name))
        kernels.setdefault(plain, set()).update(kernel for kernel, _ in places)
    confused = [
        f"{name}: {', '.join(sorted(found))}"
        for name, found in kernels.items()
        if len(found) > 1
        and not SAME_EVERYWHERE.search(name)
        and not (re.match(r"^_ZN8graphret", name) and "_3clocals_3e" not in name)
    ]
    assert not confused, "\n".join(confused)
