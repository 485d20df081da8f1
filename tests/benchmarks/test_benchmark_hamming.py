"""The Hamming benchmark at a small size: rows, ratios, tables."""

import json

import pytest


def test_it_runs_writes_and_reports(script, tmp_path, capsys):
    pytest.importorskip("faiss")
    sizes = [
        "--n",
        "3000",
        "--bits",
        "64",
        "--threads",
        "1",
        "--hits",
        "5",
        "--rows",
        "2000",
        "--d",
        "64",
        "--runs",
        "2",
    ]
    script("hamming").main(["--results", str(tmp_path), "--hashers", "lsh", "ksh", *sizes])
    record = json.loads((tmp_path / "hamming.json").read_text(encoding="utf-8"))
    assert [(row["queries"], row["hits"]) for row in record["search"]] == [(1, 5), (1000, 5)]
    assert [row["hasher"] for row in record["encode"]] == ["ksh", "lsh"]
    assert all(len(row["ours_s"]) == 2 for part in ("search", "encode") for row in record[part])
    text = (tmp_path / "hamming.md").read_text(encoding="utf-8")
    assert text.strip() in capsys.readouterr().out
    assert "64 x 300 x 64" in text
    assert "3,000" in text


def test_the_last_row_of_a_case_counts_and_ratios_are_run_by_run(script):
    tables = script("hamming_tables")
    case = {"part": "search", "bits": 64, "threads": 1, "queries": 1, "hits": 10, "n": 100, "calls": 2}
    row = {**case, "session": "b", "ours_s": [1.0, 2.0], "faiss_s": [2.0, 8.0]}
    environment = {"part": "session", "environment": {"of": "b"}}
    record = tables.record_of(
        [
            {**environment, "session": "a"},
            {**environment, "session": "b"},
            {**row, "session": "a", "ours_s": [9.0, 9.0]},
            row,
        ]
    )
    assert record["search"] == [row]
    assert record["environments"] == [{"of": "b"}]
    assert tables.ratios_of(row) == [2.0, 4.0]
    assert tables.limits_of(record) == [("64 bits, one query, 10 hits, 1 thread: Faiss / ours", 3.0, ">=", 1.0)]
