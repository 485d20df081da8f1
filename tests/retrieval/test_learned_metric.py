"""The learned metric against slow, literal definitions; its sums, its record, and the ranking that uses it."""

import itertools

import numpy as np
import pytest
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits

from graphret._errors import InvalidParameterError
from graphret.retrieval import Contextual, LabelScatter, LearnedMetric, QueryBatch, create_ranking
from graphret.retrieval.learned_metric import mean_direction

N_FINDINGS = 3


def unit(codes):
    codes = np.asarray(codes, dtype=np.float64)
    return codes / np.linalg.norm(codes, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def labels(archive):
    """Several findings a film, or none; they move with the codes."""
    rng = np.random.default_rng(5)
    return (
        unit(archive.codes) @ rng.normal(size=(archive.codes.shape[1], N_FINDINGS)) + rng.normal(size=3) * 0.3
    ) > 0.4


@pytest.fixture(scope="module")
def scatter(archive, labels):
    return LabelScatter.of(archive.codes, labels, mean_direction(archive.codes))


def literal_scatter(codes, labels):
    """Mean, S_w and S_b from all pairs of films that share a finding, "none" being one."""
    codes = unit(codes)
    groups = [codes[labels[:, finding]] for finding in range(labels.shape[1])] + [codes[~labels.any(axis=1)]]
    total = sum(len(group) for group in groups)
    mean = sum(group.sum(axis=0) for group in groups) / total
    within, between = np.zeros((codes.shape[1],) * 2), np.zeros((codes.shape[1],) * 2)
    for group in groups:
        for one, other in itertools.combinations(group, 2):
            within += np.outer(one - other, one - other) / len(group) / total
        if len(group):
            offset = group.mean(axis=0) - mean
            between += len(group) * np.outer(offset, offset) / total
    return mean, within, between


def literal_similarity(codes, labels, films, share, ridge, dimensions):
    """Share of both cosines, from the generalised eigenproblem of S_b and of all scatter against S_w."""
    mean, within, between = literal_scatter(codes, labels)
    floor = within + ridge * np.trace(within) / len(mean) * np.eye(len(mean))
    offsets = unit(films) - mean
    values, axes = eigh(between, floor)
    kept = values > 1e-9
    discriminant = offsets @ (axes[:, kept] * np.sqrt(values[kept] / (1 + values[kept])))
    _, axes = eigh(within + between, floor)
    whitened = offsets @ axes[:, -dimensions:]
    return share * unit(discriminant) @ unit(discriminant).T + (1 - share) * unit(whitened) @ unit(whitened).T


@pytest.mark.parametrize(
    ("share", "ridge", "dimensions"), [(0.5, 0.01, 32), (0.8, 0.1, 4), (0.0, 1.0, 3), (1.0, 0.01, 5)]
)
def test_it_is_the_literal_definition(archive, labels, scatter, query_codes, share, ridge, dimensions):
    metric = LearnedMetric.fit(scatter, discriminant_share=share, ridge=ridge, dimensions=dimensions)
    films = np.concatenate([archive.codes, query_codes])
    expected = literal_similarity(archive.codes, labels, films, share, ridge, dimensions)
    vectors = metric.project(films)
    assert vectors.shape[1] == min(dimensions, archive.codes.shape[1]) + metric.n_discriminant
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=2e-5)
    np.testing.assert_allclose(metric.project_queries(films), vectors, atol=2e-6)


def test_sums_of_parts_add_up_and_can_be_taken_away(archive, labels, scatter):
    parts = np.split(np.arange(archive.n_films), [47])
    first, second = (LabelScatter.of(archive.codes[rows], labels[rows], scatter.origin) for rows in parts)
    for found, expected in ((first + second, scatter), (scatter - second, first)):
        for name in ("counts", "sums", "squares"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-4)


def test_threads_and_batches_change_nothing(archive, labels, query_codes, scatter):
    def learned():
        sums = LabelScatter.of(archive.codes, labels, mean_direction(archive.codes))
        return LearnedMetric.fit(sums, discriminant_share=0.5, ridge=0.01)

    with threadpool_limits(1):
        one = learned()
    with threadpool_limits(2):
        two = learned()
        assert np.array_equal(one.project(archive.codes), two.project(archive.codes))
    assert np.array_equal(one.directions, two.directions)
    assert np.array_equal(one.centre, two.centre)
    together = one.project_queries(query_codes)
    for row, code in enumerate(query_codes):
        assert np.array_equal(one.project_queries(code[None])[0], together[row])
    metric = LearnedMetric.fit(scatter, discriminant_share=0.5, ridge=0.01)
    ranker = Contextual(archive.with_metric(metric), n=3, density=0.5, learned=True)
    batch = QueryBatch.of(archive, query_codes, 10)
    alone, paired = (ranker.rank(batch, 10, n_threads=n_threads) for n_threads in (1, 2))
    assert np.array_equal(alone.positions, paired.positions)
    assert np.array_equal(alone.scores, paired.scores)


