"""Queries: every kind of input, filters, exclusions, wrong calls."""

from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret._errors import (
    CodesError,
    EncoderError,
    FilmError,
    InvalidParameterError,
    MissingFileError,
    StoreError,
    UnknownNameError,
)
from graphret.data import write_png

RANKINGS = graphret.list_rankings()


def by_hand(index, code, k, banned=()):
    """Rows by cosine, ties by smaller row, in float64."""
    codes = np.asarray(index.codes, dtype=np.float64)
    cosine = codes @ np.asarray(code, dtype=np.float64)
    cosine = np.round(cosine / np.linalg.norm(codes, axis=1) / np.linalg.norm(code), 6)
    order = np.lexsort((np.arange(len(codes)), -cosine))
    return [row for row in order.tolist() if row not in set(banned)][:k]


def test_a_code_finds_its_nearest(shared_index):
    code = shared_index.codes[7] * 3
    hits = shared_index.query(code, 5, ranking="nearest")
    assert hits.positions.tolist() == [by_hand(shared_index, code, 5)]
    assert hits.similarities[0, 0] == 1
    assert hits.positions.dtype == np.int32
    assert hits.similarities.dtype == np.float32
    assert hits.ids[0, 0] == "film007"


@pytest.mark.parametrize("ranking", RANKINGS)
def test_an_id_never_finds_itself(shared_index, ranking):
    ids = shared_index.films.ids.tolist()
    hits = shared_index.query(ids, 12, ranking=ranking)
    assert hits.positions.shape == (len(ids), 12)
    assert not (hits.positions == np.arange(len(ids))[:, None]).any()
    if ranking == "nearest":
        assert hits.positions[4].tolist() == by_hand(shared_index, shared_index.codes[4], 12, [4])


@pytest.mark.parametrize("ranking", RANKINGS)
def test_batches_and_threads_change_nothing(shared_index, ranking):
    codes = np.array(shared_index.codes[::9]) + 0.05
    batch = shared_index.query(codes, 8, ranking=ranking, n_threads=2)
    for row, code in enumerate(codes):
        alone = shared_index.query(code, 8, ranking=ranking, n_threads=1)
        assert np.array_equal(alone.positions[0], batch.positions[row])
        assert np.array_equal(alone.similarities[0], batch.similarities[row])
        assert np.array_equal(alone.gains[0], batch.gains[row], equal_nan=True)


def test_the_default_ranking(shared_index):
    hits = shared_index.query("film003", 5)
    assert hits.ranking == shared_index.default_ranking
    assert np.array_equal(hits.positions, shared_index.query("film003", 5, ranking=hits.ranking).positions)


def kinds(film_table):
    path = film_table.paths[3]
    film = film_table.read(3)
    return {
        "str": path,
        "Path": Path(path),
        "film": film,
        "float64 film": film.astype(np.float64),
        "list of paths": [path],
        "list of films": [film],
        "tuple": (path,),
        "array of paths": np.array([path]),
    }


@pytest.mark.parametrize(
    "kind", ["str", "Path", "film", "float64 film", "list of paths", "list of films", "tuple", "array of paths"]
)
def test_every_way_to_name_a_film(film_index, film_table, kind):
    hits = film_index.query(kinds(film_table)[kind], 3, ranking="nearest")
    assert hits.ids[0, 0] == "film03"
    assert hits.similarities[0, 0] == pytest.approx(1, abs=1e-6)
    assert hits.queries == [film_table.paths[3] if "film" not in kind else ""]


def test_every_way_to_name_a_code(shared_index):
    code = np.array(shared_index.codes[5])
    ways = [code, code.astype(np.float64), code.tolist(), code[None], [code], [code.tolist()], tuple(code)]
    found = [shared_index.query(way, 4).positions.tolist() for way in ways]
    assert all(positions == found[0] for positions in found)
    assert shared_index.query([code, code * 2], 4).positions.shape == (2, 4)


