"""The join from pieces in storage gives the table of the join in memory, in any order, after kills and damage."""

import dataclasses

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError, StoreError
from graphret.cluster import OnThisMachine, StoredJoin
from graphret.cluster.stored_join import _read_left, _read_plan
from graphret.files import SharedStages, Stages, open_stages
from graphret.index import BuildConfig
from graphret.index.build_memory import BuildMemory
from graphret.neighbors import nearest_neighbors

pytestmark = pytest.mark.usefixtures("small_blocks")


class Killed(Exception):
    pass


class Recording(OnThisMachine):
    """Does the pieces, notes them, and is killed after some."""

    def __init__(self, most=None, *, backwards=False):
        self.most, self.backwards, self.done = most, backwards, []

    def do(self, pieces, what, numbers, say):
        for number in list(numbers)[:: -1 if self.backwards else 1]:
            if self.most is not None and len(self.done) >= self.most:
                raise Killed
            super().do(pieces, what, [number], say)
            self.done.append((what, *number))


def table_of(codes, join=None, **options):
    return nearest_neighbors(codes, 9, n_threads=1, join=join, **options)


def assert_same(table, expected):
    for name in ("neighbors", "similarities"):
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    for name in ("method", "recall", "n_proven", "n_scanned"):
        assert getattr(table, name) == getattr(expected, name)


@pytest.mark.parametrize("options", [{"method": "exact"}, {"method": "approximate", "recall": 0.8}])
def test_same_table_as_in_memory_whatever_the_order(many_codes, tmp_path, options):
    expected = table_of(many_codes, **options)
    workers = Recording(backwards=True)
    assert_same(table_of(many_codes, StoredJoin(str(tmp_path / "a"), "sha", workers), **options), expected)
    attempts = len(workers.done) // 35
    assert len(workers.done) == attempts * (7 + 21 + 7)  # 420 codes are 7 blocks


class OneAtATime(OnThisMachine):
    """Notes which codes lie in storage when a block is joined."""

    def __init__(self, folder):
        self.folder, self.stored = folder, []

    def do(self, pieces, what, numbers, say):
        for number in numbers:
            if what == "block":
                self.stored.append(len(list(self.folder.glob("codes-*"))))
            super().do(pieces, what, [number], say)


def test_a_block_is_joined_before_the_codes_of_the_next_are_written(many_codes, tmp_path):
    workers = OneAtATime(tmp_path)
    table_of(many_codes, StoredJoin(str(tmp_path), "sha", workers), method="exact")
    assert workers.stored == [1, 2, 3, 4, 5, 6, 7]


def test_the_left_block_of_pairs_is_read_once(many_codes, tmp_path, monkeypatch):
    read, load = [], Stages.load

    def noted(self, name, key, only=None):
        if only != []:
            read.append((name, only))
        return load(self, name, key, only)

    monkeypatch.setattr(Stages, "load", noted)
    table_of(many_codes, StoredJoin(str(tmp_path), "sha", OnThisMachine()), method="exact")
    assert len([name for name, _ in read if name.startswith("parts-")]) == 6 + 21  # of 7 blocks; 21 pairs
    assert len([name for name, only in read if name.startswith("codes-") and "codes" in (only or [])]) == 7 + 6 + 21
    assert _read_left.cache_info().currsize == 0


def test_ties_and_duplicates(tmp_path):
    codes = np.random.default_rng(1).integers(1, 3, (300, 4)).astype(np.float32)
    join = StoredJoin(str(tmp_path), "sha", OnThisMachine())
    assert_same(table_of(codes, join, method="exact"), table_of(codes, method="exact"))


def test_a_killed_join_goes_on_with_the_next_piece(many_codes, tmp_path):
    place = str(tmp_path / "join")
    whole = Recording()
    expected = table_of(many_codes, StoredJoin(str(tmp_path / "whole"), "sha", whole), method="exact")
    for most in (3, 12, 30):  # among blocks, pairs, tables
        with pytest.raises(Killed):
            table_of(many_codes, StoredJoin(place, "sha", first := Recording(most)), method="exact")
        again = Recording()
        assert_same(table_of(many_codes, StoredJoin(place, "sha", again), method="exact"), expected)
        assert first.done + again.done == whole.done
        StoredJoin(place, "sha", again).forget()
        assert list((tmp_path / "join").iterdir()) == []


def test_pieces_of_other_codes_or_other_neighbours_are_not_taken(many_codes, tmp_path):
    place = str(tmp_path)
    table_of(many_codes, StoredJoin(place, "sha", OnThisMachine()), method="exact")
    for sha, k in (("other", 9), ("sha", 8)):
        again = Recording()
        nearest_neighbors(many_codes, k, method="exact", join=StoredJoin(place, sha, again))
        assert len(again.done) == 35