def test_its_record_brings_it_back_to_the_bit(scatter, query_codes):
    metric = LearnedMetric.fit(scatter, discriminant_share=0.8, ridge=0.1)
    record = metric.to_record()
    assert record["learned_from"] == "the archive's labels"
    again = LearnedMetric.from_record(record)
    assert np.array_equal(again.project_queries(query_codes), metric.project_queries(query_codes))


def test_a_code_without_direction_is_no_error(scatter):
    metric = LearnedMetric.fit(scatter, discriminant_share=0.5, ridge=0.1)
    centre = np.eye(1, len(metric.centre), dtype=np.float32)
    vector = LearnedMetric(centre[0], metric.directions, metric.n_discriminant, 0.5).project_queries(centre)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) > 0


def test_films_with_the_same_or_no_findings_leave_whitening_alone(archive):
    nobody = np.zeros((archive.n_films, N_FINDINGS), bool)
    metric = LearnedMetric.fit(
        LabelScatter.of(archive.codes, nobody, mean_direction(archive.codes)), discriminant_share=0.5, ridge=0.1
    )
    assert metric.n_discriminant == 0
    np.testing.assert_allclose(np.linalg.norm(metric.project(archive.codes), axis=1), np.sqrt(0.5), atol=1e-6)


def test_the_ranking_takes_pool_and_similarity_in_the_metric(archive, scatter, query_codes):
    metric = LearnedMetric.fit(scatter, discriminant_share=0.5, ridge=0.01)
    learned = archive.with_metric(metric)
    allowed = np.random.default_rng(3).random(archive.n_films) < 0.7
    batch = QueryBatch.of(learned, query_codes, 10, allowed=allowed)
    ranked = create_ranking("contextual", learned, n=0, context=0.0, pool=12, learned=True).rank(batch, 10)
    products = metric.project_queries(query_codes).astype(float) @ metric.project(archive.codes).astype(float).T
    products[:, ~allowed] = -np.inf
    np.testing.assert_allclose(ranked.scores, -np.sort(-products, axis=1)[:, :10], atol=2e-6)
    cosines = (unit(query_codes)[:, None] * unit(archive.codes[ranked.positions])).sum(axis=2)
    np.testing.assert_allclose(ranked.similarities, cosines, atol=2e-6, err_msg="the similarity stays the cosine")
    plain = create_ranking("contextual", learned, n=0, context=0.0).rank(batch, 10)
    assert not np.array_equal(ranked.positions, plain.positions)


def test_it_finds_what_the_labels_say_where_codes_vary_for_other_reasons():
    rng = np.random.default_rng(8)
    kinds = rng.integers(0, 3, 900)
    codes = rng.normal(size=(900, 20)) * np.array([4.0] * 10 + [1.0] * 10) + 3
    codes[:, 10:13] += 3 * np.eye(3)[kinds]
    codes, labels = codes.astype(np.float32), kinds[:, None] == np.arange(3)
    known, asked = slice(0, 700), slice(700, 900)
    metric = LearnedMetric.fit(
        LabelScatter.of(codes[known], labels[known], mean_direction(codes[known])), discriminant_share=0.5, ridge=0.01
    )
    found = []
    for films in (unit(codes), metric.project(codes)):
        nearest = np.argsort(-films[asked] @ films[known].T, axis=1)[:, :10]
        found.append((kinds[known][nearest] == kinds[asked, None]).mean())
    assert found[0] < 0.6
    assert found[1] > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discriminant_share": 1.5, "ridge": 0.1}, "discriminant_share=1.5"),
        ({"discriminant_share": 0.5, "ridge": 0.0}, "ridge=0.0 .* > 0"),
        ({"discriminant_share": 0.5, "ridge": 0.1, "dimensions": 0}, "dimensions=0"),
    ],
)
def test_values_out_of_range_are_refused(scatter, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        LearnedMetric.fit(scatter, **options)


def test_nothing_can_be_learned_from_no_films(scatter):
    with pytest.raises(InvalidParameterError, match="at least one film"):
        LearnedMetric.fit(scatter - scatter, discriminant_share=0.5, ridge=0.1)


def test_the_ranking_says_what_it_cannot_do(archive, scatter):
    with pytest.raises(InvalidParameterError, match=r"learned=True.*tune the archive by its labels"):
        Contextual(archive, learned=True)
    learned = archive.with_metric(LearnedMetric.fit(scatter, discriminant_share=0.5, ridge=0.1))
    with pytest.raises(InvalidParameterError, match=r"whitening=0.5"):
        Contextual(learned, learned=True, whitening=0.5)
    with pytest.raises(InvalidParameterError, match=r"learned='yes'"):
        Contextual(learned, learned="yes")
