"""TREC files come back as they were written, whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphret._errors import DataError, InvalidParameterError, MissingFileError, StoreError
from graphret.evaluation import evaluate_ranking, read_qrels, read_run, write_qrels, write_run

ANY_TEXT = st.text(st.characters(), min_size=1, max_size=8)  # blanks, %, control characters, surrogates


@given(
    queries=st.lists(ANY_TEXT, min_size=1, max_size=4, unique=True),
    films=st.lists(ANY_TEXT, min_size=1, max_size=6, unique=True),
    seed=st.integers(0, 1000),
)
def test_any_ids_come_back(queries, films, seed, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    rng = np.random.default_rng(seed)
    ranked = np.array([rng.permutation(len(films)) for _ in queries])
    ranked[0, 1:] = -1
    write_run(folder / "run", queries, ranked, films, tag="a tag")
    expected = {query: [films[i] for i in hits if i >= 0] for query, hits in zip(queries, ranked, strict=True)}
    assert read_run(folder / "run") == expected
    assert all(len(line.split(" ")) == 6 for line in (folder / "run").read_text(encoding="utf-8").split("\n")[:-1])

    query_labels, film_labels = rng.random((len(queries), 3)) < 0.5, rng.random((len(films), 3)) < 0.5
    write_qrels(folder / "qrels", queries, query_labels, films, film_labels, pool=ranked)
    grades = query_labels.astype(int) @ film_labels.T.astype(int)
    for row, query in enumerate(queries):
        judged = {i for i in range(len(films)) if grades[row, i] > 0 or i in ranked[row]}
        assert read_qrels(folder / "qrels").get(query, {}) == {films[i]: grades[row, i] for i in judged}


def test_order_does_not_depend_on_ids(tmp_path):
    """trec_eval breaks ties of the score by id: scores must differ within a list."""
    write_run(tmp_path / "run", ["q"], [[0, 1, 2]], ["z", "a", "m"])
    scores = [float(line.split()[4]) for line in (tmp_path / "run").read_text().splitlines()]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3


def test_depth_keeps_what_the_measures_need(tmp_path):
    rng = np.random.default_rng(0)
    films, queries = rng.random((80, 4)) < 0.4, rng.random((10, 4)) < 0.5
    ranked = np.array([rng.permutation(np.arange(1, 80))[:5] for _ in queries])
    allowed = np.ones(80, dtype=bool)
    allowed[0] = False
    ids, query_ids = [f"f{i}" for i in range(80)], [f"q{i}" for i in range(10)]
    write_qrels(tmp_path / "all", query_ids, queries, ids, films, allowed=allowed)
    write_qrels(tmp_path / "some", query_ids, queries, ids, films, allowed=allowed, pool=ranked, depth=5)
    full, short = read_qrels(tmp_path / "all"), read_qrels(tmp_path / "some")
    assert sum(map(len, short.values())) < sum(map(len, full.values()))
    scores = evaluate_ranking(ranked, queries, films, ["nDCG@5", "mAP@5:relevant"], allowed=allowed)
    for row, query in enumerate(query_ids):
        assert "f0" not in full.get(query, {})
        assert "f0" not in short.get(query, {})
        if queries[row].any():
            best = sorted(short[query].values(), reverse=True)[:5]
            assert best == sorted(full[query].values(), reverse=True)[:5]
            discounts = 1 / np.log2(np.arange(2, 7))
            gains = [2.0 ** short[query][ids[film]] - 1 for film in ranked[row]]
            ideal = (2.0 ** np.array(best) - 1) @ discounts
            assert scores["nDCG@5"][row] == pytest.approx(gains @ discounts / ideal)


def test_excluded_films_are_not_judged(tmp_path):
    write_qrels(tmp_path / "qrels", ["q"], [[1]], ["a", "b"], [[1], [1]], excluded=[[0]])
    assert read_qrels(tmp_path / "qrels") == {"q": {"b": 1}}
    with pytest.raises(InvalidParameterError, match="excluded film at rank 1"):
        write_qrels(tmp_path / "qrels", ["q"], [[1]], ["a", "b"], [[1], [1]], excluded=[[0]], pool=[[0]])
    assert read_qrels(tmp_path / "qrels") == {"q": {"b": 1}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["q", "q"], [[0], [0]], ["a"]), "query_ids='q'.*all different"),
        ((["q"], [[0]], ["a", ""]), "film_ids=''.*not empty.*number 1"),
        ((["q"], [[0], [0]], ["a"]), r"ranked=\(2, 1\)"),
        ((["q"], [[1]], ["a"]), "ranked=1.*1 film_ids"),
    ],
)
def test_wrong_input_leaves_no_file(arguments, message, tmp_path):
    with pytest.raises(InvalidParameterError, match=message):
        write_run(tmp_path / "run", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    write_run(tmp_path / "run", ["q"], [[0]], ["a"])
    before = (tmp_path / "run").read_bytes()

    def full_disk(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(StoreError, match=r"cannot write .*run: no space left"):
        write_run(tmp_path / "run", ["other"], [[0]], ["a"])
    assert (tmp_path / "run").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_readers_name_the_line(tmp_path):
    path = tmp_path / "file"
    path.write_text("q Q0 a 1 -1 tag\nq Q0 b\n")
    with pytest.raises(DataError, match="line 2: 3 fields where a run"):
        read_run(path)
    path.write_text("q Q0 a one -1 tag\n")
    with pytest.raises(DataError, match="line 1: rank and score must be numbers"):
        read_run(path)
    path.write_text("q 0 a high\n")
    with pytest.raises(DataError, match="line 1: the grade must be an integer, got 'high'"):
        read_qrels(path)
    with pytest.raises(MissingFileError, match="TREC file not found"):
        read_qrels(tmp_path / "absent")
    with pytest.raises(MissingFileError, match="folder not found"):
        write_run(tmp_path / "absent" / "run", ["q"], [[0]], ["a"])
