"""What an index leaves running does not end a program that is ending."""

import subprocess
import sys

import numpy as np
import pytest

import graphret

COUNTED = """
import os, sys
import pyarrow
from graphret.index.generation import open_generation
from pathlib import Path

pyarrow.set_cpu_count(8)  # as many threads as Arrow would start, also on one core
generation = open_generation(Path(sys.argv[1]))
generation.read_ids()
before = len(os.listdir("/proc/self/task"))
generation.read_films()
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted under /proc")
def test_films_are_read_without_threads_of_arrow(tmp_path):
    """One that lets go of Python's memory at exit aborts: "terminate called without an active exception"."""
    codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
    graphret.build(codes, out=tmp_path / "index", k=3, tune=False)
    counted = [sys.executable, "-c", COUNTED, str(tmp_path / "index")]
    assert subprocess.run(counted, capture_output=True, text=True, check=True).stdout == "0\n"
