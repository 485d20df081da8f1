"""A ranking with options as one text: read, written, checked against the ranking's own options."""

import copy

import numpy as np
import pytest

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.retrieval import RankingChoice, list_rankings, parse_rankings, ranking_options
from graphret.retrieval.registry import option_types

TEXTS = [
    "nearest",
    "alpha_qe:n=20,alpha=2.5",
    "contextual:n=0,density=-1.5,among=community,learned=true",
    "contextual:whitening=none",
    "region_growing:edges=none",
    "contextual:default",
    "tuned",
    "label_aware:strength=1e-05",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_form_comes_back(text):
    choice = RankingChoice.parse(text)
    assert str(choice) == text
    assert RankingChoice.parse(str(choice)) == choice
    assert hash(choice) == hash(RankingChoice.parse(text))
    assert copy.deepcopy(choice) == choice


@pytest.mark.parametrize("name", list_rankings(with_labels=True))
def test_every_option_can_be_written_and_its_default_has_a_type_that_is_stated(name):
    defaults = ranking_options(name)
    choice = RankingChoice(name, defaults)
    assert choice.options == defaults
    assert RankingChoice.parse(str(choice)).options == defaults
    assert choice.key == RankingChoice(name).key, "written out or not, it is the same ranking"
    for option, kinds in option_types(name).items():
        assert type(defaults[option]) in kinds


def test_values_are_taken_as_the_ranking_states_them():
    choice = RankingChoice("alpha_qe", {"alpha": np.int64(2), "n": np.int32(4)})
    assert {name: type(value) for name, value in choice.options.items()} == {"n": int, "alpha": float}
    assert str(choice) == "alpha_qe:n=4,alpha=2"
    assert choice.all_options == {"n": 4, "alpha": 2.0}
    assert choice.to_dict() == {"ranking": "alpha_qe", "options": {"n": 4, "alpha": 2.0}, "learned_metric": False}
    assert RankingChoice.of("alpha_qe", {"n": 4, "alpha": 2}) == choice


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("neares", UnknownNameError, "ranking='neares'.*one of alpha_qe, .*tuned.*did you mean 'nearest'"),
        ("alpha_qe:beta=1", UnknownNameError, "option of the ranking 'alpha_qe'='beta'.*one of alpha, n"),
        ("alpha_qe:n=many", InvalidParameterError, "alpha_qe:n='many'.*an integer"),
        ("alpha_qe:n=2.5", InvalidParameterError, "alpha_qe:n=2.5.*an integer"),
        ("alpha_qe:n=true", InvalidParameterError, "alpha_qe:n=True.*an integer"),
        ("contextual:whitening=much", InvalidParameterError, "whitening='much'.*a number or none"),
        ("contextual:learned=1", InvalidParameterError, "learned=1.*true or false"),
        ("nearest:k=1", InvalidParameterError, "options='k'.*the ranking 'nearest' has no options"),
        ("alpha_qe:", InvalidParameterError, "NAME:OPTION=VALUE"),
        ("alpha_qe:n", InvalidParameterError, "NAME:OPTION=VALUE"),
        ("alpha_qe:n=1,n=2", InvalidParameterError, "each option once"),
        ("tuned:n=1", InvalidParameterError, "ranking='tuned'.*without options"),
    ],
)
def test_what_is_no_choice_is_refused_with_what_is(text, error, message):
    with pytest.raises(error, match=message):
        RankingChoice.parse(text)


def test_options_are_given_once():
    with pytest.raises(InvalidParameterError, match=r"options=.*None with ranking='alpha_qe:n=3'"):
        RankingChoice.of("alpha_qe:n=3", {"n": 4})
    with pytest.raises(InvalidParameterError, match=r"options='n=4'.*a mapping"):
        RankingChoice.of("alpha_qe", "n=4")
    with pytest.raises(InvalidParameterError, match=r"ranking=3.*a RankingChoice"):
        RankingChoice.of(3)


def test_a_list_has_commas_between_rankings_and_between_options():
    texts = ["nearest", "alpha_qe:n=20,alpha=2", "contextual:default", "tuned"]
    assert [str(choice) for choice in parse_rankings(", ".join(texts))] == texts
    assert parse_rankings("") == []
    with pytest.raises(UnknownNameError, match="ranking='n=3'"):
        parse_rankings("nearest,n=3")
