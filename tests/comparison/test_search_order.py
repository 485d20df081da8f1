"""Films at one distance come in a drawn order: folders of classes do not decide who is found."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from graphret.comparison import MethodSettings
from graphret.comparison.films import prepare_films
from graphret.comparison.rows import RowMaker
from graphret.files import Stages


@pytest.fixture
def sorted_films(untrained_experiment, tmp_path):
    """Films of a data set that lists one finding after the other, as folders do."""
    films = prepare_films(untrained_experiment.data, tmp_path / "films")
    by_class = np.argsort(films.database.labels.argmax(axis=1), kind="stable")
    return replace(films, database=films.database.select(by_class))


def test_the_first_class_has_no_advantage_among_films_at_one_distance(untrained_experiment, sorted_films, tmp_path):
    experiment = replace(untrained_experiment, measures=("P@10",))
    n_films, n_queries = len(sorted_films.database), len(sorted_films.queries)
    made = SimpleNamespace(
        method=MethodSettings("random"),
        n_bits=8,
        key="every code is the same",
        codes=np.ones((n_films, 8), np.float32),
        query_codes=np.ones((n_queries, 8), np.float32),
        stages=Stages(tmp_path / "rows"),
        costs={},
    )
    row = RowMaker(experiment, sorted_films, None).make(made, "hamming")
    assert row.measures["P@10"]["mean"] == pytest.approx(row.ties["P@10"], abs=0.1)
    assert row.positions.shape == (n_queries, 10)
    # positions are those of the comparison's films: what they share with the queries is what was measured
    relevant = sorted_films.database.relevance()[row.positions] & sorted_films.queries.relevance()[:, None]
    np.testing.assert_allclose(row.values["P@10"], relevant.any(axis=2).mean(axis=1))
    first = sorted_films.database.relevance()[np.tile(np.arange(10), (n_queries, 1))]
    by_folders = (first & sorted_films.queries.relevance()[:, None]).any(axis=2).mean()
    assert abs(by_folders - row.ties["P@10"]) > 0.1, "the order of the folders would have told"
