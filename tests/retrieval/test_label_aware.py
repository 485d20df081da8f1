"""The label-aware ranking against a slow, literal version, what it must not read, and what it refuses."""

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError
from graphret.retrieval import Findings, LabelAware, QueryBatch, create_ranking, explain, list_rankings, uses_labels

NAMES = ("Edema", "Mass", "Effusion", "Hernia")
DEFAULTS = {"pool": 400, "strength": 0.8, "voters": 100, "sharpness": 0.5, "prior": 2.0, "calibrate": True}


@pytest.fixture(scope="module")
def labelled(make_archive):
    """Findings that follow the codes, with noise; some are unknown, one is rare, patients have three films each."""
    archive = make_archive(n=150, seed=4)
    rng = np.random.default_rng(5)
    evidence = archive.codes[:, :4] + 0.7 * rng.normal(size=(150, 4))
    labels = (evidence > [0.3, 0.0, -0.3, 2.5]).astype(np.int8)
    labels[rng.random(labels.shape) < 0.1] = -1
    findings = Findings(labels, NAMES, np.arange(150) // 3)
    return replace(archive, findings=findings)


@pytest.fixture(scope="module")
def codes(labelled):
    rng = np.random.default_rng(6)
    return labelled.codes[::17] + 0.4 * rng.normal(size=labelled.codes[::17].shape).astype(np.float32)


def logit(p):
    return log(p / (1 - p))


def standardised(values):
    mean = sum(values) / len(values)
    spread = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / spread if spread > 0 else 0.0 for value in values]


def literal_cosines(archive, code, eligible):
    query = np.asarray(code, dtype=np.float64)
    films = {film: archive.codes[film].astype(np.float64) for film in eligible}
    return {
        film: round(float(query @ other) / sqrt(float(query @ query) * float(other @ other)), 6)
        for film, other in films.items()
    }


def literal_prevalence(labels, label):
    known = [value for value in labels[:, label].tolist() if value >= 0]
    return (sum(known) + 0.5) / (len(known) + 1)


def literal_probabilities(archive, nearest, cosines, options, calibration):
    labels = archive.findings.labels
    voters = nearest[: options["voters"]]
    weights = [exp(options["sharpness"] * z) for z in standardised([cosines[film] for film in voters])]
    weights = [weight * len(weights) / sum(weights) for weight in weights]
    found = []
    for label in range(labels.shape[1]):
        usual = literal_prevalence(labels, label)
        present, known = options["prior"] * usual, options["prior"]
        for film, weight in zip(voters, weights, strict=True):
            if labels[film, label] >= 0:
                known += weight
                present += weight * int(labels[film, label])
        p = present / known
        if calibration is not None:
            slope, offset = float(calibration.slopes[label]), float(calibration.offsets[label])
            p = 1 / (1 + exp(-(logit(usual) + offset + slope * (logit(p) - logit(usual)))))
        found.append(p)
    return found


