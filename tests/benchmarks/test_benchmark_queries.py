"""Tables of the query benchmark: ratios, exponents and limits from rows, the latest session of every part."""

import numpy as np
import pytest

WALK = {"method": "walk", "beam": 200, "width": 64}


@pytest.fixture(scope="module")
def tables(script):
    return script("queries_tables")


def rows_of(script, session, ours_us, exponent=0.2):
    rows = [{"session": session, "part": "session", "environment": script("environment").environment()}]
    about = {"session": session, "part": "single", "data": "d1", "n": 60_000, "d": 784, "search": WALK}
    for method, median in (("graphret", ours_us), ("faiss-hnsw", 1000.0)):
        times = {"recall": 0.991, "median_us": median, "p99_us": 2 * median, "n_queries": 5000, "title": method}
        rows.append({**about, "method": method, **times})
    for run, seconds in enumerate((0.2, 0.25, 0.4)):
        about = {"session": session, "part": "batch", "data": "d1", "n": 60_000, "n_queries": 1000, "threads": 2}
        rows.append({**about, "run": run, "ours_s": seconds, "flat_s": 1.0})
    for n in (10_000, 100_000, 1_000_000):
        row = {"n": n, "d": 256, "search": WALK, "recall": 0.99, "compared": 9000.0, "visited": 200.0}
        rows.append(
            {"session": session, "part": "growth", **row, "median_us": 3 * n**exponent, "p99_us": 9 * n**exponent}
        )
    memory = {"ranking": "nearest", "bytes_a_film": 480.0, "open_s": 0.1, "first_query_s": 0.2}
    rows.append(
        {"session": session, "part": "memory", "data": "d1", "n": 60_000, "import_to_first_hits_s": 2.0, **memory}
    )
    return rows


def test_ratios_and_exponents(script, tables):
    record = tables.record_of(rows_of(script, "a", 400.0))
    assert tables.ratio_of(record["single"]) == 2.5
    assert np.isclose(tables.exponent_of(record["growth"]), 0.2)
    limits = {what: (measured, limit) for what, measured, _, limit in tables.limits_of(record)}
    assert limits["d1: batch, IndexFlatIP / ours"] == (4.0, 2.0)
    assert limits["d1: memory beyond the codes, `nearest`, bytes a film"] == (480.0, 1500)
    text = tables.markdown(record)
    assert "| faiss-hnsw |  | 0.9910 | 1000 | 2000 | 5,000 |" in text
    assert "walk, beam 200, 64 bytes a film" in text
    assert "b = 0.20" in text


def test_only_the_latest_session_of_a_part_counts(script, tables):
    rows = rows_of(script, "old", 4000.0) + [row for row in rows_of(script, "new", 500.0) if row["part"] != "growth"]
    record = tables.record_of(rows)
    assert tables.ratio_of(record["single"]) == 2.0
    assert {row["session"] for row in record["growth"]} == {"old"}
    assert len(record["environments"]) == 2


def test_a_missed_limit_is_said(script, tables):
    text = tables.markdown(tables.record_of(rows_of(script, "a", 4000.0, exponent=0.7)))
    assert "| d1: median of Faiss HNSW / ours >= 0.5 | 0.25 | **no** |" in text
    assert "| growth of the median, exponent of N < 0.5 | 0.7 | **no** |" in text


def test_without_rows_of_the_peer_there_is_no_ratio(script, tables):
    rows = [row for row in rows_of(script, "a", 1.0) if row.get("method") != "faiss-hnsw" and row["part"] != "memory"]
    record = tables.record_of(rows)
    assert tables.ratio_of(record["single"]) is None
    assert "HNSW / ours" not in tables.markdown(record)
    assert tables.exponent_of(record["growth"][:1]) is None


def test_resident_memory_leaves_the_codes_out(script, tmp_path):
    steps = script("queries_steps")
    np.save(tmp_path / "codes.npy", np.ones((4000, 500), np.float32))
    np.save(tmp_path / "walk-codes.npy", np.ones((4000, 500), np.float32))
    before = steps.resident_bytes()
    codes = np.load(tmp_path / "codes.npy", mmap_mode="r")
    assert codes.sum() == 2_000_000
    between = steps.resident_bytes()
    others = np.load(tmp_path / "walk-codes.npy", mmap_mode="r")
    assert others.sum() == 2_000_000
    assert between - before < 4_000_000
    assert steps.resident_bytes() - between > 7_000_000
