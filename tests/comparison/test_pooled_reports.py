"""Seeds, answers and costs of a comparison of random codes, and reports that are pooled."""

import json
from dataclasses import replace

import numpy as np
import pytest

from graphret._errors import DataError, ExperimentError, InvalidParameterError, MissingFileError
from graphret.comparison import (
    DataSettings,
    Experiment,
    IntervalSettings,
    MethodSettings,
    OrderSettings,
    QuestionSettings,
    RankingSettings,
    SheetSettings,
    compare,
    pool_reports,
)
from graphret.comparison.query_values import read_values

QUESTIONS = (
    QuestionSettings("values?", ranking="nearest", against="hamming", methods=("one", "two")),
    QuestionSettings("order?", order="all"),
)


@pytest.fixture(scope="module")
def random_codes(film_root, tmp_path_factory):
    """Two methods of random codes, two seeds, costs measured alone."""
    experiment = Experiment(
        name="asked",
        methods=(MethodSettings("random", label="one"), MethodSettings("random", label="two", bits=(8,))),
        data=DataSettings(spec="phantom", root=str(film_root), size=32),
        bits=(16,),
        rankings=RankingSettings(hash=("hamming", "nearest")),
        measures=("P@10", "P@50"),
        intervals=IntervalSettings(n_resamples=50),
        sheets=SheetSettings(queries=0),
        timed_queries=2,
        engine={"k": 5},
        orders=(OrderSettings("o", ("one", "two")),),
        questions=QUESTIONS,
        seeds=(0, 1),
    )
    out = tmp_path_factory.mktemp("asked")
    comparison = compare(out=out, experiment=experiment, costs=True)
    comparison.save(out)
    return experiment, out, comparison


def test_seeds_are_means_and_kept(random_codes, tmp_path):
    experiment, out, comparison = random_codes
    name = "one, 16 bits, hamming"
    alone = [compare(out=out, experiment=replace(experiment, seed=seed, seeds=()))[name] for seed in (0, 1)]
    found = comparison[name]
    for place, row in enumerate(alone):
        np.testing.assert_array_equal(found.seed_values["P@10"][place], row.values["P@10"])
        assert found.measures["P@10"]["of_seeds"][place] == row.measures["P@10"]["mean"]
    np.testing.assert_allclose(found.values["P@10"], (alone[0].values["P@10"] + alone[1].values["P@10"]) / 2)
    assert (alone[0].values["P@10"] != alone[1].values["P@10"]).any()
    assert "## Seeds" in comparison.to_markdown()
    values = read_values(out / "comparison_values.npz")
    assert values.seeds == (0, 1)
    np.testing.assert_allclose(values.of(name, "P@50"), found.seed_values["P@50"], atol=1e-6)


def test_answers_come_first_and_costs_say_where_they_are_from(random_codes):
    _, out, comparison = random_codes
    assert [answer["title"] for answer in comparison.answers] == ["values?", "order? o"]
    assert comparison.answers[0]["n_pairs"] == 2
    text = comparison.to_markdown()
    assert text.index("## Answers") < text.index("## Figures")
    assert "measured one after the other in one process" in text
    assert comparison.costs_of["alone"]
    assert comparison.costs_of["threads of a query"] == 1
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert page.index("Answers") < page.index("P@10 against bytes per film")


def test_costs_are_measured_once_and_never_mixed(random_codes, monkeypatch):
    experiment, out, comparison = random_codes

    def never(*args, **kwargs):
        raise AssertionError("it was measured before")

    monkeypatch.setattr("graphret.comparison.rows.query_milliseconds", never)
    again = compare(out=out, experiment=experiment, costs=True)
    plain = compare(out=out, experiment=experiment)
    for row in comparison.rows:
        assert again[row.name].costs == plain[row.name].costs == row.costs
    monkeypatch.setattr("graphret.comparison.costs_alone._processor", lambda: "another")
    other = compare(out=out, experiment=experiment)
    assert other.costs_of == {"alone": False}
    assert "were taken while the comparison ran" in other.to_markdown()
    with pytest.raises(AssertionError, match="measured before"):
        compare(out=out, experiment=experiment, costs=True)


def test_a_busy_machine_is_said(random_codes, monkeypatch):
    experiment, out, _ = random_codes
    monkeypatch.setattr("graphret.comparison.costs_alone._processor", lambda: "a busy one")
    monkeypatch.setattr("graphret.comparison.costs_alone.busy_processors", lambda: 1.5)
    found = compare(out=out, experiment=experiment, costs=True)
    (warning,) = found.costs_of["warnings"]
    assert "before 4 of 4 rows up to 1.5 processors were busy" in warning
    assert f"Beware: {warning}" in found.to_markdown()


def test_reports_are_pooled(random_codes, tmp_path):
    experiment, out, comparison = random_codes
    folders = []
    for seed in (0, 1):
        one = compare(out=out, experiment=replace(experiment, seed=seed, seeds=()))
        folders.append(tmp_path / str(seed))
        one.save(folders[-1])
    pooled = pool_reports(folders)
    whole = pool_reports([out])
    assert pooled.reports[0].values.seeds == (0, 1)
    for mine, theirs in ((pooled, comparison), (whole, comparison)):
        for found, known in zip(mine.answers, theirs.answers, strict=True):
            assert {name: found[name] for name in ("mean", "low", "p_value")} == pytest.approx(
                {name: known[name] for name in ("mean", "low", "p_value")}
            )
    written = pooled.save(tmp_path / "pooled")
    assert [path.name for path in written] == ["pooled.json", "pooled.md", "pooled.html"]
    assert "P@10 against bytes per film, by set" in written[2].read_text(encoding="utf-8")
    later = replace(experiment, questions=(replace(QUESTIONS[0], title="later?"),))
    assert "may have been stated when figures were known" in pool_reports([out], experiment=later).to_markdown()


def test_reports_that_cannot_be_pooled(random_codes, tmp_path):
    _, out, _ = random_codes
    with pytest.raises(MissingFileError, match=r"report not found: .*none"):
        pool_reports([tmp_path / "none"])
    with pytest.raises(InvalidParameterError, match=r"other seeds.*twice: \[0, 1\]"):
        pool_reports([out, out])
    document = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    asked = document["experiment"]
    larger = {"experiment": {**asked, "data": {**asked["data"], "size": 64}}}
    silent = {"experiment": {**asked, "questions": []}}
    others = {"films": {**document["films"], "digest": "x"}}
    for name, changes, error, message in (
        ("size", larger, InvalidParameterError, r"data.size \(64, 32\).*count twice"),
        ("bare", {}, DataError, "no values of queries beside it"),
        ("silent", silent, ExperimentError, "no question is stated"),
        ("other", others, InvalidParameterError, "films and queries"),
    ):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({**document, **changes}), encoding="utf-8")
        with pytest.raises(error, match=message):
            pool_reports([path, out] if name != "silent" else [path])
    (tmp_path / "broken.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"no report of `graphret compare`: it has no experiment"):
        pool_reports([tmp_path / "broken.json"])
    (tmp_path / "bare_values.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read as values"):
        read_values(tmp_path / "bare_values.npz")
