"""The ranking "hamming" against a literal sort."""

import numpy as np
import pytest

from graphret._errors import UnknownNameError
from graphret.neighbors import ExactSearch
from graphret.retrieval import Archive, Hamming, QueryBatch, create_ranking


def literal(archive, code, mask, k, center, ties):
    def unit(x):
        return x / np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]

    films, query = unit(archive.codes), unit(code[None])
    thresholds = np.median(films, axis=0).astype(np.float32) if center == "median" else np.zeros(films.shape[1])
    away = ((films >= thresholds) != (query >= thresholds)).sum(axis=1)
    cosine = np.round(films @ query[0], 6) if ties == "cosine" else np.zeros(len(films))
    order = sorted(np.flatnonzero(mask), key=lambda film: (away[film], -cosine[film], film))[:k]
    return order, [1 - 2 * away[film] / films.shape[1] for film in order]


@pytest.mark.parametrize("center", ["zero", "median"])
@pytest.mark.parametrize("ties", ["position", "cosine"])
@pytest.mark.parametrize("k", [1, 9, 130])
def test_it_is_the_literal_sort(archive, query_codes, center, ties, k):
    rng = np.random.default_rng(5)
    allowed = rng.random(archive.n_films) < 0.7
    forbidden = [rng.choice(archive.n_films, 10, replace=False).astype(np.int32) for _ in query_codes]
    queries = QueryBatch.of(archive, query_codes, k, allowed=allowed, forbidden=forbidden)
    ranked = Hamming(archive, center=center, ties=ties).rank(queries, k)
    for row, code in enumerate(query_codes):
        mask = allowed.copy()
        mask[forbidden[row]] = False
        films, scores = literal(archive, code, mask, k, center, ties)
        assert ranked.positions[row, : len(films)].tolist() == films
        assert (ranked.positions[row, len(films) :] == -1).all()
        np.testing.assert_allclose(ranked.scores[row, : len(films)], scores, atol=1e-6)


def test_codes_that_are_never_negative_need_their_medians(archive):
    codes = np.abs(archive.codes)
    positive = Archive(codes, archive.graph, archive.communities, ExactSearch(codes), k=archive.k)
    queries = QueryBatch.of(positive, codes[7:8], 5)
    constant = create_ranking("hamming", positive, center="zero").rank(queries, 5)
    assert constant.positions.tolist() == [[0, 1, 2, 3, 4]]
    assert (constant.scores == 1).all()
    assert "all signs are equal" in constant.notes[0]
    centred = create_ranking("hamming", positive, center="median").rank(queries, 5)
    assert centred.positions[0, 0] == 7
    assert centred.scores[0, -1] < 1
    assert centred.notes == ()
    by_itself = create_ranking("hamming", positive).rank(queries, 5)
    np.testing.assert_array_equal(by_itself.positions, centred.positions)
    np.testing.assert_array_equal(by_itself.scores, centred.scores)
    assert "above their median in the archive" in by_itself.notes[0]
    # all films are at distance 0, so that ties by cosine are the nearest neighbours
    nearest = create_ranking("nearest", positive).rank(queries, 5)
    by_cosine = create_ranking("hamming", positive, center="zero", ties="cosine").rank(queries, 5)
    np.testing.assert_array_equal(by_cosine.positions, nearest.positions)


def test_one_negative_value_keeps_the_signs(archive, query_codes):
    codes = np.abs(archive.codes)
    codes[-1, -1] = -1e-3
    mixed = Archive(codes, archive.graph, archive.communities, ExactSearch(codes), k=archive.k)
    queries = QueryBatch.of(mixed, query_codes, 9)
    by_itself, signs = (Hamming(mixed, center=center).rank(queries, 9) for center in ("auto", "zero"))
    np.testing.assert_array_equal(by_itself.positions, signs.positions)
    assert by_itself.notes == signs.notes == ()


def test_bits_are_packed_once(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 5)
    Hamming(archive).rank(queries, 5)
    made = archive.prepared(("hamming", "zero"), lambda: pytest.fail("packed again"))
    assert len(made[1]) == archive.n_films
    Hamming(archive, ties="cosine").rank(queries, 5)
    assert archive.prepared(("hamming", "zero"), lambda: None) is made


def test_unknown_options_are_refused(archive):
    with pytest.raises(UnknownNameError, match=r"center='mean'.*median, zero"):
        create_ranking("hamming", archive, center="mean")
    with pytest.raises(UnknownNameError, match=r"ties='random'.*cosine, position"):
        create_ranking("hamming", archive, ties="random")
