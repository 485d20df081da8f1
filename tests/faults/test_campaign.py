"""The fault campaign: a short part in every run, the whole of it with `pytest -m slow tests/faults`.

Kills and failing calls while an index is written, damage of every kind, forgeries, and readers through many new
generations. What may come of it: the old index or the new one, whole; an error of graphret; never another answer.
"""

import errno
import logging
import os
import shutil
import time

import campaign
import numpy as np
import pytest
from campaign import OPERATIONS, said

import graphret
from graphret._errors import GraphretError
from graphret.index import held

logger = logging.getLogger(__name__)


def sizes(short, whole):
    return [pytest.param(short, id="short"), pytest.param(whole, id="whole", marks=pytest.mark.slow)]


@pytest.mark.parametrize("n", sizes(40, 2000))
@pytest.mark.parametrize("small", [0, 2**24], ids=["of any size", "small"])
def test_damage_is_found_before_it_changes_an_answer(root, queries, n, small, monkeypatch):
    monkeypatch.setattr(held, "SMALL_FILE", small)
    counts = campaign.run_damages(root, queries, n // 2, seed=small % 7)
    logger.info("%s", counts)
    assert sum(counts.values()) == n // 2
    assert counts["without effect"] <= max(2, n // 8)


@pytest.mark.parametrize("n", sizes(30, 1000))
def test_forgeries_are_refused_or_answered_and_crash_nothing(root, queries, n):
    counts = campaign.run_forgeries(root, queries, n, seed=5)
    logger.info("%s", counts)
    assert counts["refused"] > n // 3


@pytest.fixture
def small_root(small_codes, tmp_path):
    graphret.build(small_codes, out=tmp_path / "small", k=3, n_threads=1, tune=False).record_tuning(
        {"ranking": "alpha_qe", "options": {"n": 3}}
    )
    shutil.copytree(tmp_path / "small", tmp_path / "before")
    return tmp_path / "small"


def states(root, operation, codes, queries):
    """What the index says before and after an operation, and how many writing calls it makes."""
    before = said(root, queries)
    operation(root, codes)  # numba writes to its cache what it compiles: not counted below
    campaign.restore(root.parent / "before", root)
    n_calls = campaign.count_calls(lambda: operation(root, codes))
    after = said(root, queries)
    campaign.restore(root.parent / "before", root)
    return before, after, n_calls


@pytest.mark.parametrize("every", [pytest.param(16, id="short"), pytest.param(1, id="whole", marks=pytest.mark.slow)])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("how", ["kill before", "kill after"])
def test_a_kill_at_any_write_leaves_the_old_index_or_the_new_one(
    small_root, small_codes, queries, operation, how, every
):
    before, after, n_calls = states(small_root, operation, small_codes, queries)
    n_killed = 0
    for number in range(1, n_calls + 1, every):

        def work(number=number):
            with campaign.failing(number, how):
                operation(small_root, small_codes)

        ended = campaign.in_child(work)
        assert ended == -9, (number, n_calls)
        n_killed += 1
        assert said(small_root, queries) in (before, after)
        operation(small_root, small_codes)  # the same call again ends as if nothing had happened
        assert said(small_root, queries) == after
        assert not [path for path in small_root.rglob("*") if "partial" in path.name or path.name == ".build"]
        campaign.restore(small_root.parent / "before", small_root)
    logger.info("%d kills of %s", n_killed, operation.__name__)


@pytest.mark.parametrize("every", [pytest.param(16, id="short"), pytest.param(1, id="whole", marks=pytest.mark.slow)])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("how", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_leaves_the_old_index_or_the_new_one(
    small_root, small_codes, queries, operation, how, every
):
    before, after, n_calls = states(small_root, operation, small_codes, queries)
    n_refused = 0
    for number in range(1, n_calls + 1, every):
        try:
            with campaign.failing(number, how):
                operation(small_root, small_codes)
        except GraphretError:
            n_refused += 1
        assert said(small_root, queries) in (before, after)
        operation(small_root, small_codes)
        assert said(small_root, queries) == after
        campaign.restore(small_root.parent / "before", small_root)
    logger.info("%d failing calls of %s were errors, of %d", n_refused, operation.__name__, n_calls)
    assert n_refused


def built_anew(root, codes, number):
    """Build with one of two numbers of neighbours."""
    graphret.build(codes, out=root, k=(3, 6)[number], n_threads=1, tune=False)


def changed(root, codes, number):
    """Let films come that are nearer to the queries, or go again."""
    index, names = graphret.open(root), [f"new{row}" for row in range(5)]
    if number:
        index.add(codes[:5] * np.float32(1.1) + np.float32(0.01), ids=names, n_threads=1)
    else:
        index.remove(names, n_threads=1)


def which(index):
    """Of the two states between which generations go to and fro."""
    return index.manifest["parameters"]["k"], index.n_films


@pytest.mark.parametrize(
    ("n_readers", "n_swaps"),
    [pytest.param(3, 5, id="short"), pytest.param(8, 200, id="whole", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("swap", [built_anew, changed])
def test_readers_through_new_generations(small_codes, queries, tmp_path, n_readers, n_swaps, swap):
    """Each opens the index, waits, asks what it was not asked before, and compares with what its generation says."""
    root = tmp_path / "index"
    told = {}
    graphret.build(small_codes, out=root, k=3, n_threads=1, tune=False)
    for number in (1, 0):
        swap(root, small_codes, number)
        index = graphret.open(root)
        told[which(index)] = [
            index.query(queries, 4, ranking=name, n_threads=1).ids.tolist() for name in ("nearest", "region_growing")
        ]
    first, second = told.values()
    assert first != second
    stop = tmp_path / "stop"

    def read():
        kept = graphret.open(root)  # held from the first generation to the last
        n_rounds = 0
        while not stop.exists():
            index = graphret.open(root)
            time.sleep(0.02)
            for one in (index, graphret.open(root)):
                expected = told[which(one)]
                for name, ids in zip(("nearest", "region_growing"), expected, strict=True):
                    if one.query(queries, 4, ranking=name, n_threads=1).ids.tolist() != ids:
                        os._exit(4)
            n_rounds += 1
        late = kept.query(queries, 4, ranking="region_growing", n_threads=1).ids.tolist()
        if late != told[which(kept)][1] or not n_rounds:
            os._exit(5)

    def reader():
        child = os.fork()
        if child == 0:
            try:
                read()
                os._exit(0)
            finally:
                os._exit(6)
        return child

    children = [reader() for _ in range(n_readers)]
    try:
        for number in range(1, n_swaps + 1):
            swap(root, small_codes, number % 2)
    finally:
        stop.touch()
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ended == [0] * n_readers
    assert graphret.open(root).verify(deep=True)["unused"] == []


def test_the_campaign_sees_a_wrong_answer(root, queries, monkeypatch):
    """A test of the test: without the checksums of rows, changed codes change answers."""
    expected = campaign.answers(graphret.open(root), queries)
    monkeypatch.setattr(held, "SMALL_FILE", 0)
    monkeypatch.setattr(graphret.index.generation.Generation, "read_checksums", lambda _: None)
    path = root / "gen-000001" / "codes.npy"
    stored = np.load(path, allow_pickle=False)
    stored[1:] = stored[:-1].copy()
    np.save(path, stored, allow_pickle=False)
    assert campaign.answers(graphret.open(root), queries) != expected
