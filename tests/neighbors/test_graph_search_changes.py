"""Graph search that follows changes: short codes as they would have been made, links of all, a way to every film."""

import numpy as np
import pytest

from graphret.neighbors import ExactSearch, GraphSearch, build_graph_search, nearest_neighbors
from graphret.neighbors.changed_rows import with_rows_added, with_rows_removed
from graphret.neighbors.graph_search_build import components_of, mutual_links
from graphret.neighbors.graph_search_changes import changed_graph_search

K = 8


@pytest.fixture(scope="module")
def codes():
    rng = np.random.default_rng(0)
    centres = rng.random((12, 24)) * 3
    return np.abs(centres[np.arange(900) % 12] + rng.normal(size=(900, 24))).astype(np.float32)


@pytest.fixture(scope="module")
def built(codes):
    table = nearest_neighbors(codes[:700], K)
    structure = build_graph_search(ExactSearch(codes[:700]), table.neighbors, K, always=True)
    assert structure is not None
    return table, structure


def changed(codes, built, kept, new):
    table, structure = built
    now = np.concatenate([codes[:700][kept], new])
    search = ExactSearch(now)
    table = with_rows_added(with_rows_removed(table, kept), search, K)
    return now, search, table, changed_graph_search(structure, lambda: search, kept, table.neighbors)


def test_a_copy_of_a_film_gets_its_short_code(codes, built):
    """As the first build made it: the middle of every direction is read back from what was rounded."""
    now, _, _, structure = changed(codes, built, np.arange(700), codes[:700:3] * 2)
    assert len(structure.short) == len(now)
    difference = structure.short[700:].astype(int) - structure.short[:700:3]
    assert np.abs(difference).max() <= 1  # on the border between two steps
    assert (difference == 0).mean() > 0.99


def test_links_and_entry_points_are_those_of_the_films_now(codes, built):
    kept = np.setdiff1d(np.arange(700), np.arange(0, 700, 5))
    now, _, table, structure = changed(codes, built, kept, codes[700:])
    links = mutual_links(table.neighbors)
    assert np.array_equal(structure.indptr, links[0])
    assert np.array_equal(structure.indices, links[1])
    components = components_of(*links)
    assert set(components[structure.entry_points]) == set(components)
    assert (np.diff(structure.entry_points) > 0).all()
    assert structure.entry_points.max() < len(now)
    assert np.array_equal(structure.short[: len(kept)], built[1].short[kept])


def test_it_finds_what_an_exact_search_finds(codes, built):
    kept = np.setdiff1d(np.arange(700), np.arange(0, 700, 4))
    now, search, _, structure = changed(codes, built, kept, codes[700:])
    queries = now[::9] + 0.01
    found = GraphSearch(search, structure, always=True).search(queries, K).neighbors
    exact = search.search(queries, K).neighbors
    shared = [len(set(row) & set(true)) / K for row, true in zip(found.tolist(), exact.tolist(), strict=True)]
    assert np.mean(shared) > 0.98


def test_a_component_that_comes_is_searched_and_all_candidates_are_expanded(codes, built):
    far = np.zeros((20, 24), np.float32)
    far[:, 0] = -5
    far += np.random.default_rng(1).normal(size=far.shape).astype(np.float32) * 0.01
    _, search, _, structure = changed(codes, built, np.arange(700), far)
    found = GraphSearch(search, structure, always=True).search(far[:3], 1).neighbors
    assert found[:, 0].tolist() == [700, 701, 702]
    assert structure.expanded_share == 1.0
