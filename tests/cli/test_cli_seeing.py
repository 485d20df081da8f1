"""Hits to be looked at: folders of films, pages, tables, conditions, one film of a patient."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import graphret
from graphret.data import generate_phantom
from graphret.encoders import Encoder


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An index of films in class folders, of which one has brackets in its name, and a folder of new films."""
    root = tmp_path_factory.mktemp("seeing")
    generate_phantom(root / "made", 60, size=32)
    made = graphret.read_dataset("phantom", root / "made")
    for row, path in enumerate(made.paths[:40].tolist()):
        folder = root / "films" / ("Normal" if row % 2 else "Mass")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / (f"{row:02} [bold] [a].png" if row == 0 else f"{row:02}.png"))
    films = graphret.read_dataset("folder", root / "films")
    encoder = Encoder.untrained("resnet18", films.label_names, 32, device="cpu")
    graphret.build(films, encoder, out=root / "index", k=6)
    new = root / "new"
    (new / "ward 7").mkdir(parents=True)
    for name, path in zip(("b.png", "a.png", "ward 7/c.png"), made.paths[50:53].tolist(), strict=True):
        shutil.copy(path, new / name)
    (new / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (new / "notes.txt").write_text("text", encoding="utf-8")
    (new / ".hidden.png").write_bytes(b"text")
    return SimpleNamespace(root=root, index=root / "index", new=new, films=films)


def hits_of(document):
    return [[hit["id"] for hit in answer["hits"]] for answer in document["queries"]]


def test_a_folder_is_its_films_and_what_is_none_is_said(shop, run, run_json):
    document = run_json("query", shop.index, shop.new, "-k", "4")
    files = [shop.new / name for name in ("a.png", "b.png", "ward 7/c.png")]
    assert [answer["query"] for answer in document["queries"]] == list(map(str, files))
    assert hits_of(document) == hits_of(run_json("query", shop.index, *files, "-k", "4"))
    reasons = {problem["path"].rpartition("/")[2]: problem for problem in document["problems"]}
    assert set(reasons) == {"cut.png", "notes.txt", ".hidden.png"}
    assert "PNG" in reasons["cut.png"]["reason"]
    assert [name for name, problem in reasons.items() if problem["is_film"]] == ["cut.png"]
    said = run("query", shop.index, shop.new)
    assert said.status == 0
    assert f"4 films in {shop.new}" in said.err
    assert "2 other files are no films" in said.err
    assert f"1 films could not be asked for, first {shop.new / 'cut.png'}" in said.err
    twice = run_json("query", shop.index, files[0], shop.new, "-k", "4")
    assert [answer["query"] for answer in twice["queries"]] == list(map(str, [files[0], *files]))


def test_a_film_that_was_named_must_be_readable(shop, run, tmp_path):
    refused = run("query", shop.index, shop.new / "cut.png", shop.new, "--html", tmp_path / "hits.html")
    assert (refused.status, refused.out) == (1, "")
    assert "cut.png" in refused.err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_film_that_can_be_asked_for_is_refused(shop, run, tmp_path):
    (tmp_path / "text.txt").write_text("text", encoding="utf-8")
    refused = run("query", shop.index, tmp_path)
    assert refused.status == 1
    assert f"no films under {tmp_path}" in refused.err
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    refused = run("query", shop.index, tmp_path)
    assert refused.status == 1
    assert "none of the 1 films can be asked for, first" in refused.err


def test_the_patients_of_a_folder_are_one_for_all(shop, run_json):
    row = 7
    document = run_json(
        "query", shop.index, shop.new, "-k", "60", "--exclude-same-patient", "--patients", shop.films.patients[row]
    )
    assert all(len(hits) == len(shop.films) - 1 for hits in hits_of(document))
    assert all(shop.films.ids[row] not in hits for hits in hits_of(document))


def test_a_patient_of_whom_the_index_has_no_film_is_said(shop, run):
    call = ["query", shop.index, shop.new, "-k", "3", "--exclude-same-patient", "--patients"]
    said = run(*call, "Doe^Jane", "--json", "--quiet")
    assert "no film of the index is of patient Doe^Jane; patients are named as" in said.err
    assert "pseudonym" in said.err
    assert any("no film of the index is of the patient given" in note for note in json.loads(said.out)["notes"])
    known = run(*call, shop.films.patients[7], "--json", "--quiet")
    assert "no film of the index" not in known.err + known.out


def test_page_and_table_hold_what_the_document_holds(shop, run, run_json, tmp_path):
    html, table = tmp_path / "hits.html", tmp_path / "hits.CSV"
    call = ["query", shop.index, shop.new, "-k", "4", "--ranking", "region_growing", "--html", html, "--csv", table]
    document = run_json(*call)
    assert document["files"] == [str(html), str(table)]
    text = html.read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") == 3 * 5
    assert "1 films could not be asked for" in text
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [row["id"] for row in rows] == [name for names in hits_of(document) for name in names]
    before = html.read_bytes(), table.read_bytes()
    said = run(*call)
    assert f"wrote {html}, {table}" in said.err
    assert (html.read_bytes(), table.read_bytes()) == before


def test_isolated_films_are_not_decoded_by_the_command(shop, run_json, tmp_path, monkeypatch):
    call = ["query", shop.index, shop.new / "a.png", "-k", "2", "--html", tmp_path / "hits.html"]
    expected = run_json(*call)
    page = (tmp_path / "hits.html").read_text(encoding="utf-8")

    def refuse(path, **_):
        raise AssertionError(f"{path} was decoded here")

    monkeypatch.setattr("graphret.data.isolated.read_pixels", refuse)
    assert run_json(*call, "--isolate") == expected
    assert (tmp_path / "hits.html").read_text(encoding="utf-8") == page


def test_films_of_the_archive_that_are_gone_are_counted(shop, run, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(shop.index, moved)
    film = str(shop.films.ids[11])
    place = shop.root / "films" / film
    place.rename(tmp_path / "away.png")
    try:
        said = run("query", moved, film, "--id", "-k", "3", "--html", tmp_path / "hits.html")
    finally:
        (tmp_path / "away.png").rename(place)
    assert said.status == 0, said.err
    assert f"1 films cannot be shown in {tmp_path / 'hits.html'}, first {place}: there is no such file" in said.err
    assert "1 of 4 films cannot be shown" in (tmp_path / "hits.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--html", "hits.png", "a file that ends in .html or .htm"),
        ("--csv", "hits.html", "a file that ends in .csv"),
        ("--html", "nowhere/hits.html", "make it first"),
    ],
)
def test_a_file_of_another_kind_is_refused_before_anything_is_read(shop, run, tmp_path, option, name, message):
    refused = run("query", shop.index, "nowhere.png", option, tmp_path / name)
    assert refused.status == 2
    assert message in refused.err


