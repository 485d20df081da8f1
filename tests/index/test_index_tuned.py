"""The tuning of an index: kept beside the generations, used by queries, checked, removable."""

import json

import numpy as np
import pytest

import graphret
from graphret._errors import DamagedIndexError, InvalidParameterError, NotAnIndexError, StoreError
from graphret.index.manifest import serialise
from graphret.index.tuned import FILE, forget_tuning
from graphret.retrieval import RankingChoice

TUNING = {"ranking": "contextual", "options": {"n": 3, "density": 1.0}, "trials": []}


@pytest.fixture
def index(codes, described, tmp_path):
    return graphret.build(codes, films=described, out=tmp_path / "index", k=6)


def content_of(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {FILE, "LOCK"}
    }


def test_a_tuned_index_answers_with_its_ranking_and_options(index):
    before = content_of(index.path)
    code = index.codes[3] + np.float32(0.1)
    assert index.default_ranking == "nearest"
    assert index.tuning is None
    index.record_tuning(TUNING)
    assert content_of(index.path) == before, "nothing else was touched"
    for opened in (index, graphret.open(index.path)):
        assert opened.default_ranking == "contextual"
        assert opened.tuning["options"] == TUNING["options"]
        assert opened.info()["ranking"] == {
            "name": "contextual",
            "options": TUNING["options"],
            "promise": None,
            "tried": None,
        }
        hits = opened.query(code, 5)
        expected = opened.query(code, 5, ranking="contextual", options=TUNING["options"])
        assert hits.ranking == "contextual"
        assert np.array_equal(hits.scores, expected.scores)
        assert np.array_equal(opened.query(code, 5, ranking="contextual").scores, expected.scores)
        plain = opened.query(code, 5, ranking="contextual", options={})
        assert not np.array_equal(plain.scores, expected.scores), "options that are given are the only ones"
        assert opened.query(code, 5, ranking="nearest").ranking == "nearest"
    index.forget_tuning()
    assert index.default_ranking == graphret.open(index.path).default_ranking == "nearest"
    assert content_of(index.path) == before


def test_hits_say_what_their_score_is_made_of(index):
    index.record_tuning(TUNING)
    hit = index.query(index.codes[3], 3)[0][1]
    terms = hit.to_dict(why=True)["why"]["terms"]
    assert list(terms) == ["similarity", "context", "density"]
    assert sum(terms.values()) == pytest.approx(hit.score, abs=1e-6)
    assert "terms" not in index.query(index.codes[3], 3, ranking="nearest")[0][1].to_dict(why=True)["why"]


def test_a_tuning_outlives_a_new_generation_but_not_other_codes(index, codes, described):
    index.record_tuning(TUNING)
    graphret.build(codes * 2, films=described, out=index.path, k=5)
    assert graphret.open(index.path).default_ranking == "contextual"
    graphret.build(codes[:, :6], films=described, out=index.path, k=5)
    assert graphret.open(index.path).default_ranking == "nearest", "codes of another length: it says nothing about them"


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-20],
        lambda raw: raw.replace(b"contextual", b"nearest"),
        lambda raw: b"[]",
        lambda raw: b"\xff",
    ],
)
def test_a_damaged_tuning_is_named_and_can_be_removed(index, damage):
    index.record_tuning(TUNING)
    file = index.path / FILE
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DamagedIndexError, match=r"ranking.json.*--reset"):
        graphret.open(index.path)
    assert forget_tuning(index.path)
    assert not forget_tuning(index.path)
    assert graphret.open(index.path).default_ranking == "nearest"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version 99"),
        ({"ranking": "oracle"}, "a ranking or options that this graphret does not have"),
        ({"options": {"luck": 1}}, "a ranking or options that this graphret does not have"),
    ],
)
def test_a_tuning_of_another_graphret_is_refused(index, change, message):
    index.record_tuning(TUNING)
    file = index.path / FILE
    file.write_bytes(serialise({**json.loads(file.read_text("utf-8")), **change}))
    with pytest.raises(StoreError, match=message):
        graphret.open(index.path)


def test_no_tuning_without_an_index(tmp_path):
    with pytest.raises(NotAnIndexError):
        forget_tuning(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_ranking_means_one_thing_however_it_is_written(index):
    code = index.codes[3] + np.float32(0.1)
    with pytest.raises(InvalidParameterError, match=r"ranking='tuned'.*not tuned.*graphret tune"):
        index.choose("tuned")
    assert str(index.choose("contextual:default")) == "contextual", "not tuned: the name alone says it"
    index.record_tuning(TUNING)
    written = "contextual:n=3,density=1"
    forms = [None, "tuned", "contextual", written, RankingChoice("contextual"), RankingChoice.parse(written)]
    expected = index.query(code, 5, ranking="contextual", options=TUNING["options"])
    for form in forms:
        assert str(index.choose(form)) == written
        hits = index.query(code, 5, ranking=form)
        assert np.array_equal(hits.scores, expected.scores)
        document = hits.to_dicts()[0]
        assert (document["ranking"], document["learned_metric"]) == ("contextual", False)
        assert (document["options"]["n"], document["options"]["pool"]) == (3, 400)
    default = index.query(code, 5, ranking="contextual:default")
    assert str(default.choice) == "contextual:default"
    assert np.array_equal(default.scores, index.query(code, 5, ranking="contextual", options={}).scores)
    assert not np.array_equal(default.scores, expected.scores)


@pytest.mark.parametrize(
    ("ranking", "message"),
    [
        ("alpha_qe:n=0", "n=0 is not allowed"),
        ("contextual:learned=true", "the archive has no learned metric"),
        ("alpha_qe:gamma=1", "'gamma' is not allowed: give one of alpha, n"),
    ],
)
def test_a_ranking_that_cannot_be_is_refused_before_the_query_is_looked_at(index, ranking, message):
    with pytest.raises(InvalidParameterError, match=message):
        index.query("no such film", ranking=ranking)
