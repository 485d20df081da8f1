"""Names of films and folders are shown as they are, whatever a terminal library would make of their letters."""

import numpy as np
import pytest

import graphret

NAMES = ["scan [a].png", "scan [bold].png", "[/x]", ":skull: 12", "[link=http://a.b]film[/link]", "\\[c]"]


@pytest.fixture
def index(tmp_path):
    codes = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    labels = np.eye(2, dtype=int)[np.arange(6) % 2]
    return graphret.build(codes, out=tmp_path / "i[/b]", k=3, ids=NAMES, labels=labels, label_names=["[red]a", "b[/]"])


def test_tables_show_names_as_they_are(index, run):
    for name in NAMES:
        found = run("query", index.path, "--id", name, "-k", 5)
        assert found.status == 0, found.err
        for other in NAMES:
            assert other in found.out
        assert "[red]a" in found.out
        assert "b[/]" in found.out


def test_titles_and_notes_show_paths_as_they_are(index, run):
    told = run("info", index.path)
    assert told.status == 0, told.err
    assert str(index.path) in told.out
    tuned = run("tune", index.path, "--budget", 1)
    assert tuned.status == 0, tuned.err
    missing = run("query", index.path, "--id", "[/none]")
    assert missing.status == 2
    assert "[/none]" in missing.err
