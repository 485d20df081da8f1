"""Graph search: what it finds, what it may not return, and that nothing depends on how it was asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import CodesError, InvalidParameterError
from graphret._numba import jit, prefetch
from graphret.neighbors import ExactSearch, GraphSearch, beam_width, build_graph_search, nearest_neighbors
from graphret.neighbors import graph_search as graph_search_module
from graphret.neighbors.beam_width import HeldOut, measure_beam, narrowest_beam, shares_found
from graphret.neighbors.graph_search_build import SHARES, choose_entry_points, components_of, mutual_links

N, D, K = 3000, 24, 20


def clustered(n, d, seed, n_groups=30, noise=0.5):
    rng = np.random.default_rng(seed)
    centres = rng.random((n_groups, d)) * 3
    return np.abs(centres[rng.integers(n_groups, size=n)] + noise * rng.normal(size=(n, d))).astype(np.float32)


def search_over(codes, k, **options):
    """A search that is never answered by a scan for being small."""
    exact = ExactSearch(codes)
    table = nearest_neighbors(codes, k, backend="auto")
    structure = build_graph_search(exact, table.neighbors, k, always=True, **options)
    return GraphSearch(exact, structure, always=True)


@pytest.fixture(scope="module")
def codes():
    return clustered(N + 200, D, 0, n_groups=3, noise=1.0)


@pytest.fixture(scope="module")
def queries(codes):
    return codes[N:]


@pytest.fixture(scope="module")
def search(codes):
    return search_over(codes[:N], K)


def same(left, right):
    assert left.neighbors.tolist() == right.neighbors.tolist()
    assert left.similarities.tobytes() == right.similarities.tobytes()


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(12, 90),
    d=st.integers(1, 9),
    k=st.integers(1, 8),
    copies=st.integers(0, 10),
    expanded_share=st.sampled_from([1.0, 0.5, 0.01]),
    seed=st.integers(0, 10_000),
)
def test_an_unbounded_beam_is_an_exact_search(n, d, k, copies, expanded_share, seed):
    codes = clustered(n, d, seed, n_groups=3)
    codes[:copies] = codes[copies]  # equal films are equally near: ties
    made = search_over(codes, k)
    # whatever share is expanded: as long as the pool has room, all links are
    search = GraphSearch(made.exact, replace(made.structure, expanded_share=expanded_share), always=True)
    queries = np.concatenate([clustered(3, d, seed + 1), codes[:2]])
    found = search.traverse(queries, k, forbidden=[()] * 5, beam=n)
    same(found, search.exact.search(queries, k))
    assert (found.counts.rescored == n).all()


def test_it_finds_what_it_promises(search, queries):
    assert search.structure.recall >= 0.99
    assert search.structure.beam < N // 4
    found, exact = search.search(queries, K), search.exact.search(queries, K)
    assert shares_found(found.neighbors, exact.neighbors).mean() >= 0.98
    assert found.method == "approximate"
    assert found.recall == search.structure.recall
    at = found.neighbors >= 0
    assert (found.similarities[at] == search.similarities(queries, found.neighbors)[at]).all()
    steps = np.diff(found.similarities, axis=1)
    assert ((steps < 0) | ((steps == 0) & (np.diff(found.neighbors, axis=1) > 0))).all()


def test_a_higher_target_takes_a_wider_beam(codes):
    table = nearest_neighbors(codes[:N], K)
    exact = ExactSearch(codes[:N])
    beams = [build_graph_search(exact, table.neighbors, K, recall=r, always=True).beam for r in (0.9, 0.98, 0.999)]
    assert beams == sorted(beams)
    assert beams[0] < beams[2]


def test_the_seed_draws_other_entries(codes):
    table = nearest_neighbors(codes[:N], K)
    made = [
        build_graph_search(ExactSearch(codes[:N]), table.neighbors, K, always=True, seed=seed) for seed in (0, 0, 1)
    ]
    assert made[0].entry_points.tolist() == made[1].entry_points.tolist() != made[2].entry_points.tolist()
    assert made[0].short.tobytes() == made[1].short.tobytes()


def test_few_films_are_scanned(codes):
    table = nearest_neighbors(codes[:N], K)
    exact = ExactSearch(codes[:N])
    assert build_graph_search(exact, table.neighbors, K) is None
    made = build_graph_search(exact, table.neighbors, K, always=True)
    counts = GraphSearch(exact, made).search(codes[N : N + 2], K).counts
    assert counts.compared.tolist() == [N, N]
    assert counts.visited.tolist() == [0, 0]


def test_the_narrowest_beam(search):
    films = HeldOut.of(search.exact, np.arange(7, N, 15), K, None)
    beam = narrowest_beam(search, films, 0.97, most=N)
    assert beam == measure_beam(search, films, beam.width)
    assert beam.recall >= 0.97
    assert K < beam.width < N
    narrower = measure_beam(search, films, beam.width - beam.width // 16 - 1)
    assert narrower.recall < 0.97
    assert narrower.cost < beam.cost
    assert abs(narrowest_beam(search, films, 0.97, most=N, first=3 * K).width - beam.width) <= beam.width // 16 + 1
    assert narrowest_beam(search, films, 0.97, most=N, confidence=30.0).width > beam.width
    assert narrowest_beam(search, films, 0.97, most=K) is None


def test_the_beam_of_a_search_reaches_its_recall_at_the_lower_end_of_the_interval(codes, monkeypatch):
    """Beams whose mean is enough, but not surely, were measured and not taken."""
    measured = []

    def measure(search, films, width, n_threads=None):
        beam = measure_beam(search, films, width, n_threads)
        measured.append((len(films.rows), beam))
        return beam

    monkeypatch.setattr(beam_width, "measure_beam", measure)
    few = codes[:1000]
    table = nearest_neighbors(few, K)
    made = build_graph_search(ExactSearch(few), table.neighbors, K, recall=0.98, always=True)
    most = max(n_films for n_films, _ in measured)
    beams = {beam.width: beam for n_films, beam in measured if n_films == most}
    chosen = beams[made.beam]
    assert chosen.recall == made.recall
    assert chosen.recall - 1.96 * chosen.error >= 0.98
    narrower = [beam for beam in beams.values() if beam.width < made.beam]
    assert all(beam.recall - 1.96 * beam.error < 0.98 for beam in narrower)
    assert any(beam.recall >= 0.98 for beam in narrower)


def test_held_out_films_do_not_help_themselves(search):
    rows = np.arange(0, N, 100)
    films = HeldOut.of(search.exact, rows, K, None)
    assert not (films.truth == rows[:, None]).any()
    assert films.every(2).rows.tolist() == rows[::2].tolist()
    assert films.every(2).truth.tolist() == films.truth[::2].tolist()
    assert measure_beam(search, films, N).recall == 1.0


@pytest.mark.parametrize("n_threads", [1, 2])
def test_alone_in_a_batch_and_with_any_threads(search, queries, n_threads):
    whole = search.search(queries, K, n_threads=n_threads)
    for row in (0, 57, 199):
        alone = search.search(queries[row : row + 1], K, n_threads=3 - n_threads)
        assert alone.neighbors.tolist() == whole.neighbors[row : row + 1].tolist()
        assert alone.similarities.tobytes() == whole.similarities[row : row + 1].tobytes()
        for name in ("compared", "visited", "rescored"):
            assert getattr(alone.counts, name)[0] == getattr(whole.counts, name)[row]


def test_counts_say_what_was_looked_at(search, queries):
    counts = search.search(queries, K).counts
    beam = search.structure.beam
    assert (counts.rescored == beam).all()
    assert (counts.visited >= np.ceil(search.structure.expanded_share * beam)).all()
    assert (counts.compared >= counts.visited).all()
    assert counts.compared.mean() < N
    wider = search.traverse(queries, K, forbidden=[()] * len(queries), beam=2 * beam).counts
    assert wider.compared.mean() > counts.compared.mean()


def test_the_share_that_is_followed(search, queries):
    recalls, visited, beam = [], [], 4 * K
    exact = search.exact.search(queries, K).neighbors
    for expanded_share in (1.0, 0.5, 0.1):
        some = GraphSearch(search.exact, replace(search.structure, expanded_share=expanded_share), always=True)
        found = some.traverse(queries, K, forbidden=[()] * len(queries), beam=beam)
        assert (found.counts.rescored == beam).all()
        assert (found.counts.visited >= expanded_share * beam).all()
        visited.append(found.counts.visited.mean())
        recalls.append(shares_found(found.neighbors, exact).mean())
    assert visited == sorted(visited, reverse=True)
    assert visited[2] < 0.5 * visited[0]
    assert recalls == sorted(recalls, reverse=True)


def test_the_share_makes_a_query_cheaper(search):
    made = search.structure
    assert made.expanded_share in SHARES
    films = HeldOut.of(search.exact, np.arange(7, N, 15), K, None)
    costs = {}
    for share in SHARES:
        tried = GraphSearch(search.exact, replace(made, expanded_share=share), always=True)
        costs[share] = narrowest_beam(tried, films, 0.99, most=N).cost
    assert costs[made.expanded_share] <= 1.05 * costs[1.0]  # other films chose it


@pytest.mark.parametrize("share", [0.9, 0.3, 0.05])
def test_only_allowed_films_come(search, queries, share):
    allowed = np.random.default_rng(1).random(N) < share
    found = search.search(queries, K, allowed=allowed)
    exact = search.exact.search(queries, K, allowed=allowed)
    assert allowed[found.neighbors].all()
    assert shares_found(found.neighbors, exact.neighbors).mean() >= 0.98


def test_a_filter_far_from_the_query_is_answered_too(search, codes, queries):
    """Allowed are only films of the far half: the search must widen, or give up and scan, and never return fewer."""
    cosines = codes[:N] @ queries[0] / search.lengths
    allowed = cosines < np.median(cosines)
    found = search.search(queries[:1], K, allowed=allowed)
    exact = search.exact.search(queries[:1], K, allowed=allowed)
    assert allowed[found.neighbors].all()
    assert shares_found(found.neighbors, exact.neighbors).mean() >= 0.9
    quick = GraphSearch(search.exact, search.structure).search(queries[:1], K, allowed=allowed)
    same(quick, exact)


@pytest.mark.parametrize("n_allowed", [0, 1, 5])
def test_fewer_allowed_than_wanted(search, queries, n_allowed):
    allowed = np.zeros(N, bool)
    allowed[np.random.default_rng(2).choice(N, n_allowed, replace=False)] = True
    found = search.search(queries[:7], K, allowed=allowed)
    same(found, search.exact.search(queries[:7], K, allowed=allowed))
    assert (found.neighbors >= 0).sum(axis=1).tolist() == [n_allowed] * 7


def test_forbidden_films_never_come(search, queries):
    nearest = search.search(queries, K).neighbors
    forbidden = [row[::-1][: number % 15] for number, row in enumerate(nearest)]
    found = search.search(queries, K, forbidden=forbidden)
    exact = search.exact.search(queries, K, forbidden=forbidden)
    for row, banned in zip(found.neighbors, forbidden, strict=True):
        assert not np.isin(row, banned).any()
    assert shares_found(found.neighbors, exact.neighbors).mean() >= 0.98


def test_nearly_all_films_forbidden(search, queries):
    kept = np.array([5, 77, 2100])
    forbidden = [np.delete(np.arange(N, dtype=np.int32), kept)]
    same(search.search(queries[:1], K, forbidden=forbidden), search.exact.search(queries[:1], K, forbidden=forbidden))


def test_more_films_than_the_beam_was_chosen_for(search, queries):
    structure = search.structure
    assert structure.places(1) == structure.places(K) == structure.beam
    assert structure.places(5 * K) == 5 * structure.beam
    for k in (3 * K, N):
        found, exact = search.search(queries[:9], k), search.exact.search(queries[:9], k)
        assert found.k == k
        assert shares_found(found.neighbors, exact.neighbors).mean() >= 0.98
    same(search.search(queries[:2], 10 * N), search.exact.search(queries[:2], N))


def test_an_absent_film_is_never_met(search, codes):
    rows = np.array([3, 1000, *search.structure.entry_points[:2]])
    found = search.traverse(codes[rows], K, forbidden=[()] * 4, absent=rows, beam=search.structure.beam)
    assert not (found.neighbors == rows[:, None]).any()
    truth = search.exact.search(codes[rows], K, forbidden=list(rows[:, None])).neighbors
    assert shares_found(found.neighbors, truth).mean() >= 0.95


def test_every_component_has_an_entry_and_isolated_films_are_found():
    codes = clustered(600, 8, 3)
    table = nearest_neighbors(codes, 6)
    neighbors = table.neighbors.copy()
    neighbors[np.isin(neighbors, np.arange(40))] = -1
    neighbors[:40] = -1  # forty films without any link
    structure = build_graph_search(ExactSearch(codes), neighbors, 6, always=True)
    assert np.isin(np.arange(40), structure.entry_points).all()
    search = GraphSearch(ExactSearch(codes), structure, always=True)
    found = search.traverse(codes[:40], 1, forbidden=[()] * 40, beam=8)
    assert found.neighbors[:, 0].tolist() == list(range(40))


def test_groups_without_links_between_them():
    """Copies of single films link to each other only: as many components as films that are different."""
    films = clustered(40, 16, 4)
    codes = np.repeat(films, 12, axis=0)
    search = search_over(codes, 8)
    assert search.structure.expanded_share == 1.0
    found = search.search(films, 30)
    same(found, search.exact.search(films, 30))


def test_entries_cover_components_of_any_number():
    neighbors = np.array([[1], [0], [3], [2], [-1]], dtype=np.int32)
    indptr, indices = mutual_links(neighbors)
    assert indptr.tolist() == [0, 1, 2, 3, 4, 4]
    assert indices.tolist() == [1, 0, 3, 2]
    entry_points = choose_entry_points(components_of(indptr, indices), np.random.default_rng(0))
    assert {film // 2 for film in entry_points.tolist()} == {0, 1, 2}


def test_a_query_that_the_short_codes_do_not_see(search, queries):
    """Without a part in the leading directions there is nothing to search by: the codes are scanned."""
    blind = replace(search.structure, directions=np.zeros_like(search.structure.directions))
    found = GraphSearch(search.exact, blind, always=True).search(queries[:3], K)
    same(found, search.exact.search(queries[:3], K))
    assert found.counts.compared.tolist() == [N] * 3


@pytest.mark.parametrize("scale", [1024.0, 2.0**100, 2.0**-100])
def test_scale_does_not_matter(search, queries, scale):
    same(search.search(queries * np.float32(scale), K), search.search(queries, K))


def test_read_only_and_memory_mapped(search, codes, queries, tmp_path):
    structure = search.structure
    mapped = {}
    for name in ("short", "directions", "entry_points", "indptr", "indices"):
        np.save(tmp_path / f"{name}.npy", getattr(structure, name))
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r").view(np.ndarray)
    np.save(tmp_path / "codes.npy", codes[:N])
    exact = ExactSearch(np.load(tmp_path / "codes.npy", mmap_mode="r").view(np.ndarray))
    same(GraphSearch(exact, replace(structure, **mapped), always=True).search(queries, K), search.search(queries, K))


def test_pools_of_any_size_keep_their_order(search, queries, monkeypatch):
    """One group of neighbours at a time, or all at once: the same films."""
    beam = search.structure.beam
    narrow = search.traverse(queries, K, forbidden=[()] * len(queries), beam=K)
    wide = search.traverse(queries, K, forbidden=[()] * len(queries), beam=4 * beam)
    exact = search.exact.search(queries, K).neighbors
    shares = [shares_found(found.neighbors, exact).mean() for found in (narrow, search.search(queries, K), wide)]
    assert shares == sorted(shares)
    assert shares[0] < shares[2]
    monkeypatch.setattr(graph_search_module, "PLACE_COST", 10**9)
    assert GraphSearch(search.exact, search.structure).search(queries[:1], K).counts.visited.tolist() == [0]


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_a_lone_query_whose_squares_float32_cannot_hold(search, queries, scale):
    scaled = (queries[:1] * np.float64(scale)).astype(np.float32)
    found = search.search(scaled, K)
    assert shares_found(found.neighbors, search.search(queries[:1], K).neighbors).tolist() == [1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_lone_query_without_a_cosine(search, value):
    with pytest.raises(CodesError, match=r"first row 0"):
        search.search(np.full((1, D), value, np.float32), K)


def test_messages(search, codes, queries):
    with pytest.raises(CodesError, match=r"allowed has shape \(2,\)"):
        search.search(queries, K, allowed=np.ones(2, bool))
    with pytest.raises(InvalidParameterError, match="k=0 is not allowed"):
        search.search(queries, 0)
    with pytest.raises(CodesError, match="short codes: make them anew"):
        GraphSearch(ExactSearch(codes), search.structure)
    for recall in (0.0, 1.0, True, "all"):
        with pytest.raises(InvalidParameterError, match='search="exact" finds all'):
            build_graph_search(search.exact, np.zeros((N, 1), np.int32), K, recall=recall)


def test_prefetch_changes_nothing():
    @jit()
    def total(values, rows):
        out = 0.0
        for row in rows:
            prefetch(values, row)
            out += values[row, 0]
        return out

    values = np.arange(12.0).reshape(4, 3)
    assert total(values, np.array([3, 0, 2])) == 9.0 + 0.0 + 6.0


def test_shares_found():
    truth = np.array([[1, 2, -1], [4, 5, 6]])
    found = np.array([[2, 9, -1], [6, 5, 4]])
    assert shares_found(found, truth).tolist() == [0.5, 1.0]