@pytest.mark.parametrize("name", ["pair-000001-000004", "parts-000001", "block-000001", "table-000001"])
def test_what_was_damaged_is_made_again(many_codes, tmp_path, name):
    expected = table_of(many_codes, method="exact")
    with pytest.raises(Killed):
        table_of(
            many_codes,
            StoredJoin(str(tmp_path), "sha", Recording(34 if name.startswith("table") else 27)),
            method="exact",
        )
    for file in tmp_path.glob(f"{name}-*"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1  # no reader but one that compares checksums sees it
        file.write_bytes(content)
    assert_same(table_of(many_codes, StoredJoin(str(tmp_path), "sha", OnThisMachine()), method="exact"), expected)


class Damaging(OnThisMachine):
    """Changes a byte of some codes, or of the plan, before the first pair."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name

    def do(self, pieces, what, numbers, say):
        if what == "pair":
            (file,) = self.folder.glob(f"{self.name}-*")
            content = bytearray(file.read_bytes())
            content[len(content) // 3] ^= 1
            file.write_bytes(content)
            _read_plan.cache_clear()
        super().do(pieces, what, numbers, say)


@pytest.mark.parametrize("name", ["codes-000003", "plan"])
def test_what_everything_is_made_of_is_said_to_be_damaged_and_the_next_run_writes_it_again(many_codes, tmp_path, name):
    with pytest.raises(StoreError, match="cannot be read any more: run the same command again"):
        table_of(many_codes, StoredJoin(str(tmp_path), "sha", Damaging(tmp_path, name)), method="exact")
    again = table_of(many_codes, StoredJoin(str(tmp_path), "sha", OnThisMachine()), method="exact")
    assert_same(again, table_of(many_codes, method="exact"))


def test_storage_behind_a_url(many_codes):
    pytest.importorskip("fsspec", reason="storage at a URL needs fsspec, which torch brings")
    place = "memory://graphret-test-join"
    expected = table_of(many_codes, method="exact")
    join = StoredJoin(place, "sha", OnThisMachine())
    assert_same(table_of(many_codes, join, method="exact"), expected)
    stages = open_stages(place)
    assert isinstance(stages, SharedStages)
    key = "a" * 32
    stages.save("one", key, {"n": 1}, {"x": np.arange(3)})
    stages.keep_only(key)
    assert stages.load("one", key).record == {"n": 1}
    join.forget()
    assert stages.load("one", key) is None


def test_storage_at_a_url_that_was_cut_off_or_refuses(monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="storage at a URL needs fsspec, which torch brings")
    files, stages = fsspec.filesystem("memory"), open_stages("memory://graphret-test-cut")
    stages.save("one", "key", {"n": 1}, {"x": np.arange(3)})
    (path,) = files.ls("/graphret-test-cut", detail=False)
    whole = files.cat_file(path)
    files.pipe_file(path, whole[: len(whole) // 2])
    assert stages.load("one", "key") is None

    def refuse(*_):
        raise PermissionError("access denied")

    monkeypatch.setattr(type(files), "pipe_file", refuse)
    with pytest.raises(StoreError, match="cannot write to memory://graphret-test-cut: access denied"):
        stages.save("one", "key")


def test_a_url_that_nothing_opens():
    pytest.importorskip("fsspec", reason="storage at a URL needs fsspec, which torch brings")
    with pytest.raises(InvalidParameterError, match=r"storage=.*a URL that fsspec opens"):
        open_stages("nowhere://x")


def assume_small(monkeypatch):
    """Let the formulas know of the small blocks, and of no samples."""
    for name, value in (("_SAMPLES", 0), ("BLOCK_ROWS", 64), ("FEWEST_BLOCKS", 4)):
        monkeypatch.setattr(f"graphret.index.build_memory.{name}", value)


def limit_for_blocks(codes, config):
    """A limit that only a join from pieces keeps to."""
    n_films, n_dimensions = codes.shape
    needs = BuildMemory.of(n_films, n_dimensions, config)
    limit = max(dataclasses.replace(needs, stored=True, starts_at_once=1).stages().values())
    assert limit < needs.stages()["neighbors"]
    return limit


def test_a_build_within_a_limit_is_the_same_index(many_codes, tmp_path, hashes_of, monkeypatch):
    options = {"k": 9, "tune": False, "search": "exact", "n_threads": 2}
    graphret.build(many_codes, out=tmp_path / "whole", **options)
    assume_small(monkeypatch)
    limit = limit_for_blocks(many_codes, BuildConfig(k=9, search="exact", n_threads=2))
    seen = []
    work = StoredJoin.__call__

    def noted(self, *arguments, **more):
        seen.append(self.place)
        return work(self, *arguments, **more)

    monkeypatch.setattr(StoredJoin, "__call__", noted)
    graphret.build(many_codes, out=tmp_path / "within", max_memory=limit, **options)
    assert len(seen) == 1
    left_out = ("max_memory",)
    assert hashes_of(tmp_path / "within", left_out) == hashes_of(tmp_path / "whole", left_out)


def test_a_limit_that_no_stage_fits_into(many_codes, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"max_memory=1000 .*at least [\d,]+ bytes, which the stage '\w+'"):
        graphret.build(many_codes, out=tmp_path / "a", k=9, tune=False, max_memory=1000)


def test_a_named_backend_is_not_passed_over(many_codes, tmp_path, monkeypatch):
    pytest.importorskip("faiss", reason="faiss is not installed")
    assume_small(monkeypatch)
    limit = limit_for_blocks(many_codes, BuildConfig(k=9, search="exact"))
    with pytest.raises(InvalidParameterError, match="backend='faiss'"):
        graphret.build(
            many_codes, out=tmp_path / "a", k=9, tune=False, search="exact", max_memory=limit, backend="faiss"
        )


def test_fewer_starts_at_once_and_blocks_on_disk_are_chosen_by_the_limit():
    needs = BuildMemory(2_000_000, 256, 50, 0.8, graph_search=True, stored=False, starts_at_once=8)
    assert needs.within(None) is needs
    within = needs.within(6_000_000_000)
    assert (within.stored, within.starts_at_once) == (True, 1)
    assert max(within.stages().values()) <= 6_000_000_000
    with pytest.raises(InvalidParameterError, match="the stage 'search' takes for 2,000,000 codes of 256 values"):
        needs.within(4_000_000_000)
