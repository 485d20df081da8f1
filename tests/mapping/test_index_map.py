"""Map and summaries of an index: true of its films, kept beside it, made again when what is kept is not right."""

import json
import logging

import numpy as np
import pytest

import graphret
from graphret.index.derived import DERIVED, remove_derived
from graphret.mapping import medoids
from graphret.mapping.summaries import NO_FINDING

KINDS = np.repeat([0, 1, 2], [80, 60, 40])
CODES = (np.random.default_rng(3).normal(size=(180, 12)) + 5 * np.eye(12)[KINDS]).astype(np.float32)
LABELS = {"Effusion": KINDS == 0, "Edema": KINDS == 1, "Hernia": np.arange(180) % 9 == 0}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return graphret.build(
        CODES, labels=LABELS, out=tmp_path_factory.mktemp("mapped") / "index", k=12, tune=False, communities="louvain"
    )


@pytest.fixture
def index(built):
    remove_derived(built.path)
    return built


def kept(index):
    return sorted((index.path / DERIVED).glob("*.npy"))


def test_the_map_is_kept_and_read_again(index, monkeypatch):
    places = graphret.archive_map(index)
    assert places.shape == (180, 2)
    monkeypatch.setattr("graphret.mapping.stored_map.map_films", None)
    assert np.array_equal(places, graphret.archive_map(index.path))
    assert [path.name.partition("-")[0] for path in kept(index)] == ["map"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(bytes(content))


def other_shape(path):
    np.save(path, np.zeros((3, 2), np.float32))


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def linked(path):
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


@pytest.mark.parametrize("harm", [flip, other_shape, cut, linked, lambda path: path.unlink()])
def test_a_kept_file_that_is_not_what_was_written_is_made_again(index, harm):
    places, names = graphret.archive_map(index), [entry.medoid for entry in graphret.community_summaries(index)]
    for path in kept(index):
        harm(path)
    assert np.array_equal(graphret.archive_map(index), places)
    assert [entry.medoid for entry in graphret.community_summaries(index)] == names
    for path in (index.path / DERIVED).glob("*.away"):
        path.unlink()


def test_an_index_without_its_derived_files_is_whole(index):
    graphret.archive_map(index)
    remove_derived(index.path)
    remove_derived(index.path)
    assert graphret.open(index.path).verify()["n_files"] > 0
    assert index.query("3", k=2).ids.shape == (1, 2)


def test_a_folder_that_cannot_be_written_to_gives_the_map_and_says_so(index, caplog):
    places = graphret.archive_map(index)
    remove_derived(index.path)
    (index.path / DERIVED).write_text("a file in the way")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(graphret.archive_map(index), places)
    (index.path / DERIVED).unlink()
    assert "made again when it is next asked for" in caplog.text


def test_a_link_in_the_place_of_the_folder_is_not_followed(index, tmp_path):
    places = graphret.archive_map(index)
    remove_derived(index.path)
    (index.path / DERIVED).symlink_to(tmp_path)
    assert np.array_equal(graphret.archive_map(index), places)
    assert list(tmp_path.iterdir()) == []
    remove_derived(index.path)
    assert tmp_path.is_dir()


def test_another_generation_has_another_file_and_the_old_one_goes(tmp_path):
    first = graphret.build(CODES, out=tmp_path / "index", k=12, tune=False)
    graphret.archive_map(first)
    second = graphret.build(CODES[:100], out=tmp_path / "index", k=12, tune=False)
    assert graphret.archive_map(second).shape == (100, 2)
    assert len(kept(second)) == 1


def test_medoids_have_the_largest_sum_of_cosines():
    labels = np.random.default_rng(5).integers(0, 4, 180).astype(np.int32)
    unit = CODES / np.linalg.norm(CODES, axis=1, keepdims=True)
    for community, found in enumerate(medoids(CODES, labels)):
        rows = np.flatnonzero(labels == community)
        sums = np.round((unit[rows] @ unit[rows].T).sum(axis=1), 5)
        assert found in rows[sums == sums.max()]
    assert np.array_equal(medoids(CODES, labels, n_threads=1), medoids(CODES, labels, n_threads=2))


def test_medoids_of_equal_films_are_the_first():
    assert medoids(np.ones((6, 3), np.float32), np.array([0, 0, 1, 1, 1, 0], np.int32)).tolist() == [0, 2]


def test_summaries_are_true_of_the_films(index):
    summaries = graphret.community_summaries(index)
    communities, films = index.communities, index.films
    assert [entry.community for entry in summaries] == list(range(communities.max() + 1))
    none = (films.labels == 0).all(axis=1)
    columns = {**{name: films.labels[:, at] == 1 for at, name in enumerate(films.label_names)}, NO_FINDING: none}
    for entry in summaries:
        inside = communities == entry.community
        assert entry.size == inside.sum()
        assert entry.purity == pytest.approx(max(column[inside].mean() for column in columns.values()))
        assert inside[entry.medoid]
        assert entry.medoid_id == films.ids[entry.medoid]
        for finding in entry.findings:
            having = columns[finding.name]
            assert finding.n == having[inside].sum() >= 3
            assert finding.share == pytest.approx(having[inside].mean())
            assert finding.lift == pytest.approx(having[inside].mean() / having.mean())
        assert entry.name == f"{entry.findings[0].name} x{entry.findings[0].lift:.1f}"
    named = {entry.findings[0].name for entry in summaries}
    assert {"Effusion", "Edema", NO_FINDING} == named
    assert all("Hernia" not in {finding.name for finding in entry.findings} for entry in summaries)
    json.dumps([entry.to_dict() for entry in summaries], allow_nan=False)


def test_neighbouring_communities_are_those_with_most_edges(index):
    matrix, communities = index.graph.to_scipy().toarray(), index.communities
    for entry in graphret.community_summaries(index):
        inside = communities == entry.community
        weights = {int(c): matrix[np.ix_(inside, communities == c)].sum() for c in np.unique(communities[~inside])}
        total = sum(weights.values())
        expected = sorted((c for c in weights if weights[c] > 0), key=lambda c: (-weights[c], c))[:5]
        assert [link.community for link in entry.neighbors] == expected
        assert [link.share for link in entry.neighbors] == pytest.approx([weights[c] / total for c in expected])


def test_an_archive_without_labels_has_numbered_communities(tmp_path):
    bare = graphret.build(CODES, out=tmp_path / "index", k=12, tune=False)
    first = graphret.community_summaries(bare)[0]
    assert (first.name, first.purity, first.findings) == ("community 0", None, ())


def test_findings_that_are_not_known_are_left_out_of_the_shares(tmp_path):
    labels = np.where(KINDS == 0, 1, 0).astype(np.int8)[:, None]
    labels[:40] = -1
    index = graphret.build(CODES, out=tmp_path / "index", labels=labels, k=12, tune=False)
    entry = graphret.community_summaries(index)[int(index.communities[79])]
    known = labels[index.communities == entry.community, 0]
    known = known[known >= 0]
    assert entry.purity == entry.findings[0].share == known.mean()
    assert entry.findings[0].lift == pytest.approx(known.mean() * 140 / 40)


def test_a_community_whose_films_have_gone_is_not_summed_up(tmp_path):
    rng = np.random.default_rng(0)
    codes = (np.repeat(np.eye(4), 15, axis=0) + rng.normal(0, 0.05, (60, 4))).astype(np.float32)
    index = graphret.build(codes, out=tmp_path / "index", k=5, tune=False)
    index = index.remove([str(row) for row in np.flatnonzero(index.communities == 0)])
    summaries = graphret.community_summaries(index)
    assert [entry.community for entry in summaries] == np.unique(index.communities).tolist()
    for entry in summaries:
        assert entry.size == np.count_nonzero(index.communities == entry.community) > 0
        assert index.communities[entry.medoid] == entry.community