def test_a_mixed_list(film_index, film_table):
    mixed = ["film01", film_table.paths[2], Path(film_table.paths[3]), film_table.read(4), film_index.codes[5]]
    hits = film_index.query(mixed, 2, ranking="nearest")
    assert hits.ids[1:, 0].tolist() == ["film02", "film03", "film04", "film05"]
    assert hits.ids[0, 0] != "film01"
    assert hits.queries == ["film01", film_table.paths[2], film_table.paths[3], "", ""]


def test_an_id_wins_over_a_file(film_index, film_table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "film01", film_table.read(9))
    assert film_index.query("film01", 40).ids[0].tolist().count("film01") == 0
    assert film_index.query(Path("film01"), 1, ranking="nearest").ids.tolist() == [["film09"]]


def test_a_batch_of_codes_and_a_film_of_the_same_width(film_index):
    square = np.full((12, 12), 0.5, np.float32)
    with pytest.raises(InvalidParameterError, match=r"\[film\] for one film, or list\(codes\) for codes"):
        film_index.query(square)
    assert len(film_index.query([square], 3)) == 1
    assert len(film_index.query(list(square), 3)) == 12
    assert len(film_index.query(square[:5], 3)) == 5


def test_without_an_encoder_every_array_is_codes(shared_index):
    assert len(shared_index.query(np.array(shared_index.codes[:8]), 3)) == 8
    with pytest.raises(CodesError, match="7 dimensions, the archive has 8"):
        shared_index.query(np.ones((5, 7), np.float32))


