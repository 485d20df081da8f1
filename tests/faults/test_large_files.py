"""Files of 16 MB and more are reserved, and flushed while they are written: kills and a full disk amid of them.

The short tests call every file large, so that an index of 40 films has all of them. The slow ones write files that are.
"""

import errno
import logging
import os
import random
import shutil
import signal
import time

import campaign
import numpy as np
import pytest
from campaign import add, anew, rebuild, remove, said

import graphret
from graphret._errors import StoreError
from graphret.files import atomic
from graphret.index import held
from graphret.index.changes import codes_file

OPERATIONS = [rebuild, add, remove, anew]
logger = logging.getLogger(__name__)


@pytest.fixture
def all_large(monkeypatch):
    """Every file is reserved and flushed beside its writing, and read as one that opening does not hash."""
    monkeypatch.setattr(held, "SMALL_FILE", 0)
    monkeypatch.setattr(atomic, "BLOCK_BYTES", 0)
    monkeypatch.setattr(atomic, "FLUSHED_BYTES", 1)
    monkeypatch.setattr(codes_file, "BLOCK_BYTES", 8 * 12 * 4)  # eight codes


@pytest.fixture
def states(small_codes, queries, tmp_path, all_large):
    """Of an operation: the index, a way back to it, what it says before and after, and the moments of a large file."""
    root, before = tmp_path / "small", tmp_path / "before"
    graphret.build(small_codes, out=root, k=3, n_threads=1, tune=False)
    shutil.copytree(root, before)

    def prepare(operation):
        first = said(root, queries)
        operation(root, small_codes)  # numba writes to its cache what it compiles: not counted below
        campaign.restore(before, root)
        with campaign.counting_large_files() as moments:
            operation(root, small_codes)
        after = said(root, queries)
        campaign.restore(before, root)
        assert {name for name, _ in moments} == {"reserve", "block", "flush"}
        return root, before, first, after, moments

    return prepare


def check_next(root, operation, small_codes, queries, after):
    """The same call ends as if nothing had happened, and nothing is left of the one before."""
    operation(root, small_codes)
    assert said(root, queries) == after
    assert not [path for path in root.rglob("*") if "partial" in path.name or path.name == ".build"]
    assert graphret.open(root).verify(deep=True)["unused"] == []


def some(moments, every):
    """Every n-th moment of each kind, and of each kind the last."""
    for name in sorted({name for name, _ in moments}):
        numbers = [number for number, (kind, _) in enumerate(moments, 1) if kind == name]
        yield from sorted({*numbers[::every], numbers[-1]})


@pytest.mark.parametrize("every", [pytest.param(60, id="short"), pytest.param(1, id="whole", marks=pytest.mark.slow)])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_kill_amid_a_large_file(states, small_codes, queries, operation, every):
    root, before, first, after, moments = states(operation)
    n_killed = 0
    for number in some(moments, every):

        def work(number=number):
            with campaign.counting_large_files(number, "kill"):
                operation(root, small_codes)

        ended = campaign.in_child(work)
        n_killed += ended == -signal.SIGKILL
        assert ended in {0, -signal.SIGKILL}  # threads share the moments: the last may be one less than was counted
        assert said(root, queries) == (first if ended else after)
        check_next(root, operation, small_codes, queries, after)
        campaign.restore(before, root)
    logger.info("%d kills of %s amid large files", n_killed, operation.__name__)
    assert n_killed >= 3


@pytest.mark.parametrize("every", [pytest.param(60, id="short"), pytest.param(1, id="whole", marks=pytest.mark.slow)])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_is_full_amid_a_large_file(states, small_codes, queries, operation, number, every):
    root, before, first, after, moments = states(operation)
    n_refused = 0
    for moment in some(moments, every):
        with campaign.counting_large_files(moment, number) as met:
            said_no = refusal(operation, root, small_codes)
        if said_no is None:
            assert len(met) < moment, "a refusal of the disk was lost"
        else:
            n_refused += 1
            assert os.strerror(number) in said_no
            assert "what was there before is unchanged" in said_no
            assert said(root, queries) == first
            assert not [path for path in root.rglob("*") if "partial" in path.name]
        check_next(root, operation, small_codes, queries, after)
        campaign.restore(before, root)
    logger.info("%d refusals of %s amid large files", n_refused, operation.__name__)
    assert n_refused >= 3


def refusal(operation, *arguments):
    """What an operation was refused with, or None."""
    try:
        operation(*arguments)
    except StoreError as error:
        return str(error)
    return None


N_FILMS, N_DIMENSIONS = 60_000, 128


@pytest.fixture(scope="module")
def large_codes():
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(200, N_DIMENSIONS)) * 2
    return (centres[rng.integers(200, size=N_FILMS + 50)] + rng.normal(size=(N_FILMS + 50, N_DIMENSIONS))).astype("f4")


@pytest.fixture(scope="module")
def large_index(large_codes, tmp_path_factory):
    """Its codes have 31 MB, and are written as a large file; so are its neighbours with k = 80."""
    root = tmp_path_factory.mktemp("large") / "index"
    return graphret.build(large_codes[:N_FILMS], out=root, k=80, tune=False, method="approximate", search="graph")


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["add", "remove", "build"])
def test_killed_at_random_moments_of_files_that_are_large(large_index, large_codes, tmp_path, operation):
    """The moment is drawn from the time between the first byte of the codes and the end."""
    work = {
        "add": lambda root: graphret.open(root).add(large_codes[N_FILMS:], ids=[f"new{row}" for row in range(50)]),
        "remove": lambda root: graphret.open(root).remove([str(row) for row in range(0, 500, 10)]),
        "build": lambda root: graphret.build(large_codes[:20_000], out=root, k=200, tune=False, search="exact"),
    }[operation]
    root, rng = tmp_path / "index", random.Random(8)
    expected = large_index.query(large_codes[N_FILMS : N_FILMS + 3], 10)
    n_amid = 0
    for turn in range(12):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(large_index.path, root, copy_function=os.link)
        child = os.fork()
        if not child:
            try:
                work(root)
            finally:
                os._exit(0)
        while os.waitpid(child, os.WNOHANG)[0] == 0 and not list(root.glob(".gen-000002.partial-*/*codes.npy*")):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, (0.05, 0.5)[turn % 2]))
        left = list(root.glob(".gen-000002.partial-*"))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        n_amid += bool(left)
        found = graphret.open(root)
        found.verify(deep=True)
        if found.generation == "gen-000001":
            hits = found.query(large_codes[N_FILMS : N_FILMS + 3], 10)
            assert np.array_equal(hits.positions, expected.positions)
            assert np.array_equal(hits.similarities, expected.similarities)
            work(root)
        else:
            found.remove([])
        assert graphret.open(root).generation == "gen-000002"
        names = {path.name for path in root.iterdir()}
        assert names == {"CURRENT", "LOCK", "gen-000001", "gen-000002"}
    assert n_amid >= 6
