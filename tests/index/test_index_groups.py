"""Hits of different groups, and queries that go on without the films that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, FilmError, InvalidParameterError
from graphret.data import ImageTable
from graphret.retrieval import list_rankings


def first_of_each(ids, values, k):
    seen, kept = set(), []
    for name in ids:
        if values[name] not in seen:
            seen.add(values[name])
            kept.append(name)
    return kept[:k]


@pytest.mark.parametrize("ranking", list_rankings(with_labels=True))
@pytest.mark.parametrize("column", ["patient", "view", "age", "portable", "id"])
def test_every_hit_is_of_another_group_and_the_first_of_it(shared_index, ranking, column):
    films = shared_index.films
    values = dict(zip(films.ids.tolist(), films.column(column).tolist(), strict=True))
    how = {"ranking": ranking, "exclude": {"patient": "patient03"}}
    whole = shared_index.query(["film003", "film010"], len(films), **how)
    hits = shared_index.query(["film003", "film010"], 7, group_by=column, **how)
    for row in range(2):
        found = [hit.id for hit in hits[row]]
        assert found == first_of_each([hit.id for hit in whole[row]], values, 7)
        assert len({values[name] for name in found}) == len(found)
    assert hits.group_by == column
    assert hits.notes[-1] == f"one film of each {column} at most"
    assert whole.group_by is None


def test_a_film_without_a_value_stands_for_itself(codes, tmp_path):
    n = len(codes)
    columns = {
        "ward": ["" if row % 3 else "A" for row in range(n)],
        "room": [["n/a", "NaN", "12"][row % 3] for row in range(n)],
        "dose": np.where(np.arange(n) % 3 == 0, 0.5, np.nan),
    }
    films = ImageTable(
        [f"f{row}" for row in range(n)],
        [],
        [],
        (),
        patients=["p" if row % 3 == 0 else "" for row in range(n)],
        columns=columns,
    )
    index = graphret.build(codes, films=films, out=tmp_path / "index", k=6)
    for column, same in (("patient", 0), ("ward", 0), ("room", 2), ("dose", 0)):
        hits = index.query(codes[0], n, group_by=column)[0]
        kinds = [hit.position % 3 for hit in hits]
        assert kinds.count(same) == 1, column
        assert len(hits) == 1 + n - n // 3, column


def test_an_unknown_column_is_refused_before_a_film_is_read(film_index, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no film")
    with pytest.raises(InvalidParameterError, match="column='ward' is not allowed: give one of id"):
        film_index.query(str(bad), group_by="ward")


@pytest.fixture
def mixed(film_table, tmp_path):
    bad, cut = tmp_path / "bad.png", tmp_path / "cut.png"
    bad.write_bytes(b"no film")
    cut.write_bytes(b"\x89PNG\r\n\x1a\n")
    return [str(bad), film_table.paths[3], "film07", str(cut), film_table.paths[8]]


def test_films_that_cannot_be_read_are_left_out_where_somebody_listens(film_index, mixed):
    said = []
    how = {"exclude": "patient", "patients": ["x", None, None, "x", None]}
    hits = film_index.query(mixed, 5, on_problem=lambda name, error: said.append((name, error)), **how)
    good = [mixed[1], mixed[2], mixed[4]]
    assert hits.queries == good
    assert hits.ids.tolist() == film_index.query(good, 5, exclude="patient").ids.tolist()
    assert hits.query_positions.tolist() == [3, 7, 8]
    assert sorted(name for name, _ in said) == sorted([mixed[0], mixed[3]])
    assert all(isinstance(error, FilmError) for _, error in said)
    with pytest.raises(FilmError, match=r"bad\.png"):
        film_index.query(mixed, 5)


def test_a_call_of_which_no_film_is_left_says_so(film_index, mixed):
    with pytest.raises(DataError, match=r"none of the 2 films can be asked for, first .*bad\.png.*not an image"):
        film_index.query([mixed[0], mixed[3]], 5, on_problem=lambda name, error: None)