def literal_list(archive, code, eligible, options, calibration):
    """All films of the pool in order, with the two terms of their scores, as the docstring defines them."""
    cosines = literal_cosines(archive, code, eligible)
    nearest = sorted(eligible, key=lambda film: (-cosines[film], film))
    p = literal_probabilities(archive, nearest, cosines, options, calibration)
    labels = archive.findings.labels
    pool = nearest[: options["pool"]]
    rows = []
    for film, z in zip(pool, standardised([cosines[film] for film in pool]), strict=True):
        shares = [
            literal_prevalence(labels, label) if value < 0 else float(value)
            for label, value in enumerate(labels[film].tolist())
        ]
        shared = sum(share * chance for share, chance in zip(shares, p, strict=True))
        overlap = shared / sqrt(sum(shares) * sum(p)) if sum(shares) > 0 else 0.0
        rows.append((film, (1 - options["strength"]) * z, options["strength"] * overlap))
    rows.sort(key=lambda row: (-round((row[1] + row[2]) * 1e7), -cosines[row[0]], row[0]))
    return p, rows


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strength": 1.0, "voters": 20},
        {"strength": 0.3, "pool": 25},
        {"strength": 0.9, "voters": 15, "sharpness": 0.0, "calibrate": False},
        {"strength": 0.9, "voters": 30, "sharpness": 2.0, "prior": 0.5},
        {"strength": 1.0, "pool": 40, "voters": 60, "prior": 50.0, "calibrate": False},
    ],
    ids=str,
)
def test_it_is_the_literal_definition(labelled, codes, options, restricted):
    options = DEFAULTS | options
    queries = restricted(labelled, codes, seed=22)
    ranker = LabelAware(labelled, **options)
    ranked = ranker.rank(queries, 12)
    calibration = ranker._calibration(None) if options["calibrate"] else None
    for row, code in enumerate(codes):
        eligible = np.setdiff1d(np.flatnonzero(queries.allowed), queries.forbidden[row]).tolist()
        p, expected = literal_list(labelled, code, eligible, options, calibration)
        np.testing.assert_allclose(ranked.findings[row], p, atol=1e-6)  # cosines are float32
        assert ranked.positions[row].tolist() == [film for film, _, _ in expected[:12]]
        for term, place in (("similarity", 1), ("findings", 2)):
            np.testing.assert_allclose(ranked.terms[term][row], [entry[place] for entry in expected[:12]], atol=1e-6)
        np.testing.assert_allclose(ranked.scores[row], [own + shared for _, own, shared in expected[:12]], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_batches_threads_and_filters_change_nothing_that_they_must_not(make_archive, data):
    n = data.draw(st.integers(12, 40))
    plain = make_archive(n=n, k=4, d=6, n_clusters=3, seed=data.draw(st.integers(0, 5)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    labels = rng.choice([-1, 0, 1], (n, data.draw(st.integers(1, 3))))
    labels[0, 0] = 1
    archive = replace(plain, findings=Findings(labels, NAMES[: labels.shape[1]], rng.integers(0, n, n)))
    options = {
        "pool": data.draw(st.integers(1, n + 5)),
        "strength": data.draw(st.sampled_from([0.0, 0.4, 1.0])),
        "voters": data.draw(st.integers(1, n + 5)),
        "sharpness": data.draw(st.sampled_from([0.0, 1.0])),
    }
    k = data.draw(st.integers(1, n + 2))
    codes = rng.normal(size=(5, 6)).astype(np.float32)
    allowed = rng.random(n) < 0.7
    ranker = LabelAware(archive, **options)
    batch = ranker.rank(QueryBatch.of(archive, codes, k, allowed=allowed), k, n_threads=2)
    again = LabelAware(replace(archive), **options)  # with a calibration of its own
    for row in range(len(codes)):
        alone = again.rank(QueryBatch.of(archive, codes[row : row + 1], k, allowed=allowed), k, n_threads=1)
        assert alone.positions[0].tolist() == batch.positions[row].tolist()
        assert alone.scores[0].tobytes() == batch.scores[row].tobytes()
        assert alone.findings[0].tobytes() == batch.findings[row].tobytes()
        found = batch.positions[row][batch.positions[row] >= 0]
        assert len(set(found.tolist())) == found.size == min(k, allowed.sum())
        assert allowed[found].all()
    assert ((batch.findings > 0) & (batch.findings < 1)).all()
    if options["strength"] == 0.0:
        nearest = create_ranking("nearest", archive).rank(QueryBatch.of(archive, codes, k, allowed=allowed), k)
        assert batch.positions.tolist() == nearest.positions.tolist()


@pytest.mark.parametrize(
    "change",
    [{"pool": 20}, {"strength": 0.2}, {"voters": 7}, {"sharpness": 3.0}, {"prior": 40.0}, {"calibrate": False}],
    ids=str,
)
def test_every_option_changes_something(labelled, codes, change):
    queries = QueryBatch.of(labelled, codes, 40)
    plain = LabelAware(labelled, strength=0.9, voters=25).rank(queries, 40)
    changed = LabelAware(labelled, **{"strength": 0.9, "voters": 25} | change).rank(queries, 40)
    assert (plain.positions != changed.positions).any()


def test_films_that_may_not_come_have_no_vote(labelled, codes):
    queries = QueryBatch.of(labelled, codes[:1], 30)
    voters = queries.neighbors[0, :10]
    banned = LabelAware(labelled, voters=10, calibrate=False).rank(
        QueryBatch.of(labelled, codes[:1], 30, forbidden=[voters]), 30
    )
    labels = labelled.findings.labels.copy()
    labels[voters] = 1 - np.abs(labels[voters])
    turned = replace(labelled, findings=replace(labelled.findings, labels=labels))
    # the same prevalence, so that nothing but the votes could tell the two apart
    turned.findings.__dict__["prevalence"] = labelled.findings.prevalence
    other = LabelAware(turned, voters=10, calibrate=False).rank(
        QueryBatch.of(turned, codes[:1], 30, forbidden=[voters]), 30
    )
    np.testing.assert_array_equal(banned.findings, other.findings)
    free = LabelAware(turned, voters=10, calibrate=False).rank(queries, 30)
    assert (free.findings != banned.findings).any()


def test_unknown_labels_have_no_vote_and_count_as_the_prevalence(labelled, codes):
    labels = np.zeros((150, 1), np.int8)
    labels[:30] = 1
    nearest = QueryBatch.of(labelled, codes[:1], 10).neighbors[0]
    labels[nearest] = -1
    archive = replace(labelled, findings=Findings(labels, ("Mass",)))
    ranked = LabelAware(archive, voters=10, strength=1.0, calibrate=False).rank(
        QueryBatch.of(archive, codes[:1], 150), 150
    )
    prevalence = archive.findings.prevalence[0]
    assert ranked.findings[0, 0] == pytest.approx(prevalence)
    values = dict(zip(ranked.positions[0].tolist(), ranked.scores[0].tolist(), strict=True))
    assert values[int(nearest[0])] == pytest.approx(sqrt(prevalence) * prevalence / sqrt(prevalence))
    with_it = next(film for film in values if labels[film] == 1)
    assert values[with_it] == pytest.approx(prevalence / sqrt(prevalence))


def test_a_film_that_shows_everything_does_not_come_first(labelled):
    labels = np.zeros((150, 4), np.int8)
    query = labelled.codes[:1]
    nearest = QueryBatch.of(labelled, query, 150).neighbors[0]
    labels[nearest[:60], 0] = 1
    labels[nearest[5]] = 1
    archive = replace(labelled, findings=Findings(labels, NAMES))
    ranked = LabelAware(archive, voters=50, strength=1.0).rank(QueryBatch.of(archive, query, 150), 150)
    places = ranked.positions[0].tolist()
    assert places[:5] == nearest[:5].tolist(), "alike by findings, so the more similar films come first"
    assert 59 <= places.index(int(nearest[5])) < 61


def test_a_hit_is_explained_by_both_terms(labelled, codes):
    queries = QueryBatch.of(labelled, codes, 5)
    ranked = LabelAware(labelled).rank(queries, 5)
    for place, reason in enumerate(explain(labelled, queries, ranked, 2)):
        assert list(reason.terms) == ["similarity", "findings"]
        assert sum(reason.terms.values()) == pytest.approx(ranked.scores[2, place], abs=1e-6)
    assert create_ranking("nearest", labelled).rank(queries, 5).findings is None


def test_it_is_the_only_ranking_that_reads_labels():
    assert [name for name in list_rankings(with_labels=True) if uses_labels(name)] == ["label_aware"]
    with pytest.raises(InvalidParameterError, match="did you mean 'label_aware'"):
        uses_labels("label_awar")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 0}, "pool=0"),
        ({"strength": 1.1}, "strength=1.1 .* >= 0 and <= 1"),
        ({"voters": 0}, "voters=0"),
        ({"sharpness": -1}, "sharpness=-1"),
        ({"prior": 0}, "prior=0 .* > 0"),
        ({"calibrate": 1}, "calibrate=1 .* True or False"),
    ],
)
def test_values_out_of_range_are_refused(labelled, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        LabelAware(labelled, **options)


def test_an_archive_without_labels_says_what_to_do(archive):
    with pytest.raises(InvalidParameterError, match=r"reads no labels: there are none .*from films with labels"):
        LabelAware(archive)


@pytest.mark.parametrize(
    ("labels", "names", "patients", "message"),
    [
        ([[2]], ("A",), None, "1 present, 0 absent, -1 unknown"),
        ([1, 0], ("A",), None, r"labels='int64 \(2,\)'"),
        ([[0], [-1]], ("A",), None, "no film with a finding"),
        ([[1], [0]], ("A", "B"), None, "2 names.*each of 1 labels"),
        ([[1], [0]], ("A",), ["p"], "1 patients.*each of 2 films"),
    ],
)
def test_findings_that_do_not_fit_are_refused(labels, names, patients, message):
    with pytest.raises(InvalidParameterError, match=message):
        Findings(np.array(labels), names, patients)


def test_findings_of_other_films_are_refused(archive):
    with pytest.raises(InvalidParameterError, match="those of 120 films"):
        replace(archive, findings=Findings(np.ones((3, 1), bool), ("A",)))
