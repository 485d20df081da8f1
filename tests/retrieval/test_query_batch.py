"""Archives, batches and explanations hold together what belongs together, and refuse the rest."""

import numpy as np
import pytest

from graphret._errors import CodesError, InvalidParameterError
from graphret.retrieval import Archive, QueryBatch, create_ranking, explain, list_rankings


def test_a_batch_has_enough_neighbours_for_any_ranking(archive, query_codes):
    assert QueryBatch.of(archive, query_codes, 3).neighbors.shape == (len(query_codes), archive.k)
    assert QueryBatch.of(archive, query_codes, 20).neighbors.shape == (len(query_codes), 20)
    assert QueryBatch.of(archive, query_codes, 500).neighbors.shape == (len(query_codes), archive.n_films)
    assert len(QueryBatch.of(archive, query_codes[2], 3)) == 1


def test_forbidden_and_not_allowed_films_are_no_neighbours(archive):
    allowed = np.arange(archive.n_films) % 2 == 0
    batch = QueryBatch.of(archive, archive.codes[:2], 5, allowed=allowed, forbidden=[[0], []])
    assert 0 not in batch.neighbors[0]
    assert (batch.neighbors % 2 == 0).all()
    wider = batch.at_least(archive, 100)
    assert 0 not in wider.neighbors[0]
    assert (wider.neighbors[0] >= 0).sum() == allowed.sum() - 1
    assert batch.at_least(archive, 5) is batch


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codes": np.full((1, 12), np.nan)}, CodesError, "NaN"),
        ({"codes": np.zeros((1, 12))}, CodesError, "zeros"),
        ({"codes": np.ones((1, 5))}, CodesError, "5 dimensions, the archive has 12"),
        ({"k": 0}, InvalidParameterError, "k=0"),
        ({"allowed": np.ones(7, bool)}, CodesError, "allowed has shape"),
        ({"forbidden": [[1], [2]]}, InvalidParameterError, "1 lists, one per query"),
        ({"forbidden": [[-1]]}, InvalidParameterError, "forbidden=-1 .* positions from 0 to 119"),
        ({"n_threads": 0}, InvalidParameterError, "n_threads=0"),
    ],
)
def test_wrong_queries_are_refused(archive, change, error, message):
    call = {"codes": archive.codes[:1], "k": 3, **change}
    with pytest.raises(error, match=message):
        QueryBatch.of(archive, **call)


def test_an_archive_is_of_one_set_of_films(archive):
    with pytest.raises(CodesError, match="the graph has 120 nodes"):
        Archive(archive.codes[:5], archive.graph, archive.communities, archive.search)
    with pytest.raises(InvalidParameterError, match="one community per film"):
        Archive(archive.codes, archive.graph, archive.communities[:5], archive.search)
    with pytest.raises(InvalidParameterError, match="k=0"):
        Archive(archive.codes, archive.graph, archive.communities, archive.search, k=0)


@pytest.mark.parametrize("name", list_rankings())
def test_explanations_name_real_edges(archive, query_codes, name):
    queries = QueryBatch.of(archive, query_codes, 25)
    ranked = create_ranking(name, archive).rank(queries, 25)
    weights = archive.graph.to_scipy().toarray()
    linked = 0
    for row in (0, 3):
        reasons = explain(archive, queries, ranked, row)
        assert [reason.position for reason in reasons] == ranked.positions[row].tolist()
        assert [reason.step for reason in reasons] == list(range(1, 26))
        for place, reason in enumerate(reasons):
            before = ranked.positions[row, :place]
            expected = before[weights[reason.position, before] > 0]
            assert reason.earlier.tolist() == expected.tolist()
            np.testing.assert_array_equal(reason.earlier_weights, weights[reason.position, expected])
            assert reason.community == archive.communities[reason.position]
            assert (reason.gain is not None) == (reason.source == "expansion")
            nearest = queries.neighbors[row, : archive.k].tolist()
            passes = reason.position in nearest and ranked.similarities[row, place] >= archive.graph.threshold
            assert reason.query_edge == (pytest.approx(ranked.similarities[row, place]) if passes else 0.0)
            linked += passes + reason.earlier.size
    assert linked > 0


def test_explanations_follow_the_number_of_edges(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 25)
    ranked = create_ranking("region_growing", archive, edges=2).rank(queries, 25)
    assert sum(reason.query_edge > 0 for reason in explain(archive, queries, ranked, 0, edges=2)) == 2
