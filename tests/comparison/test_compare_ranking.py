"""Rankings of an experiment: with options, of values or of bits, and tuned without a trace in the index."""

from dataclasses import replace

import numpy as np
import pytest

from graphret._errors import ExperimentError
from graphret.comparison import MethodSettings, RankingSettings, compare
from graphret.comparison.compare_ranking import CompareRanking
from graphret.index.tuned import FILE, record_tuning


@pytest.mark.parametrize(
    ("text", "choice", "form"),
    [
        ("nearest", "nearest", ""),
        ("region_growing:bits", "region_growing", "bits"),
        ("alpha_qe:n=20,alpha=2", "alpha_qe:n=20,alpha=2", ""),
        ("alpha_qe:n=20,bits,alpha=2", "alpha_qe:n=20,alpha=2", "bits"),
        ("tuned:bits", "tuned", "bits"),
    ],
)
def test_a_ranking_is_read_with_its_form(text, choice, form):
    asked = CompareRanking.parse(text)
    assert (str(asked.choice), asked.form, asked.is_tuned) == (choice, form, choice == "tuned")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha_qe:beta=2", r"rankings.dense.*'beta'.*one of alpha, n"),
        ("alpha_qe:n=few,bits", r"n='few'.*an integer"),
        ("hamming:bits", r"'hamming:bits'.*give 'hamming'"),
        ("label_aware", r"rankings.dense = 'label_aware'.*give one of alpha_qe"),
        ("nearest:bits", r"rankings.dense = 'nearest:bits'.*without :bits"),
    ],
)
def test_what_is_no_ranking_of_an_experiment_is_refused(text, message):
    with pytest.raises(ExperimentError, match=message):
        RankingSettings(dense=(text,))


def test_options_reach_the_ranking_and_a_tuning_leaves_nothing_behind(untrained_experiment, tmp_path, monkeypatch):
    rankings = ("tuned", "alpha_qe", "alpha_qe:n=3,alpha=0", "alpha_qe:bits,n=3,alpha=0", "nearest")
    experiment = replace(untrained_experiment, methods=(MethodSettings("random", rankings=rankings),), published=())
    monkeypatch.setattr("graphret.comparison.rows.RowMaker.clear", lambda *_: None)  # the indexes stay to be looked at
    monkeypatch.setattr("graphret.index.index.record_tuning", record_tuning_is_not_called)
    comparison = compare(out=tmp_path, experiment=experiment)
    rows = {row.ranking: row for row in comparison.rows}
    assert [row.error for row in rows.values()] == [""] * 5
    assert rows["tuned"].chosen["ranking"] in {"nearest", "alpha_qe", "contextual", "diffusion", "region_growing"}
    lists = [rows[name].positions for name in rankings[1:]]
    for number, one in enumerate(lists):
        assert not any(np.array_equal(one, other) for other in lists[number + 1 :])
    folders = [path.parent for path in tmp_path.rglob("CURRENT")]
    assert len(folders) == 2, "one of values, one of bits"
    assert not any((folder / FILE).exists() for folder in folders)


def record_tuning_is_not_called(*arguments):
    raise AssertionError(f"{record_tuning.__name__} was called with {arguments}")
