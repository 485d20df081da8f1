"""Killed with SIGKILL at any moment: the last index still answers, and the same call finishes the new one."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphret

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

CHILD = """
import itertools, os, signal, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import graphret
from fake_encoder import FakeEncoder
from graphret.data import ImageTable

folder, out, moment = sys.argv[2:5]
paths = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".png"))
table = ImageTable(ids=[os.path.basename(path) for path in paths], paths=paths, labels=[], label_names=())

def die():
    os.kill(os.getpid(), signal.SIGKILL)

kind, _, number = moment.partition(":")
if kind in ("flush", "flushed"):  # just before the n-th flush to the disk, or just after it
    real, turns = os.fsync, map(int(number).__eq__, itertools.count(1))
    def fsync(descriptor):
        its_turn = next(turns)  # one step of an iterator, also where several threads flush at once
        if its_turn and kind == "flush":
            die()
        real(descriptor)
        if its_turn:
            die()
    os.fsync = fsync

def progress(stage, done, total):
    if kind == stage and done >= int(number):
        die()

graphret.build(table, FakeEncoder(), out=out, k=6, shard_rows=8, batch_size=4, n_threads=1, progress=progress)
print("finished")
"""


def run_child(folder, out, moment, delay=None):
    """Build in another process; return whether it finished before it was killed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, str(HERE), str(folder), str(out), moment]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = child.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        output, _ = child.communicate()
    assert child.returncode in {0, -signal.SIGKILL}
    return "finished" in output


@pytest.fixture
def folder(film_table):
    return Path(film_table.root)


@pytest.fixture
def before(codes, tmp_path):
    return graphret.build(codes, out=tmp_path / "index", k=4)


def check_after_kill(root, before, films, make_encoder, whole):
    """Whatever the moment was: an index that answers, and a build that ends as if nothing had happened."""
    found = graphret.open(root)
    found.verify()
    if found.manifest["generation"] == "gen-000001":
        assert found.manifest == before.manifest
        assert np.array_equal(found.query("5", 4).positions, before.query("5", 4).positions)
    finished = graphret.build(films, make_encoder(), out=root, k=6, shard_rows=8, batch_size=4)
    assert finished.manifest["graph"] == whole.manifest["graph"]
    assert finished.manifest["communities"] == whole.manifest["communities"]
    left = {path.name for path in root.iterdir()}
    assert left == {"CURRENT", "LOCK", finished.manifest["generation"], finished.manifest["parent"]}
    assert not list(root.rglob("*partial*"))
    finished.verify()


# Flushes, one for a file and one for its folder: 10 for five shards, 2 for the codes, 6 for three stages, 6 for table,
# problems and manifest; 9 for arrays, whose folder is flushed when it is complete; then 2 for the folders of the
# generation, 1 for its name, 1 for the folder of work that is renamed, 2 for CURRENT.
N_FLUSHES = 39
MOMENTS = ["encode:20", "flush:23", f"flush:{N_FLUSHES - 1}"]
MORE_MOMENTS = [f"{kind}:{number}" for number in range(1, N_FLUSHES + 1, 3) for kind in ("flush", "flushed")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_chosen_moment(folder, film_table, film_index, before, make_encoder, moment):
    assert not run_child(folder, before.path, moment)
    check_after_kill(before.path, before, named_as_child(film_table), make_encoder, film_index)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*MORE_MOMENTS, "communities:0", "write:0", "write:1"])
def test_killed_at_every_moment(folder, film_table, film_index, before, make_encoder, moment):
    assert not run_child(folder, before.path, moment)
    check_after_kill(before.path, before, named_as_child(film_table), make_encoder, film_index)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_a_random_moment(folder, film_table, film_index, before, make_encoder, seed):
    delay = random.Random(seed).uniform(0.3, 4.0)
    run_child(folder, before.path, "never:0", delay)
    check_after_kill(before.path, before, named_as_child(film_table), make_encoder, film_index)


def test_a_killed_first_build_is_no_index_yet(folder, film_table, film_index, make_encoder, tmp_path):
    assert not run_child(folder, tmp_path / "index", "encode:24")
    with pytest.raises(graphret.NotAnIndexError, match="run the same build again to go on"):
        graphret.open(tmp_path / "index")
    encoder = make_encoder()
    index = graphret.build(named_as_child(film_table), encoder, out=tmp_path / "index", k=6, shard_rows=8, batch_size=4)
    assert encoder.n_encoded == 24  # two shards were there
    assert index.manifest["graph"] == film_index.manifest["graph"]


def named_as_child(film_table):
    """The table that the other process makes: the same films under the names of their files."""
    from graphret.data import ImageTable

    paths = film_table.paths.tolist()
    return ImageTable(ids=[Path(path).name for path in paths], paths=paths, labels=[], label_names=())
