"""Audit: planted copies, planted leaks and planted wrong labels are found, and little else."""

import csv
import json

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.auditing.duplicates import Pairs, choose_threshold, groups_of, near_pairs
from graphret.auditing.labels import doubtful_labels
from graphret.neighbors import nearest_neighbors

N, GROUPS, D = 1500, 6, 32


def archive(seed, *, n=N, spread=0.25):
    """Codes around one centre a group, and the group of each."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, GROUPS, n)
    centres = rng.normal(size=(GROUPS, D))
    return (centres[groups] + spread * rng.normal(size=(n, D)) * np.sqrt(3)).astype(np.float32), groups, rng


def plant_copies(codes, rng, n_copies, noise=0.01):
    """Append copies that were processed a little: their codes move by a hundredth of their length."""
    rows = rng.choice(len(codes), n_copies, replace=False)
    lengths = np.linalg.norm(codes[rows], axis=1, keepdims=True) / np.sqrt(D)
    copies = codes[rows] + noise * lengths * rng.normal(size=(n_copies, D)).astype(np.float32)
    return np.concatenate([codes, copies]).astype(np.float32), rows


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """An index with copies of other patients in other splits, and with labels that were turned round."""
    codes, groups, rng = archive(0)
    codes, rows = plant_copies(codes, rng, 40)
    groups = np.concatenate([groups, groups[rows]])
    n = len(codes)
    labels = (groups[:, None] == np.arange(GROUPS)).astype(np.int8)
    wrong = rng.choice(N, 45, replace=False)
    labels[wrong, groups[wrong]] = 0
    labels[wrong, (groups[wrong] + 1) % GROUPS] = 1
    splits = np.array(["train", "test"])[(np.arange(n) >= N).astype(int)]
    patients = [f"p{number // 2}" for number in range(N)] + [f"q{number}" for number in range(n - N)]
    patients[N] = patients[0]
    index = graphret.build(
        codes,
        out=tmp_path_factory.mktemp("planted") / "index",
        ids=[f"film{number}" for number in range(n)],
        labels=labels,
        label_names=[f"group {number}" for number in range(GROUPS)],
        patients=patients,
        splits=splits,
        k=10,
        tune=False,
    )
    return index, rows, wrong, groups


def test_planted_copies_are_found_in_other_splits_and_of_other_patients(planted):
    index, rows, *_ = planted
    found = graphret.audit(index)
    truth = {(f"film{row}", f"film{N + number}") for number, row in enumerate(rows.tolist())}
    pairs = {(pair.first, pair.second) for pair in found.pairs}
    assert truth <= pairs
    assert len(pairs - truth) <= 2
    assert truth <= {(pair.first, pair.second) for pair in found.leaks}
    assert {pair.splits for pair in found.leaks} == {("train", "test")}
    assert len(found.across_patients) >= len(truth) - 1
    assert len(found.groups) == pytest.approx(len(truth), abs=2)
    assert found.patients_in_several_splits == {"p0": ("test", "train")}
    assert found.threshold_from == "data"
    assert found.pairs[0].similarity >= found.pairs[-1].similarity >= found.threshold


def test_planted_wrong_labels_are_found(planted):
    index, _, wrong, groups = planted
    found = graphret.audit(index)
    truth = {(f"film{row}", f"group {(groups[row] + step) % GROUPS}") for row in wrong.tolist() for step in (0, 1)}
    listed = [(entry.id, entry.label) for entry in found.doubtful_labels]
    assert len(truth & set(listed)) >= 0.9 * len(truth)
    assert len(truth & set(listed[: len(truth)])) >= 0.9 * len(truth)
    suspicions = [entry.suspicion for entry in found.doubtful_labels]
    assert suspicions == sorted(suspicions, reverse=True)
    given = dict(zip(listed, found.doubtful_labels, strict=True))
    one = next(iter(truth & set(listed)))
    row = index.films.ids.tolist().index(one[0])
    assert given[one].given == bool(index.films.labels[row, int(one[1].split()[1])])
    assert 2 * given[one].agree < given[one].asked


def test_nothing_planted_is_hardly_anything_found(tmp_path):
    for seed in (1, 2, 3):
        codes, groups, _ = archive(seed, n=800)
        table = nearest_neighbors(codes, 10)
        assert len(near_pairs(table, choose_threshold(table)).first) <= 4
        labels = (groups[:, None] == np.arange(GROUPS)).astype(np.int8)
        assert len(doubtful_labels(table.neighbors, labels, np.arange(800)).rows) <= 4


def test_a_label_that_codes_do_not_show_is_no_suspicion():
    codes, _, rng = archive(4)
    rare = (rng.random((N, 1)) < 0.03).astype(np.int8)
    found = doubtful_labels(nearest_neighbors(codes, 10).neighbors, rare, np.arange(N))
    assert len(found.rows) <= 0.01 * N


def test_films_of_the_own_patient_and_unknown_labels_are_not_asked():
    codes, groups, _ = archive(5, n=300)
    neighbors = nearest_neighbors(codes, 10).neighbors
    labels = (groups[:, None] == np.arange(GROUPS)).astype(np.int8)
    together = doubtful_labels(neighbors, labels, np.zeros(300, np.int64))
    assert (len(together.rows), together.n_skipped) == (0, 300)
    assert len(doubtful_labels(neighbors, np.full_like(labels, -1), np.arange(300)).rows) == 0


def test_groups_are_connected_components_of_any_size():
    chain = Pairs(np.arange(9), np.arange(1, 10), np.ones(9, np.float32))
    assert [group.tolist() for group in groups_of(chain, 12)] == [list(range(10))]
    assert groups_of(Pairs(*(np.zeros(0, np.int64),) * 2, np.zeros(0, np.float32)), 5) == []


def test_a_given_threshold_is_taken_and_more_copies_than_neighbours_are_said(tmp_path):
    codes, _, _ = archive(6, n=60)
    codes[:20] = codes[0]
    index = graphret.build(codes, out=tmp_path / "index", k=5)
    found = graphret.audit(index, k=4, threshold=0.9999)
    assert (found.threshold, found.threshold_from, found.n_full) == (0.9999, "caller", 20)
    assert max(len(group.ids) for group in found.groups) >= 5
    assert graphret.audit(index, k=25).groups[0].ids == tuple(map(str, range(20)))


@pytest.mark.parametrize("n", [1, 2])
def test_a_tiny_archive_has_nothing_to_say(tmp_path, n):
    index = graphret.build(np.eye(3, dtype=np.float32)[:n] + 0.1, out=tmp_path / "index")
    found = graphret.audit(index)
    assert (found.pairs, found.groups, found.doubtful_labels) == ((), (), ())


@pytest.mark.parametrize(
    ("options", "words"),
    [({"k": 1}, "k=1"), ({"threshold": 0}, "threshold=0"), ({"threshold": "high"}, "threshold='high'")],
)
def test_wrong_calls_are_refused(planted, options, words):
    with pytest.raises(InvalidParameterError, match=words):
        graphret.audit(planted[0], **options)


def test_the_command_says_the_same_and_writes_files(planted, run, tmp_path):
    index = planted[0]
    done = run("audit", index.path, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    expected = graphret.audit(index.path)
    assert document["counts"] == expected.counts
    assert document["threshold"] == expected.threshold
    rows = list(csv.DictReader((tmp_path / "out" / "duplicates.csv").read_text().splitlines()))
    assert [(row["first"], row["second"]) for row in rows] == [(pair.first, pair.second) for pair in expected.pairs]
    labels = list(csv.DictReader((tmp_path / "out" / "labels.csv").read_text().splitlines()))
    assert [row["id"] for row in labels] == [entry.id for entry in expected.doubtful_labels]
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["counts"] == expected.counts
    shown = run("audit", index.path, "--show", "2").out
    assert f"{expected.threshold:.6f} (chosen from the archive)" in shown
    assert expected.pairs[0].first in shown
    assert "suspicions, not verdicts" in shown
