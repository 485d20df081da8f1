"""Edges between the films of a list, beside a reference that looks at every pair."""

import numpy as np
import pytest

from graphret.retrieval import Archive, QueryBatch, create_ranking, explain


@pytest.mark.parametrize("ranking", ["region_growing", "nearest"])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_edges_to_earlier_hits_are_those_of_the_graph(ranking, k):
    codes = np.random.default_rng(k).random((40, 6), dtype=np.float32)
    archive = Archive.from_codes(codes, k=5)
    batch = QueryBatch.of(archive, codes[:3] + 0.1, k)
    ranked = create_ranking(ranking, archive).rank(batch, k)
    weights = archive.graph.to_scipy().toarray()
    n_edges = 0
    for row in range(3):
        films = ranked.positions[row][ranked.positions[row] >= 0].tolist()
        for place, reason in enumerate(explain(archive, batch, ranked, row)):
            expected = [
                (film, weights[reason.position, film]) for film in films[:place] if weights[reason.position, film]
            ]
            assert list(zip(reason.earlier.tolist(), reason.earlier_weights.tolist(), strict=True)) == expected
            n_edges += len(expected)
    assert n_edges or k == 1


def test_a_list_without_a_film_has_no_reasons():
    archive = Archive.from_codes(np.eye(4, dtype=np.float32), k=1)
    batch = QueryBatch.of(archive, np.eye(4, dtype=np.float32)[:1], 2, allowed=np.zeros(4, dtype=bool))
    ranked = create_ranking("nearest", archive).rank(batch, 2)
    assert explain(archive, batch, ranked, 0) == []
