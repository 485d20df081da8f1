"""What a change does to films, labels, generations and files; what is known, replaced, refused and reported."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret._errors import (
    CodesError,
    DamagedIndexError,
    DataError,
    EncoderError,
    IndexLockedError,
    InvalidParameterError,
    NotAnIndexError,
)
from graphret.data import FilmProblem, ImageTable
from graphret.files import writer_lock
from graphret.index import add_films, build, remove_films
from graphret.index.left_out import say_left_out
from graphret.index.manifest import serialise


@pytest.fixture
def index(codes, described, tmp_path):
    return build(codes[:60], films=described.select(range(60)), out=tmp_path / "index", k=6, n_threads=1)


@pytest.fixture
def films(film_table, tmp_path):
    """Twelve films in a folder that tests may change."""
    folder = tmp_path / "folder"
    folder.mkdir()
    paths = [shutil.copy(path, folder) for path in film_table.paths[:12]]
    table = film_table.select(range(12))
    return ImageTable(
        ids=table.ids, paths=paths, labels=table.labels, label_names=table.label_names, patients=table.patients
    )


def inodes(root, generation):
    return {path.name: path.stat().st_ino for path in (root / generation).iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("search", "threshold", "weights"),
    [("exact", "auto", "cosine"), ("graph", None, "binary"), ("graph", 0.6, "cosine")],
)
def test_added_and_removed_answers_as_a_fresh_build(codes, described, tmp_path, search, threshold, weights):
    """The same graph, the same nearest hits, the same novelty."""
    settings = {"k": 6, "search": search, "edge_weights": weights, "n_threads": 1}
    gone = np.arange(0, 60, 7)
    left = np.setdiff1d(np.arange(90), gone)
    index = build(codes[:60], films=described.select(range(60)), out=tmp_path / "a", threshold=threshold, **settings)
    index = index.add(codes[60:], films=described.select(range(60, 90)), n_threads=1)
    index = index.remove(described.ids[gone], n_threads=1)
    used = index.manifest["graph"]["threshold"]
    fresh = build(codes[left], films=described.select(left), out=tmp_path / "b", threshold=used, **settings)
    assert index.manifest["graph"]["sha256"] == fresh.manifest["graph"]["sha256"]
    assert index.manifest["codes"] == fresh.manifest["codes"]
    assert index.manifest["novelty"] == fresh.manifest["novelty"]
    queries = codes[::5] + 0.05
    assert np.array_equal(index.query(queries, 8, search="exact").ids, fresh.query(queries, 8, search="exact").ids)
    if search == "graph":
        found, true = index.query(queries, 8, search="graph").ids, fresh.query(queries, 8, search="exact").ids
        assert np.mean([np.isin(row, best) for row, best in zip(found, true, strict=True)]) > 0.95
    assert index.films.ids.tolist() == fresh.films.ids.tolist()
    assert index.films.columns["age"].tolist() == fresh.films.columns["age"].tolist()
    counts = {**index.manifest["counts"], "communities": fresh.manifest["counts"]["communities"]}
    assert counts == fresh.manifest["counts"]
    index.verify()


def test_the_object_that_was_changed_stays_what_it_was(index, codes):
    grown = index.add(codes[60:70], ids=[f"new{row}" for row in range(10)])
    assert (index.n_films, grown.n_films, len(grown)) == (60, 70, 70)
    assert (index.generation, grown.generation) == ("gen-000001", "gen-000002")
    assert index.query("film003", 2).ids.shape == (1, 2)
    # a change is made to what is current, not to what this object opened
    assert index.remove("new3").n_films == 69


def test_codes_without_ids_are_numbered_on_and_numbers_never_come_again(codes, tmp_path):
    index = graphret.build(codes[:10], out=tmp_path, k=3, tune=False).add(codes[10:12])
    assert index.films.ids.tolist()[-2:] == ["10", "11"]
    index = index.remove(["10", "11"]).add(codes[12:13])
    assert index.films.ids.tolist()[-1] == "12"


def test_a_known_code_is_not_added_again_and_a_changed_one_takes_its_place(index, codes):
    assert index.add(codes[5:8], ids=["film005", "film006", "film007"]).generation == index.generation
    changed = index.add(codes[[80]], ids=["film005"])
    assert changed.n_films == 60
    assert changed.films.ids.tolist()[-1] == "film005"
    assert np.array_equal(changed.codes[-1], codes[80])
    # what the new table does not say is what was known
    before, after = index.films, changed.films
    assert after.labels[-1].tolist() == before.labels[5].tolist()
    assert (after.patients[-1], after.views[-1]) == (before.patients[5], before.views[5])
    assert after.columns["age"][-1] == before.columns["age"][5]


def test_only_new_and_changed_films_are_encoded(films, film_table, make_encoder, tmp_path, caplog):
    encoder = make_encoder()
    index = build(films.select(range(8)), encoder, out=tmp_path / "index", k=3)
    encoder.n_encoded = 0
    index = index.add(films)
    assert encoder.n_encoded == 4
    assert index.films.ids.tolist() == films.ids.tolist()
    assert index.add(films).generation == index.generation
    assert encoder.n_encoded == 4
    shutil.copy(film_table.paths[30], films.paths[2])
    os.utime(films.paths[5])  # another time, the same film
    with caplog.at_level("INFO", logger="graphret"):
        changed = index.add(films)
    assert encoder.n_encoded == 6
    assert "1 films have changed, first film02" in caplog.text
    assert changed.films.ids.tolist() == [*(name for name in films.ids if name != "film02"), "film02"]
    assert changed.films.labels[-1].tolist() == films.labels[2].tolist()
    assert not np.array_equal(changed.codes[-1], index.codes[2])
    assert changed.add(films).generation == changed.generation  # the times are kept
    assert encoder.n_encoded == 6


def test_a_film_with_another_time_alone_only_has_its_time_kept(films, make_encoder, tmp_path):
    index = build(films, make_encoder(), out=tmp_path / "index", k=3)
    os.utime(films.paths[5])
    touched = index.add(films)
    assert touched.generation == "gen-000002"
    before, after = inodes(index.path, "gen-000001"), inodes(index.path, "gen-000002")
    assert {name for name in after if after[name] != before[name]} == {"film-files.npy", "manifest.json"}
    assert touched.add(films).generation == "gen-000002"


def test_films_that_cannot_be_decoded_are_named_with_the_reason(films, make_encoder, tmp_path, caplog):
    Path(films.paths[3]).write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    built = build(films, make_encoder(), out=tmp_path / "index", k=3)
    reason = built.films.problems[0].reason
    assert reason
    assert f"left out film03: {reason}" in caplog.text
    assert "more films" not in caplog.text


def test_of_many_films_that_are_left_out_the_first_are_named_and_the_others_counted(caplog):
    problems = [FilmProblem(f"film{row:02}", "", "half a file") for row in range(13)]
    say_left_out([FilmProblem("notes.txt", "", "no film", is_film=False), *problems])
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "left out film00: half a file"
    assert lines[9:] == ["left out film09: half a file", "left out 3 more films: the problems of the index name them"]


def test_a_bad_film_is_reported_and_the_others_are_added(films, make_encoder, tmp_path, caplog):
    index = build(films.select(range(6)), make_encoder(), out=tmp_path / "index", k=3)
    Path(films.paths[8]).write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    added = index.add(films)
    assert added.n_films == 11
    assert [problem.id for problem in added.films.problems] == ["film08"]
    assert added.manifest["counts"]["problems"] == 1
    assert "left out film08" in caplog.text
    # bad ones alone change nothing, and are said
    change = add_films(index.path, films.select([8]), encoder=make_encoder())
    assert (change.generation, [problem.id for problem in change.problems]) == (added.generation, ["film08"])
    assert change.counts == {"added": 0, "replaced": 0, "known": 0, "left_out": 1}
    assert json.loads(json.dumps(change.to_dict()))["problems"][0]["id"] == "film08"


def test_labels_follow_by_name_and_what_is_not_said_is_said(index, codes, caplog):
    described = ImageTable(ids=["a", "b"], paths=[], labels=[[1], [0]], label_names=("Mass",))
    grown = index.add(codes[60:62], films=described)
    assert grown.films.labels[-2:].tolist() == [[0, 1], [0, 0]]
    assert "nothing is said of Edema" in caplog.text
    assert np.isnan(grown.films.columns["age"][-2:]).all()
    assert grown.films.columns["age"][:60].tolist() == index.films.columns["age"].tolist()
    with pytest.raises(InvalidParameterError, match=r"'Hernia'.*labels of the index .Edema, Mass."):
        index.add(codes[60:61], labels=[["Hernia"]])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"films_or_codes": np.ones((2, 5), np.float32)}, CodesError, "5 dimensions, those of the index 8"),
        ({"films_or_codes": np.full((2, 8), np.nan, np.float32)}, CodesError, "NaN or infinity"),
        ({"films_or_codes": np.ones((2, 8), np.float32), "ids": ["a", "a"]}, DataError, "more than once"),
        ({"films_or_codes": np.ones((2, 8), np.float32), "keep": 0}, InvalidParameterError, "keep"),
    ],
)
def test_what_cannot_be_added_changes_nothing(index, snapshot, arguments, error, words):
    before = snapshot(index.path / index.generation)
    with pytest.raises(error, match=words):
        index.add(**arguments)
    assert graphret.open(index.path).generation == "gen-000001"
    assert snapshot(index.path / index.generation) == before


def test_films_for_an_index_of_codes_need_an_encoder(index, films):
    named = ImageTable(ids=["x"], paths=[str(films.paths[0])], labels=[[0, 0]], label_names=("Edema", "Mass"))
    with pytest.raises(EncoderError, match="built of codes made elsewhere"):
        index.add(named)


def test_ids_that_are_not_there(index):
    with pytest.raises(InvalidParameterError, match="'never, and 1 more'"):
        index.remove(["film001", "never", "no"])
    with pytest.raises(InvalidParameterError, match="1 ids twice"):
        index.remove(["film001", "film001"])
    with pytest.raises(DataError, match="at least one"):
        index.remove(index.films.ids)
    assert index.remove([]).generation == "gen-000001"


def test_down_to_one_film_and_up_again(index, codes):
    small = index.remove(index.films.ids[1:])
    assert (small.n_films, small.graph.n_edges) == (1, 0)
    assert small.query(codes[0], 3).ids[0, 0] == "film000"
    grown = small.add(codes[60:75])
    assert grown.n_films == 16
    assert grown.query(codes[61], 1).ids[0, 0] == grown.films.ids[2]


def test_labels_are_corrected_without_copies(index):
    labels = [["Mass"], []]
    changed = index.update_labels(["film004", "film009"], labels)
    assert changed.films.labels[[4, 9]].tolist() == [[0, 1], [0, 0]]
    rest = np.setdiff1d(np.arange(60), [4, 9])
    assert np.array_equal(changed.films.labels[rest], index.films.labels[rest])
    before, after = inodes(index.path, "gen-000001"), inodes(index.path, "gen-000002")
    assert {name for name in after if after[name] != before[name]} == {
        "films.parquet",
        "manifest.json",
        "problems.json",
    }
    changed.verify()
    assert changed.update_labels(["film004"], labels[:1]).generation == "gen-000002"  # nothing to do


def test_communities_keep_their_numbers(index, codes):
    grown = index.add(codes[60:])
    same = grown.communities[:60] == index.communities
    assert same.mean() > 0.9
    assert set(grown.communities) <= set(range(grown.manifest["changes"]["next_community"]))
    rebuilt = grown.rebuild()
    assert (rebuilt.communities == grown.communities).mean() > 0.9
    renumbered = rebuilt.manifest["changes"]["renumbered"]
    assert renumbered["films_that_kept_their_community"] == int((rebuilt.communities == grown.communities).sum())


def test_a_rebuild_is_a_build_of_the_codes(index, codes, described, tmp_path):
    grown = index.add(codes[60:], films=described.select(range(60, 90)))
    rebuilt = grown.rebuild()
    fresh = build(codes, films=described, out=tmp_path / "fresh", k=6)
    assert rebuilt.manifest["graph"] == fresh.manifest["graph"]
    assert rebuilt.manifest["communities"]["quality"] >= fresh.manifest["communities"]["quality"] - 0.001
    assert (rebuilt.path / rebuilt.generation / "codes.npy").samefile(grown.path / grown.generation / "codes.npy")
    assert rebuilt.rebuild(k=4).manifest["parameters"]["k"] == 4
    with pytest.raises(InvalidParameterError):
        rebuilt.rebuild(k=0)


def test_a_partition_that_is_much_better_is_taken(index, monkeypatch):
    from graphret.index.changes import rebuilding

    monkeypatch.setattr(rebuilding, "WORTH", -1.0)
    assert index.rebuild().manifest["communities"]["quality"] >= index.manifest["communities"]["quality"] - 1e-12


def test_a_rebuild_completes_the_table_that_is_there(index, codes, tmp_path, monkeypatch):
    from graphret.index import build_stages

    shrunk = index.remove(index.films.ids[::3])
    left = codes[np.flatnonzero(np.arange(60) % 3)]
    wanted = {k: build(left, out=tmp_path / str(k), k=k).graph for k in (6, 4)}

    def search(*arguments, **options):
        raise AssertionError("all neighbours were searched for")

    monkeypatch.setattr(build_stages, "nearest_neighbors", search)
    for k, graph in wanted.items():
        rebuilt = shrunk.rebuild(k=k)
        assert np.array_equal(rebuilt.graph.indices, graph.indices)
        assert np.array_equal(rebuilt.graph.weights, graph.weights)
    with pytest.raises(AssertionError, match="all neighbours"):
        shrunk.rebuild(k=8)


def test_drift_is_told_and_a_rebuild_advised(index, codes):
    assert index.info()["drift"]["advice"] == []
    grown = index.add(codes[60:66])
    drift = grown.info()["drift"]
    assert (drift["added"], drift["removed"], drift["changed_share"]) == (6, 0, 0.1)
    assert drift["quality"] == grown.manifest["communities"]["quality"]
    shrunk = grown.remove(grown.films.ids[:20])
    assert any("43%" in reason for reason in shrunk.info()["drift"]["advice"])
    assert shrunk.rebuild().info()["drift"]["advice"] == []


def test_advice_for_each_reason(index):
    from graphret.index.drift import describe_drift

    def advice(**other):
        manifest = {**index.manifest, "changes": {**index.manifest["changes"], **other}}
        return describe_drift(manifest)["advice"]

    assert advice() == []
    assert "modularity fell" in advice(quality_at_rebuild=index.manifest["communities"]["quality"] + 0.05)[0]
    assert "reach no other" in advice(best_edge_only_at_rebuild=-5)[0]


def test_an_index_from_before_is_changed_too(index, codes, caplog):
    """Without its table of neighbours, states of files and record of changes."""
    folder = index.path / "gen-000001"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in ("knn-neighbors.npy", "knn-similarities.npy"):
        (folder / name).unlink()
        del manifest["files"][name], manifest["arrays"][name]
    del manifest["changes"]
    (folder / "manifest.json").write_bytes(serialise(manifest))
    old = graphret.open(index.path)
    grown = old.add(codes[60:])
    assert "built without its table of neighbours" in caplog.text
    again = graphret.build(
        codes, out=index.path.parent / "b", k=6, threshold=manifest["graph"]["threshold"], tune=False
    )
    assert grown.manifest["graph"]["sha256"] == again.manifest["graph"]["sha256"]


def test_as_many_generations_stay_as_are_asked_for(index):
    for number in range(3):
        index = index.remove(f"film00{number}", keep=3)
    assert sorted(path.name for path in index.path.glob("gen-*")) == [f"gen-{n:06d}" for n in (2, 3, 4)]


def test_one_writer(index, codes):
    with writer_lock(index.path), pytest.raises(IndexLockedError, match="being written"):
        index.add(codes[60:])
    with pytest.raises(NotAnIndexError):
        remove_films(index.path / "no", ["a"])
    assert not (index.path / "no").exists()


@pytest.mark.parametrize("name", ["codes.npy", "knn-neighbors.npy", "films.parquet", "graph-indices.npy"])
def test_damage_is_not_passed_on_as_sound(index, codes, name, monkeypatch):
    """A large file is not hashed when it is opened, but before anything is made of it."""
    from graphret.index import held

    path = index.path / "gen-000001" / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x40
    path.write_bytes(content)
    monkeypatch.setattr(held, "SMALL_FILE", 0)
    with pytest.raises(DamagedIndexError, match=name):
        index.add(codes[60:])
    assert graphret.open(index.path).generation == "gen-000001"


def test_a_list_of_neighbours_that_names_no_film_is_refused(index, codes):
    folder = index.path / "gen-000001"
    table = np.load(folder / "knn-neighbors.npy")
    table[3, 2] = 2**30
    np.save(folder / "knn-neighbors.npy", table)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    from graphret.files import sha256_of

    manifest["files"]["knn-neighbors.npy"]["sha256"] = sha256_of(folder / "knn-neighbors.npy")
    (folder / "manifest.json").write_bytes(serialise(manifest))
    with pytest.raises(DamagedIndexError, match="names the films"):
        graphret.open(index.path).add(codes[60:])


def test_a_tuning_holds_after_changes(index, codes):
    index.record_tuning({"ranking": "alpha_qe", "options": {"n": 3}})
    assert index.add(codes[60:]).default_ranking == "alpha_qe"


def test_a_new_film_alone_in_its_corner(index):
    far = -np.ones((1, 8), np.float32)
    grown = index.add(far, ids=["far"])
    assert grown.manifest["graph"]["n_best_edge_only"] == index.manifest["graph"]["n_best_edge_only"] + 1
    assert grown.query(far[0], 1).ids[0, 0] == "far"


def test_most_films_may_go(tmp_path):
    """Communities keep numbers that are above the number of the films that are left."""
    codes = np.repeat(np.eye(6, dtype=np.float32), 4, axis=0) + 0.01
    index = graphret.build(codes, out=tmp_path / "index", k=3, tune=False)
    last = int(np.argmax(index.communities))
    left = index.remove([str(row) for row in range(24) if row != last])
    assert left.communities.tolist() == [int(index.communities[last])]
    assert left.communities[0] > len(left)
    assert graphret.open(index.path).query(codes[last], 1).ids.tolist() == [[str(last)]]
