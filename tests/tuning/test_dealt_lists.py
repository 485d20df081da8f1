"""Lists dealt out to other queries: whose they become, and what they are worth there, by loops."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphret.tuning.criteria import SharedFindings
from graphret.tuning.dealt_lists import DEALS, DealtLists, deals_of


@given(
    patients=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    n_deals=st.integers(1, 4),
    seed=st.integers(0, 5),
)
def test_a_deal_is_an_order_of_the_queries_that_leaves_patients(patients, n_deals, seed):
    patients = np.array(patients).astype(str)
    deals = deals_of(patients, n_deals, seed)
    assert len(deals) == n_deals
    counts = np.unique(patients, return_counts=True)[1]
    for deal in deals:
        assert sorted(deal.tolist()) == list(range(len(patients)))
        if 2 * counts.max() <= len(patients):
            assert (patients[deal] != patients).all()


def test_deals_differ_and_come_from_the_seed():
    patients = np.arange(50).astype(str)
    first, second = deals_of(patients, 2, seed=3)
    assert (first != second).any()
    assert all((a == b).all() for a, b in zip(deals_of(patients, 2, seed=3), (first, second), strict=True))


@pytest.fixture
def told():
    """Labels of 30 queries and 40 films, and lists of two candidates."""
    rng = np.random.default_rng(0)
    labels, films = rng.random((30, 4)) < 0.4, rng.random((40, 4)) < 0.4
    labels[:, 0] |= ~labels.any(axis=1)
    patients = rng.integers(0, 12, 30).astype(str)
    lists = np.stack([[rng.permutation(40)[:5] for _ in range(30)] for _ in range(2)]).astype(np.int32)
    return labels, films, patients, lists


def test_the_worth_to_others_is_the_loop(told):
    labels, films, patients, lists = told
    criterion = SharedFindings(labels, films, patients, [[]] * 30, ["P@5"])
    ranked = SimpleNamespace(rank=lambda numbers, rows: lists[numbers, rows])
    dealt = DealtLists(ranked, criterion, 20, seed=1)
    for number in (0, 1, 0):
        expected = np.zeros(20)
        for deal in deals_of(patients[:20], DEALS, seed=1):
            for query in range(20):
                hits = lists[number, deal[query]]
                expected[query] += np.mean([(labels[query] & films[hit]).any() for hit in hits]) / DEALS
        np.testing.assert_allclose(dealt.values(number), expected)


def test_lists_that_are_the_same_for_all_are_worth_the_same_to_others(told):
    labels, films, patients, lists = told
    criterion = SharedFindings(labels, films, patients, [[]] * 30, ["P@5", "nDCG@5"])
    lists[:] = lists[0, 0]
    dealt = DealtLists(SimpleNamespace(rank=lambda numbers, rows: lists[numbers, rows]), criterion, 30, seed=0)
    own = np.mean(list(criterion.values(lists[:1], slice(0, 30)).values()), axis=0)[0]
    np.testing.assert_allclose(dealt.values(0), own)