def test_conditions_and_groups_reach_the_query(shop, run, run_json):
    call = ["query", shop.index, shop.new / "a.png", "-k", "60"]
    labels = np.array(shop.films.label_names)
    for condition, kept in (("label=Normal", "Normal"), ("label!=Normal", "Mass")):
        document = run_json(*call, "--where", condition)
        found = [hit["position"] for hit in document["queries"][0]["hits"]]
        assert len(found) == 20
        assert set(labels[shop.films.labels[found].argmax(axis=1)].tolist()) == {kept}
    grouped = run_json(*call, "--group-by", "split")
    splits = [hit["group"] for hit in grouped["queries"][0]["hits"]]
    assert sorted(splits) == sorted(set(shop.films.splits.tolist()))
    assert grouped["group_by"] == "split"
    assert grouped["notes"] == ["one film of each split at most"]
    refused = run(*call, "--where", "age>=60")
    assert refused.status == 2
    assert "'age'" in refused.err
    assert "one of id, path, patient, split, view" in refused.err


def test_a_terminal_shows_the_score_its_meaning_and_names_as_they_are(shop, run):
    name = str(shop.films.ids[0])
    assert "[bold]" in name
    call = ["query", shop.index, name, "--id", "-k", "39", "--quiet"]
    said = run(*call, "--ranking", "alpha_qe", "--group-by", "view")
    assert said.status == 0, said.err
    text = " ".join(said.out.split())
    assert "rank ┃ id ┃ similarity ┃ score ┃ community ┃ source ┃ view ┃ labels" in text
    assert name in text
    assert "hits are ordered by the score; source search: the ranking found the film" in text
    document = graphret.open(shop.index).query(name, 39, ranking="alpha_qe")
    assert f"{document[0][0].score:.4f}" in text
    grown = " ".join(run(*call, "--ranking", "region_growing").out.split())
    assert "expansion: region growing took the film in" in grown
    assert "fill: one of the nearest remaining films, because the ranking alone found fewer" in grown
    other = str(shop.films.ids[1])
    assert name in " ".join(run("query", shop.index, other, "--id", "-k", "39", "--quiet").out.split())
