"""An index asked from several threads of a program, and from forked children, under every layer of threads of numba."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("threads_steps.py")
LAYERS = ("workqueue", "omp")
"""Workqueue ends a process in which two threads use it at once, GNU OpenMP a forked child that uses it again."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("threads") / "index"

    def call(step, **environment):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), step, str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, "NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", **environment},
        )
        assert done.returncode == 0, f"{step} ended with status {done.returncode}: {done.stderr[-2000:]}"
        return json.loads(done.stdout)

    return call


@pytest.mark.parametrize("layer", LAYERS)
def test_several_threads_of_a_program_may_ask_at_once(run, layer):
    assert run("threads", NUMBA_THREADING_LAYER=layer) == {"one thread": None, "several": layer, "same": 18}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_forked_child_may_ask_and_says_once_that_it_has_one_thread(run, layer):
    found = run("forks", NUMBA_THREADING_LAYER=layer)
    assert found["same"] == [True] * 6
    (said,) = found["said"]
    assert said.startswith("this process was forked")
    assert "works with 1 thread" in said


def test_a_child_of_a_process_without_threads_starts_its_own(run):
    assert run("early_fork", NUMBA_THREADING_LAYER="workqueue") == [True, "workqueue"]


def test_a_layer_that_is_not_there_leaves_one_thread(run):
    assert run("threads", NUMBA_THREADING_LAYER="nothing") == {"one thread": None, "several": None, "same": 18}


def test_a_forked_child_encodes_films(run):
    assert run("films") is True
