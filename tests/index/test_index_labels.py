"""label_aware through an index: off by default, only where there are labels, with its reasons, tuned apart."""

import json
from dataclasses import replace

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.index.tuned import FILE
from graphret.tuning import Candidate, default_candidates, label_aware_candidates, tune

TUNING = {"ranking": "label_aware", "options": {"strength": 1.0, "voters": 20}, "trials": []}


@pytest.fixture
def labelled(codes, described, tmp_path):
    """Findings that the codes know of."""
    labels = np.stack([codes[:, 0] > np.median(codes[:, 0]), codes[:, 1] > np.quantile(codes[:, 1], 0.7)], axis=1)
    films = replace(described, labels=labels.astype(np.int8))
    return graphret.build(codes, films=films, out=tmp_path / "labelled", k=6)


def test_hits_come_with_the_findings_that_are_expected_of_the_query(labelled):
    hits = labelled.query(["film004", "film010"], 8, ranking="label_aware", exclude="patient")
    for of_query, document in zip(hits, hits.to_dicts(why=True), strict=True):
        assert set(of_query.findings) == {"Edema", "Mass"}
        shares = list(of_query.findings.values())
        assert shares == sorted(shares, reverse=True)
        assert all(0 < share < 1 for share in shares)
        assert document["findings"] == of_query.findings
        for hit in document["hits"]:
            assert set(hit["why"]["terms"]) == {"similarity", "findings"}
            assert sum(hit["why"]["terms"].values()) == pytest.approx(hit["score"], abs=1e-5)
    assert "findings" not in labelled.query("film004", 3).to_dicts()[0]
    assert labelled.query("film004", 3)[0].findings == {}


def test_it_moves_films_with_the_findings_up(labelled):
    relevance = labelled.films.relevance()
    ids = labelled.films.ids[relevance.any(axis=1)].tolist()
    asked = relevance[relevance.any(axis=1)]

    def share(**options):
        hits = labelled.query(ids, 8, exclude="patient", **options).positions
        return (relevance[hits] & asked[:, None]).any(axis=2).mean()

    assert share(ranking="label_aware") > share(ranking="nearest") + 0.02


def test_no_other_ranking_gets_the_labels(labelled):
    for ranking in graphret.list_rankings(with_labels=True):
        labelled.query("film004", 3, ranking=ranking)
    assert labelled.archive.findings is None
    assert labelled.labelled_archive.findings.names == ("Edema", "Mass")
    for (_, (name, *_)), ranker in labelled._parts.rankings._rankers.items():
        assert (ranker.archive.findings is None) == (name != "label_aware")


def test_it_is_no_default(labelled):
    assert labelled.default_ranking == "nearest"
    assert labelled.query("film004", 3).ranking == "nearest"


def test_an_index_without_labels_refuses_it(codes, tmp_path):
    index = graphret.build(codes, out=tmp_path / "index", k=6)
    with pytest.raises(InvalidParameterError, match=r"ranking='label_aware' .* build the index from films with labels"):
        index.query(codes[0], 3, ranking="label_aware")
    assert len(index.query(codes[0], 3)[0]) == 3


def test_a_tuning_of_it_is_kept_apart(labelled):
    code = labelled.codes[3] + np.float32(0.1)
    default = labelled.query(code, 12, ranking="label_aware", options={})
    labelled.record_tuning(TUNING)
    assert labelled.default_ranking == "nearest"
    opened = graphret.open(labelled.path)
    assert opened.default_ranking == "nearest"
    tuned = opened.query(code, 12, ranking="label_aware")
    assert (
        tuned.scores.tobytes()
        == opened.query(code, 12, ranking="label_aware", options=TUNING["options"]).scores.tobytes()
    )
    assert tuned.scores.tobytes() != default.scores.tobytes()
    opened.record_tuning({"ranking": "alpha_qe", "options": {"n": 3}, "trials": []})
    assert (opened.default_ranking, opened.tuning["options"]) == ("alpha_qe", {"n": 3})
    opened.record_tuning(TUNING | {"options": {"strength": 0.5}})
    assert (opened.default_ranking, opened.tuning["options"]) == ("alpha_qe", {"n": 3})
    assert opened.choose("label_aware").options == {"strength": 0.5}
    assert len(opened.tuning["apart"]) == 1
    assert json.loads((opened.path / FILE).read_text())["ranking"] == "alpha_qe"


def test_tuning_tries_it_only_where_it_is_asked_for_and_never_beside_others(labelled):
    found = tune(labelled, measures=["P@5"], n_queries=60, candidates=label_aware_candidates()[::4])
    assert {trial.ranking for trial in found.trials} == {"label_aware", "nearest"}
    mixed = [*label_aware_candidates(), Candidate("alpha_qe", {})]
    with pytest.raises(InvalidParameterError, match=r"label_aware apart .*at query time"):
        tune(labelled, candidates=mixed)
    assert "label_aware" not in {candidate.ranking for candidate in default_candidates()}


@pytest.mark.parametrize("search", ["exact", "auto"])
def test_filters_hold(labelled, search):
    hits = labelled.query("film004", 20, ranking="label_aware", where={"view": "AP"}, search=search)
    assert set(labelled.films.views[hits.positions[0]]) == {"AP"}