WRONG = {
    "k zero": ({"k": 0}, InvalidParameterError, "k=0 is not allowed"),
    "k float": ({"k": 2.5}, InvalidParameterError, r"k=2\.5"),
    "k true": ({"k": True}, InvalidParameterError, "k=True"),
    "ranking": ({"ranking": "closest"}, UnknownNameError, "diffusion, hamming, label_aware, nearest, region_growing"),
    "fill": ({"fill": 1}, InvalidParameterError, "fill=1"),
    "threads": ({"n_threads": 0}, InvalidParameterError, "n_threads=0"),
    "option": ({"ranking": "alpha_qe", "options": {"beta": 1}}, UnknownNameError, "beta"),
    "options": ({"options": ["alpha"]}, InvalidParameterError, "a mapping"),
    "where column": ({"where": {"ward": "x"}}, UnknownNameError, "age, id, path, patient, portable, split, view"),
    "where value": ({"where": {"view": "LATERAL"}}, InvalidParameterError, "a value that some film has: 'AP', 'PA'"),
    "where many values": ({"where": {"age": 99}}, InvalidParameterError, r"\.\.\. \(40 values\)"),
    "where type": ({"where": {"age": "5"}}, InvalidParameterError, "a number, as the column holds"),
    "where text": ({"where": {"view": 3}}, InvalidParameterError, "text, as the column holds"),
    "where bool": ({"where": {"portable": 1}}, InvalidParameterError, "True or False"),
    "where list": ({"where": ["PA"]}, InvalidParameterError, "a mapping of columns to values"),
    "exclude word": ({"exclude": "patients"}, InvalidParameterError, "each query's own"),
    "exclude column": ({"exclude": {"ward": "x"}}, UnknownNameError, "column='ward'"),
    "exclude type": ({"exclude": {"patient": 7}}, InvalidParameterError, "text, as the column holds"),
    "patients alone": ({"patients": "p"}, InvalidParameterError, 'exclude="patient"'),
    "patients wrong": ({"exclude": "patient", "patients": ["a", "b"]}, InvalidParameterError, "1 patients"),
    "patient unknown": ({"exclude": "patient"}, InvalidParameterError, "the patient of query 0 is not known"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameters(shared_index, name):
    arguments, error, message = WRONG[name]
    with pytest.raises(error, match=message) as caught:
        shared_index.query(np.array(shared_index.codes[3]), **arguments)
    assert caught.value.exit_status == 2


NOT_A_QUERY = {
    "nothing": ([], InvalidParameterError, "the list is empty"),
    "none": (None, InvalidParameterError, "an id of the index, the path of a film"),
    "number": (7, InvalidParameterError, "an id of the index"),
    "integers": (np.ones((3, 8), np.int64), InvalidParameterError, "int64"),
    "three dimensions": (np.ones((2, 3, 8)), InvalidParameterError, r"\(2, 3, 8\)"),
    "bytes": (b"film003", InvalidParameterError, "an id of the index"),
    "list of none": ([None], InvalidParameterError, "an id of the index"),
    "short code": (np.ones(3, np.float32), CodesError, "3 dimensions, the archive has 8"),
    "short code in a list": ([np.ones(3, np.float32)], CodesError, "query 0 have 3 dimensions"),
    "nan": (np.full(8, np.nan, np.float32), CodesError, "NaN or infinity"),
    "zeros": (np.zeros(8, np.float32), CodesError, "all zeros"),
    "unknown": ("film900", MissingFileError, "id or film not found: film900"),
    "no file": (Path("nowhere.png"), MissingFileError, r"film not found: nowhere\.png"),
}


@pytest.mark.parametrize("name", NOT_A_QUERY)
def test_wrong_queries(shared_index, name):
    what, error, message = NOT_A_QUERY[name]
    with pytest.raises(error, match=message) as caught:
        shared_index.query(what)
    assert caught.value.exit_status == 2  # type: ignore[attr-defined]


def test_films_that_cannot_be_asked_for(film_index, shared_index, film_table, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(FilmError, match=r"bad\.png"):
        film_index.query(tmp_path / "bad.png")
    with pytest.raises(InvalidParameterError, match=r"in \[0, 1\]"):
        film_index.query(np.full((20, 20), 7.0))
    with pytest.raises(CodesError, match="the code of query 0 is all zeros"):
        film_index.query(np.zeros((20, 20), np.float32))
    with pytest.raises(InvalidParameterError, match="has no encoder"):
        shared_index.query(film_table.paths[0])


def test_wrong_filters_cost_no_encoding(film_table, film_index, make_encoder):
    encoder = make_encoder()
    index = graphret.open(film_index.path, encoder=encoder)
    for arguments in ({"where": {"view": "PA"}}, {"exclude": {"ward": "1"}}, {"ranking": "x"}, {"k": 0}):
        with pytest.raises(InvalidParameterError):
            index.query(film_table.paths[0], **arguments)
    assert encoder.n_encoded == 0


@pytest.mark.parametrize("ranking", RANKINGS)
def test_where_keeps_films_with_the_value(shared_index, ranking):
    films = shared_index.films
    code = np.array(shared_index.codes[4])
    hits = shared_index.query(code, 30, ranking=ranking, where={"view": "AP"})
    assert hits.positions.shape == (1, 30)
    assert set(films.views[hits.positions[0]]) == {"AP"}
    if ranking == "nearest":
        assert hits.positions[0].tolist() == by_hand(shared_index, code, 30, np.flatnonzero(films.views != "AP"))
    both = shared_index.query(code, 90, ranking=ranking, where={"view": ["AP", "PA"], "age": {3, 5}, "portable": False})
    kept = both.positions[0][both.positions[0] >= 0]
    assert sorted(kept.tolist()) == [3, 5, 43, 45, 83, 85]


def test_columns_that_exclude_each_other_give_nothing(shared_index):
    hits = shared_index.query("film003", 4, where={"patient": "patient01", "age": 30})
    assert (hits.positions == -1).all()
    assert (hits.ids == "").all()
    assert len(hits[0]) == 0


@pytest.mark.parametrize("ranking", RANKINGS)
def test_the_own_patient(shared_index, ranking):
    hits = shared_index.query(["film004", "film010"], 87, ranking=ranking, exclude="patient")
    patients = shared_index.films.patients[hits.positions]
    assert (hits.positions >= 0).all()
    assert "patient01" not in patients[0]
    assert "patient03" not in patients[1]
    assert "patient01" in patients[1]


def test_the_own_patient_of_queries_from_outside(shared_index, film_index, film_table):
    codes = np.array(shared_index.codes[:2])
    hits = shared_index.query(codes, 87, exclude="patient", patients=["patient07", "nobody"])
    assert not np.isin(hits.positions[0], [21, 22, 23]).any()
    assert np.isin([21, 22, 23], hits.positions[1]).all()
    single = shared_index.query(codes[0], 87, exclude="patient", patients="patient07")
    assert np.array_equal(single.positions[0], hits.positions[0])
    mixed = shared_index.query(["film000", codes[1]], 87, exclude="patient", patients=[None, "patient07"])
    assert not np.isin(mixed.positions[0], [0, 1, 2]).any()
    assert not np.isin(mixed.positions[1], [21, 22, 23]).any()
    # a file of the archive is known by its path; only an id never gets itself
    own = film_index.query(film_table.paths[6], 38, exclude="patient")
    assert not np.isin(own.positions[0], [6, 7]).any()
    assert film_index.query(film_table.paths[6], 1, ranking="nearest").ids.tolist() == [["film06"]]


def banned(hits, row, rows):
    return not np.isin(hits.positions[row], rows).any()


def test_exclude_for_all_and_for_each(shared_index):
    codes = np.array(shared_index.codes[[0, 3]])
    first, second = [0, 1, 2], [3, 4, 5]
    for_all = shared_index.query(codes, 80, exclude={"patient": "patient00"})
    assert banned(for_all, 0, first)
    assert banned(for_all, 1, first)
    a_set = shared_index.query(codes, 80, exclude={"patient": {"patient00", "patient01"}})
    assert banned(a_set, 0, first + second)
    assert banned(a_set, 1, first + second)
    flat = shared_index.query(codes, 87, exclude={"patient": ["patient00", "patient01"]})
    assert banned(flat, 0, first)
    assert np.isin(second, flat.positions[0]).all()
    assert banned(flat, 1, second)
    assert np.isin(first, flat.positions[1]).all()
    nested = shared_index.query(codes, 80, exclude={"patient": [["patient00", "patient01"], []]})
    assert banned(nested, 0, first + second)
    assert np.isin(first + second, nested.positions[1]).sum() >= 3
    with_none = shared_index.query(codes, 80, exclude={"patient": np.array(["patient00", None], dtype=object)})
    assert banned(with_none, 0, first)
    lone = shared_index.query(codes[0], 80, exclude={"patient": ["patient00", "patient01"]})
    assert banned(lone, 0, first + second)
    with pytest.raises(InvalidParameterError, match=r"a list of 2 entries, one for each query .a set of values"):
        shared_index.query(codes, 3, exclude={"patient": ["patient00"]})


def test_exclude_more_columns(shared_index):
    code = np.array(shared_index.codes[8])
    hits = shared_index.query(code, 90, exclude={"id": ["film008", "nowhere"], "view": "AP", "age": [9, 10.0]})
    kept = hits.positions[0][hits.positions[0] >= 0]
    films = shared_index.films
    expected = (films.ids != "film008") & (films.views != "AP") & ~np.isin(films.column("age"), [9, 10])
    assert sorted(kept.tolist()) == np.flatnonzero(expected).tolist()
    assert hits.positions[0, 0] == by_hand(shared_index, code, 1, np.flatnonzero(~expected))[0]


def test_fill_false_may_be_shorter(shared_index):
    code = np.array(shared_index.codes[2])
    grown = shared_index.query(code, 60, ranking="region_growing", fill=False)
    filled = shared_index.query(code, 60, ranking="region_growing")
    n_grown = int((grown.positions[0] >= 0).sum())
    assert n_grown < 60
    assert (filled.positions[0] >= 0).all()
    assert set(grown.sources[0].tolist()) == {"expansion", ""}
    assert filled.sources[0].tolist() == ["expansion"] * n_grown + ["fill"] * (60 - n_grown)


def test_options_reach_the_ranking(shared_index):
    code = np.array(shared_index.codes[2]) + 0.3
    few = shared_index.query(code, 20, ranking="region_growing", options={"edges": 1})
    many = shared_index.query(code, 20, ranking="region_growing", options={"edges": 6})
    assert not np.array_equal(few.positions, many.positions)
    assert sum(hit.why.query_edge > 0 for hit in few[0]) <= 1
    assert np.array_equal(many.positions, shared_index.query(code, 20, ranking="region_growing").positions)


def test_another_encoder_is_refused(film_index, shared_index, make_encoder):
    with pytest.raises(EncoderError, match="not with fake"):
        graphret.open(film_index.path, encoder=make_encoder(seed=5))
    with pytest.raises(EncoderError, match="codes made elsewhere"):
        graphret.open(shared_index.path, encoder=make_encoder())


def test_a_closed_index(shared_index):
    with graphret.open(shared_index.path) as index:
        index.query("film001", 1)
    assert "closed" in repr(index)
    for use in (
        lambda: index.query("film001"),
        lambda: index.codes,
        lambda: len(index),
        lambda: index.films,
        index.verify,
    ):
        with pytest.raises(StoreError, match="open it again"):
            use()


def test_export_graph(shared_index, tmp_path):
    networkx = pytest.importorskip("networkx")
    shared_index.export_graph(tmp_path / "graph.graphml")
    graph = networkx.read_graphml(tmp_path / "graph.graphml")
    assert graph.number_of_nodes() == len(shared_index)
    assert graph.number_of_edges() == shared_index.graph.n_edges
    films = shared_index.films
    assert graph.nodes["5"] == {
        "id": "film005",
        "community": int(shared_index.communities[5]),
        "patient": "patient01",
        "view": "PA",
        "label:Edema": int(films.labels[5, 0]),
        "label:Mass": int(films.labels[5, 1]),
    }


def test_hamming_on_codes_that_are_never_negative_ranks_by_their_medians_and_says_so(codes, tmp_path, shared_index):
    assert codes.min() >= 0
    hits = shared_index.query(codes[40], 5, ranking="hamming")
    assert 40 in hits.positions[0]
    assert hits.scores[0, 0] == 1
    assert hits.positions[0].tolist() != [0, 1, 2, 3, 4]
    assert ["above their median" in note for note in hits.notes] == [True]
    assert hits.to_dicts()[0]["notes"] == list(hits.notes)
    np.testing.assert_array_equal(
        hits.positions, shared_index.query(codes[40], 5, ranking="hamming:center=median").positions
    )
    assert "notes" not in shared_index.query(codes[40], 5).to_dicts()[0]
    report = graphret.evaluate(shared_index, rankings="hamming,nearest", measures=["P@5"], n_resamples=20)
    assert report["hamming"].notes == hits.notes
    assert report.to_markdown().count(hits.notes[0]) == 1
    signed = graphret.build(codes - codes.mean(axis=0), out=tmp_path / "signed", k=6)
    assert signed.query(signed.codes[40], 5, ranking="hamming").notes == ()


@pytest.mark.parametrize("group_by", [None, "view"])
def test_a_patient_of_whom_the_index_has_no_film_is_said(shared_index, codes, group_by):
    given = ["patient07", "Doe^Jane", None, "Doe^Jane"]
    what = [*codes[:2], "film004", codes[3]]
    hits = shared_index.query(what, 9, exclude="patient", patients=given, group_by=group_by)
    said = [note for note in hits.notes if "no film of the index is of the patient given for 2 of 4 queries" in note]
    assert len(said) == 1
    assert "pseudonym" in said[0]
    assert "Doe" not in str(hits.notes)
    known = shared_index.query(what, 9, exclude="patient", patients=["patient07"] * 4, group_by=group_by)
    assert not any("no film of the index" in note for note in known.notes)


def test_a_patient_of_examples_of_whom_the_index_has_no_film_is_said(shared_index, codes):
    hits = shared_index.query_examples(list(codes[:2]), None, 9, exclude="patient", patients=["patient07", "never"])
    assert any("given for 1 of 2 examples" in note for note in hits.notes)
