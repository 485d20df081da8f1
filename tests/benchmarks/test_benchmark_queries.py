"""The query benchmark: ratios, exponents and limits from rows, the latest of every part; what counts as memory."""

import mmap

import numpy as np
import pytest

GRAPH_SEARCH = {"method": "graph", "beam": 200, "width": 64}


@pytest.fixture(scope="module")
def tables(script):
    return script("queries_tables")


def rows_of(script, session, ours_us, exponent=0.2):
    rows = [{"session": session, "part": "session", "environment": script("environment").environment()}]
    about = {"session": session, "data": "d1", "n": 60_000, "d": 784, "search": GRAPH_SEARCH}
    methods = []
    for method, median in (("graphret", ours_us), ("faiss-hnsw", 1000.0)):
        times = {"recall": 0.991, "median_us": median, "p99_us": 2 * median, "n_queries": 5000, "title": method}
        methods.append({"method": method, "compared": 9000.0, "visited": 100.0, "rescored": 200.0, **times})
    rows.append({**about, "part": "single", "methods": methods})
    runs = [{"run": run, "ours_s": seconds, "flat_s": 1.0} for run, seconds in enumerate((0.2, 0.25, 0.4))]
    shared = {"n_queries": 1000, "threads": 2, "recall": 0.992, "unequal": {"nearest": 0, "alpha_qe": 2}}
    rows.append({**about, "part": "batch", "runs": runs, **shared})
    for n in (1_000_000, 10_000, 100_000):
        row = {
            "data": "generated",
            "n": n,
            "d": 256,
            "search": GRAPH_SEARCH,
            "recall": 0.99,
            "compared": 9.0,
            "visited": 2.0,
        }
        times = {"median_us": 3 * n**exponent, "p99_us": 9 * n**exponent}
        rows.append({"session": session, "part": "growth", **row, **times})
    sizes = {"anonymous_bytes_a_film": 80.0, "mapped_bytes_a_film": 400.0, "codes_bytes_a_film": 3136.0}
    rows.append({**about, "part": "memory", "rankings": [{"ranking": "nearest", **sizes}]})
    first = {"import_s": 0.1, "open_s": 0.5, "first_query_s": 0.3, "import_to_first_hits_s": 0.9}
    rows.append({**about, "part": "first", "runs": [{"ranking": "nearest", **first}]})
    return rows


def test_ratios_and_exponents(script, tables):
    record = tables.record_of(rows_of(script, "a", 400.0))
    assert tables.ratio_of(record["single"][0]) == 2.5
    assert [row["n"] for row in record["growth"]] == [10_000, 100_000, 1_000_000]
    assert np.isclose(tables.exponent_of(record["growth"]), 0.2)
    limits = {what: (measured, limit) for what, measured, _, limit in tables.limits_of(record)}
    assert limits["d1: batch, IndexFlatIP / ours"] == (4.0, 2.0)
    assert limits["d1: resident beyond the codes, `nearest`, bytes a film"] == (480.0, 1500)
    assert limits["d1: queries whose hits depend on threads or batch, of all rankings"] == (2, 1)
    text = tables.markdown(record)
    assert "| faiss-hnsw |  | 0.9910 | 1000 | 2000 | 5,000 |" in text
    assert "graph search, beam 200, 64 bytes a film" in text
    assert "b = 0.20" in text
    assert "| d1, 60,000 films | nearest | 80 | 400 | 480 | 3136 |" in text


def test_only_the_latest_row_of_a_part_counts(script, tables):
    rows = rows_of(script, "old", 4000.0) + [row for row in rows_of(script, "new", 500.0) if row["part"] != "growth"]
    record = tables.record_of(rows)
    assert tables.ratio_of(record["single"][0]) == 2.0
    assert {row["session"] for row in record["growth"]} == {"old"}
    assert len(record["environments"]) == 2


def test_a_missed_limit_is_said(script, tables):
    text = tables.markdown(tables.record_of(rows_of(script, "a", 4000.0, exponent=0.7)))
    assert "| d1: median of Faiss HNSW / ours >= 0.5 | 0.25 | **no** |" in text
    assert "| growth of the median, exponent of N < 0.5 | 0.7 | **no** |" in text


def test_without_rows_of_the_peer_there_is_no_ratio(script, tables):
    rows = [row for row in rows_of(script, "a", 1.0) if row["part"] != "memory"]
    single = next(row for row in rows if row["part"] == "single")
    single["methods"] = [method for method in single["methods"] if method["method"] == "graphret"]
    record = tables.record_of(rows)
    assert tables.ratio_of(record["single"][0]) is None
    assert "HNSW / ours" not in tables.markdown(record)
    assert tables.exponent_of(record["growth"][:1]) is None


def test_resident_memory_is_told_apart(script, tmp_path):
    steps = script("queries_steps")
    np.save(tmp_path / "codes.npy", np.ones((4000, 500), np.float32))
    np.save(tmp_path / "search-codes.npy", np.ones((4000, 500), np.float32))
    before = steps.resident(str(tmp_path))
    assert (before["mapped"], before["codes"]) == (0, 0)
    codes = np.load(tmp_path / "codes.npy", mmap_mode="r")
    assert codes.sum() == 2_000_000
    others = np.load(tmp_path / "search-codes.npy", mmap_mode="r")
    assert others[:2000].sum() == 1_000_000
    own = np.frombuffer(mmap.mmap(-1, 64_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))  # never freed before
    own[:] = 1.0
    after = steps.resident(str(tmp_path))
    assert after["codes"] > 7_900_000
    assert 3_900_000 < after["mapped"] < 7_900_000
    assert after["anonymous"] - before["anonymous"] > 0.9 * own.nbytes


def test_the_smallest_ef_with_enough_recall(script):
    archive = script("queries_archive")
    truth = np.tile(np.arange(10), (100, 1))

    class Peer:
        def set_ef(self, ef):
            self.ef = ef

        def search(self, queries, k):
            right = np.arange(k) < min(k, self.ef // 8)  # all are found from 80 on
            return np.tile(np.where(right, np.arange(k), -1), (len(queries), 1))

    chosen = archive.choose_ef(Peer(), np.zeros((100, 2), np.float32), truth)
    assert chosen == {"ef": 80, "validation_recall": 1.0, "recall": 1.0}
