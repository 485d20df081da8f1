"""Tuning says what is best so far as it goes."""

import itertools

import numpy as np

from graphret.communities import louvain
from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Archive, QueryBatch
from graphret.tuning import Candidate, choose_ranking
from graphret.tuning.criteria import SharedFindings

CANDIDATES = [
    Candidate("contextual", {"n": n, "context": context}) for n, context in itertools.product((0, 5, 20), (0.0, 0.5))
]


def noisy_groups(rng, n):
    groups = rng.integers(0, 3, n)
    codes = np.eye(3, 30)[groups] * 1.6 + rng.normal(size=(n, 30)) * 0.55
    return codes.astype(np.float32), groups[:, None] == np.arange(3)


def test_it_says_what_is_best_so_far(caplog):
    rng = np.random.default_rng(7)
    codes, labels = noisy_groups(rng, 300)
    graph = similarity_graph(nearest_neighbors(codes, 10))
    archive = Archive(codes, graph, louvain(graph).labels, ExactSearch(codes), k=10)
    query_codes, query_labels = noisy_groups(rng, 150)
    nobody = [np.empty(0, np.int32)] * 150
    queries = QueryBatch.of(archive, query_codes, 50, forbidden=nobody)
    criterion = SharedFindings(query_labels, labels, np.arange(150).astype(str), nobody, ["P@10"])
    calls = []
    with caplog.at_level("INFO", logger="graphret"):
        tuning = choose_ranking(
            archive, queries, criterion, CANDIDATES, variety=0.0, progress=lambda *call: calls.append(call)
        )
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in said] == ["after 64 queries", "after 128 queries", "after 150 queries"]
    reference = next(trial for trial in tuning.trials if trial.ranking == "nearest")
    best = tuning.trials[0]
    form = f"contextual:n={best.options['n']},context={best.options['context']} {best.value:.4f}, "
    assert f"best {form}nearest {reference.value:.4f}; " in said[-1]
    notes = [stage.note for stage, *_ in calls]
    assert notes[0] == f"first 64 queries, by {len(CANDIDATES) + 1} candidates"
    assert set(notes[1:]) <= {notes[0], *said}
