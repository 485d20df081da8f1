"""The benchmark of examples: tasks that can be judged, and a table that says what its record says."""

import json

import numpy as np


def test_every_task_has_films_that_show_its_finding(script):
    labels = np.zeros((60, 14), dtype=np.int8)
    labels[np.arange(60), np.arange(60) % 7] = 1
    drawn = script("query_examples").tasks(labels, np.arange(60), 28, np.random.default_rng(0))
    assert {finding for finding, _ in drawn} == set(range(7))
    assert all((labels[films, finding] == 1).all() and len(set(films)) == 3 for finding, films in drawn)


def test_the_table_is_that_of_its_record(script):
    results = script("record").RESULTS
    record = json.loads((results / "query_examples.json").read_text(encoding="utf-8"))
    assert script("query_examples").tables(record) == (results / "query_examples.md").read_text(encoding="utf-8")
