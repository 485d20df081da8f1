"""Many forms of the contextual ranking at once give what each gives alone."""

import itertools

import numpy as np
import pytest

from graphret._sort_kernels import _best_few, _best_first
from graphret.retrieval import Contextual, LabelScatter, LearnedMetric, create_ranking, rank_forms
from graphret.retrieval.learned_metric import mean_direction


def forms_of(archive, **shared):
    options = itertools.product((None, 0.5), (0, 3, 10), ((0.0, 1), (0.5, 1), (0.9, 3)), (-1.0, 0.0, 2.0))
    forms = [
        {"whitening": whitening, "n": n, "context": context, "rounds": rounds, "density": density}
        for whitening, n, (context, rounds), density in options
    ]
    forms += [{**form, "among": "community"} for form in forms if form["density"]]
    forms = [{**form, **shared} for form in forms if not (shared.get("learned") and form["whitening"])]
    return [Contextual(archive, **form) for form in np.random.default_rng(0).permutation(forms)]


@pytest.mark.parametrize("pool", [30, 400])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_each_form_gives_its_own_lists(archive, query_codes, restricted, pool, n_threads):
    queries = restricted(archive, query_codes, seed=3)
    forms = forms_of(archive, pool=pool)
    lists = rank_forms(forms, queries, 12, n_threads=n_threads)
    for form, positions in zip(forms, lists, strict=True):
        np.testing.assert_array_equal(positions, form.rank(queries, 12).positions)


def test_forms_of_a_learned_metric_give_their_own_lists(archive, query_codes, restricted):
    labels = np.random.default_rng(1).random((archive.n_films, 3)) < 0.4
    scatter = LabelScatter.of(archive.codes, labels, mean_direction(archive.codes))
    learned = archive.with_metric(LearnedMetric.fit(scatter, discriminant_share=0.5, ridge=0.1))
    queries = restricted(archive, query_codes, seed=4)
    forms = forms_of(learned, learned=True)
    for form, positions in zip(forms, rank_forms(forms, queries, 12), strict=True):
        np.testing.assert_array_equal(positions, form.rank(queries, 12).positions)


@pytest.mark.parametrize("strength", [1e4, 1e12, -1e12])
def test_scores_of_any_size_are_ordered(archive, query_codes, restricted, strength):
    """Beyond 2**61 score and rank of a film do not fit into one number."""
    queries = restricted(archive, query_codes, seed=5)
    forms = [Contextual(archive, density=strength), Contextual(archive, density=1.0)]
    for form, positions in zip(forms, rank_forms(forms, queries, 12), strict=True):
        np.testing.assert_array_equal(positions, form.rank(queries, 12).positions)


def test_pools_that_are_smaller_than_the_lists_are_padded(archive, query_codes):
    from graphret.retrieval import QueryBatch

    allowed = np.zeros(archive.n_films, bool)
    allowed[:5] = True
    queries = QueryBatch.of(archive, query_codes, 12, allowed=allowed)
    form = create_ranking("contextual", archive)
    lists = rank_forms([form], queries, 12)
    np.testing.assert_array_equal(lists[0], form.rank(queries, 12).positions)
    assert (lists[0][:, 5:] == -1).all()


@pytest.mark.parametrize("n", [1, 2, 13, 200])
def test_the_best_few_are_the_first_of_all_in_order(n):
    rng = np.random.default_rng(n)
    for n_values in (1, 3, 1000):
        values = rng.integers(0, n_values, n).astype(np.float64)
        ids = rng.permutation(n).astype(np.int32)
        for k in (1, 2, n // 2, n, n + 3):
            if k:
                np.testing.assert_array_equal(_best_few(ids, values, k), _best_first(ids, values)[:k])
