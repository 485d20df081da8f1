"""The JSON API answers as Python and the command line do, and never says where a file is."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphret
from graphret.data import ImageTable, read_pixels
from graphret.index import describe_hits


def ask(client, expected=200, **question):
    answer = client.post("/api/v1/query", json=question)
    assert answer.status_code == expected, answer.text
    return answer.json()


def python_hits(hits):
    """What Python says of the hits of one query, without what no answer may hold."""
    return [{name: value for name, value in hit.items() if name != "path"} for hit in hits["queries"][0]["hits"]]


def without_facts(answer):
    return [{name: value for name, value in hit.items() if name != "facts"} for hit in answer["hits"]]


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


@pytest.mark.parametrize("ranking", [None, *graphret.list_rankings()])
def test_hits_are_those_of_python(client, code_root, codes, ranking):
    index = graphret.open(code_root)
    by_id = describe_hits(index, index.query("film 7/ü", 9, ranking=ranking))
    assert without_facts(ask(client, id="film 7/ü", k=9, ranking=ranking)) == python_hits(by_id)
    by_code = describe_hits(index, index.query(codes[7] * 3, 9, ranking=ranking))
    assert without_facts(ask(client, code=(codes[7] * 3).tolist(), k=9, ranking=ranking)) == python_hits(by_code)


def test_filters_examples_and_groups_are_those_of_python(client, code_root):
    index = graphret.open(code_root)
    how = {"where": {"view": "PA", "age": {">=": 25}, "label": ["Edema"]}, "group_by": "patient"}
    found = ask(client, id="film 7/ü", k=5, exclude="patient", **how)
    expected = describe_hits(index, index.query("film 7/ü", 5, exclude="patient", **how))
    for hit in expected["queries"][0]["hits"]:
        hit.pop("group")  # the patient
    assert without_facts(found) == python_hits(expected)
    by_examples = ask(
        client, positives=["film 1/ü", {"id": "film 6/ü"}], negatives=["film 2/ü"], k=4, negative_weight=0.5
    )
    expected = describe_hits(
        index, index.query_examples(["film 1/ü", "film 6/ü"], ["film 2/ü"], 4, negative_weight=0.5)
    )
    assert without_facts(by_examples) == python_hits(expected)


def test_a_patient_of_whom_the_index_has_no_film_is_said_and_not_named(client, codes):
    answer = ask(client, code=codes[7].tolist(), k=5, exclude="patient", patient="Roe^Jane")
    assert any("no film of the index is of the patient given for 1 of 1 queries" in note for note in answer["notes"])
    assert "Roe" not in json.dumps(answer)
    known = ask(client, code=codes[7].tolist(), k=5, exclude="patient", patient="Doe^John 3")
    assert not any("no film of the index" in note for note in known["notes"])


def test_the_same_hits_as_on_the_command_line(client_of, phantom, run):
    path = phantom.others.paths[0]
    done = run("query", phantom.root, path, "-k", "5", "--json")
    expected = python_hits(json.loads(done.out))
    client = client_of(phantom.root)
    with Path(path).open("rb") as film:
        answer = client.post("/api/v1/query", files={"film": film}, data={"query": json.dumps({"k": 5})})
    assert answer.status_code == 200, answer.text
    assert without_facts(answer.json()) == expected
    assert answer.json()["query"] == "upload"


def test_a_region_of_interest_is_the_query(client_of, phantom):
    client, path = client_of(phantom.root), phantom.others.paths[0]
    with Path(path).open("rb") as film:
        sent = client.post("/api/v1/uploads", files={"film": film}).json()
    pixels = read_pixels(path)
    part = pixels[: pixels.shape[0] // 2]
    index = graphret.open(phantom.root)
    found = ask(client, upload=sent["upload"], crop=[0, 0, 1, 0.5], k=5)
    assert [hit["id"] for hit in found["hits"]] == index.query([part], 5).ids[0].tolist()
    assert found["hits"] != ask(client, upload=sent["upload"], k=5)["hits"]
    assert "at least 8 x 8" in ask(client, 422, upload=sent["upload"], crop=[0, 0, 0.01, 0.01])["error"]["message"]
    assert client.delete(f"/api/v1/uploads/{sent['upload']}").status_code == 204
    assert "send the film again" in ask(client, 404, upload=sent["upload"])["error"]["message"]


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ({}, 422, "exactly one of id, upload and code"),
        ({"id": "film 1/ü", "code": [1.0]}, 422, "exactly one"),
        ({"id": "no such film"}, 404, "not the id of a film"),
        ({"id": "/etc/passwd"}, 404, "not the id of a film"),
        ({"id": "film 1/ü", "k": 0}, 422, "k: "),
        ({"id": "film 1/ü", "k": 10**6}, 422, "k: "),
        ({"id": "film 1/ü", "kk": 1}, 422, "kk: "),
        ({"id": "film 1/ü", "index": "other"}, 422, "one of codes"),
        ({"id": "film 1/ü", "ranking": "best"}, 422, "region_growing"),
        ({"id": "film 1/ü", "where": {"patient": "Doe^John 1"}}, 422, "one of age, device, label, sex, split, view"),
        ({"id": "film 1/ü", "where": {"path": "x"}}, 422, "one of age"),
        ({"id": "film 1/ü", "group_by": "patient_name"}, 422, "group_by"),
        ({"id": "film 1/ü", "where": {"view": "LATERAL"}}, 422, "PA"),
        ({"code": [1.0, 2.0]}, 422, "8"),
        ({"code": [0.0] * 8}, 422, "zero"),
        ({"negatives": ["film 1/ü"]}, 422, "at least one positive"),
        ({"positives": ["film 1/ü"], "negatives": ["film 1/ü"]}, 422, "not among the positives"),
        ({"upload": "unknown"}, 422, "no encoder"),
        ({"id": "film 1/ü", "crop": [0, 0, 2, 1]}, 422, "crop"),
        ({"id": "film 1/ü", "patient": "p"}, 422, "exclude"),
    ],
)
def test_a_wrong_query_is_refused_in_words(client, question, status, words):
    message = ask(client, status, **question)["error"]["message"]
    assert words in message
    assert "Doe" not in message


def test_what_is_no_query_at_all_is_refused(client):
    for body in (b"", b"{", b"[]", b"1", b"[" * 100_000, b'{"code": [NaN]}', b"\xff\xfe"):
        answer = client.post("/api/v1/query", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, body[:20]
    assert client.post("/api/v1/query", files={"film": b"no film at all"}).status_code == 422
    assert client.post("/api/v1/query", data={"film": "text"}).status_code == 422


def test_no_answer_names_a_path_or_a_patient(client_of, code_root, phantom, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    client = client_of(code_root, phantom.root)
    film = str(graphret.open(phantom.root).films.ids[0])
    asked = [
        client.get("/"),
        client.get("/picks"),
        client.get("/api/v1/health"),
        client.get("/api/v1/indexes"),
        client.get("/api/v1/openapi.json"),
        client.get("/api/v1/film", params={"index": "phantom", "id": film}),
        client.get("/api/v1/film/neighbors", params={"index": "phantom", "id": film}),
        client.get("/api/v1/film/picture", params={"id": "film 1/ü"}),
        client.get("/api/v1/film/picture", params={"id": "film 1/ü", "placeholder": "true"}),
        client.post("/api/v1/query", json={"index": "phantom", "id": film}),
        client.post("/api/v1/query", json={"index": "phantom", "id": film, "group_by": "patient"}),
        client.post("/api/v1/query", json={"id": "film 1/ü", "where": {"age": "x"}}),
        client.post("/api/v1/query", files={"film": ("/home/me/Doe.png", (tmp_path / "broken.png").read_bytes())}),
        client.post("/hits", data={"index": "phantom", "id": film}),
        client.post("/hits", data={"id": film}),
        client.get("/no/such/page"),
        client.get("/static/../serve/app.py"),
    ]
    for answer in asked:
        for secret in (str(phantom.root.parent), str(code_root.parent), "Doe", "site-packages", "Traceback"):
            assert secret not in answer.text, (answer.url, secret)


def test_pictures_and_pixels(client_of, phantom):
    client = client_of(phantom.root)
    films = graphret.open(phantom.root).films
    film = str(films.ids[3])
    picture = client.get("/api/v1/film/picture", params={"id": film})
    assert Image.open(io.BytesIO(picture.content)).format == "JPEG"
    pixels = client.get("/api/v1/film/pixels", params={"id": film})
    shape = int(pixels.headers["x-film-height"]), int(pixels.headers["x-film-width"])
    found = np.frombuffer(pixels.content, "<u2").reshape(shape)
    np.testing.assert_array_equal(found, films.read_pixels(3).astype(np.uint16) * 257)
    deep = (np.arange(20 * 30) * 97).astype(np.uint16).reshape(20, 30)
    sent = client.post("/api/v1/uploads", files={"film": png(deep)}).json()
    assert (sent["width"], sent["height"]) == (30, 20)
    pixels = client.get("/api/v1/film/pixels", params={"upload": sent["upload"]})
    assert pixels.headers["x-film-bits"] == "16"
    np.testing.assert_array_equal(np.frombuffer(pixels.content, "<u2").reshape(20, 30), deep)
    assert client.get("/api/v1/film/pixels").status_code == 422


def test_pictures_are_kept_beside_the_index_and_made_again(client_of, phantom, snapshot):
    before = snapshot(phantom.root)
    film = str(graphret.open(phantom.root).films.ids[0])
    folder = phantom.root.with_name("phantom-thumbnails")
    client = client_of(phantom.root, thumbnails=True)
    first = client.get("/api/v1/film/picture", params={"id": film}).content
    (kept,) = folder.rglob("*.thumbnail")
    whole = kept.read_bytes()
    assert whole[32:] == first
    assert folder.stat().st_mode & 0o077 == 0
    kept.write_bytes(whole[:-9] + b"other" + whole[-4:])
    again = client_of(phantom.root, thumbnails=True)
    assert again.get("/api/v1/film/picture", params={"id": film}).content == first
    assert kept.read_bytes() == whole
    assert snapshot(phantom.root) == before


def test_a_page_that_was_seen_decodes_nothing(client_of, phantom, monkeypatch):
    films = graphret.open(phantom.root).films.ids[:8].tolist()
    page = {"index": "phantom", "id": films[0], "k": "7"}
    client = client_of(phantom.root, thumbnails=True)
    seen = {film: client.get("/api/v1/film/picture", params={"id": film}) for film in films}
    hits = re.findall(r'data-id="([^"]+)" data-similarity', client.post("/hits", data=page).text)
    for film in hits:
        seen[film] = client.get("/api/v1/film/picture", params={"id": film})

    def refuse(*_, **__):
        raise AssertionError("a film was decoded")

    monkeypatch.setattr("graphret.serve.pictures.read_thumbnails", refuse)
    for other in (client, client_of(phantom.root, thumbnails=True)):  # from memory, and from the folder
        assert other.post("/hits", data=page).status_code == 200
        for film in hits:
            answer = other.get("/api/v1/film/picture", params={"id": film})
            assert answer.content == seen[film].content
            assert answer.headers["cache-control"].startswith("private")
            known = {"If-None-Match": answer.headers["etag"]}
            assert other.get("/api/v1/film/picture", params={"id": film}, headers=known).status_code == 304


def test_a_picture_is_made_again_where_its_film_changed(client_of, tmp_path, codes):
    path = tmp_path / "a.png"
    path.write_bytes(png(np.zeros((9, 9), np.uint8)))
    table = ImageTable(ids=["a", "b"], paths=[str(path), ""], labels=[], label_names=())
    graphret.build(codes[:2], films=table, out=tmp_path / "index", k=1, tune=False)
    client = client_of(tmp_path / "index", thumbnails=True)
    first = client.get("/api/v1/film/picture", params={"id": "a"})
    path.write_bytes(png(np.full((30, 30), 255, np.uint8)))
    client.post("/hits", data={"id": "b", "k": "1"})  # which looks at the film anew
    second = client.get("/api/v1/film/picture", params={"id": "a"})
    assert Image.open(io.BytesIO(second.content)).size == (224, 224)
    assert first.headers["etag"] != second.headers["etag"]
    assert np.asarray(Image.open(io.BytesIO(second.content))).mean() > 250


@pytest.mark.parametrize("command", [("remove", "a"), ("purge", "--patient", "p")])
def test_a_film_that_was_taken_out_leaves_no_picture(client_of, run, tmp_path, codes, command):
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    rng = np.random.default_rng(0)
    for path in paths:
        path.write_bytes(png(rng.integers(0, 255, (40, 40), dtype=np.uint8)))
    table = ImageTable(
        ids=["a", "b"], paths=[str(path) for path in paths], labels=[], label_names=(), patients=["p", "q"]
    )
    graphret.build(codes[:2], films=table, out=tmp_path / "index", k=1, tune=False)
    client = client_of(tmp_path / "index", thumbnails=True)
    pictures = {name: client.get("/api/v1/film/picture", params={"id": name}).content for name in "ab"}

    def kept(name):
        files = (tmp_path / "index-thumbnails").rglob("*")
        return any(pictures[name] in path.read_bytes() for path in files if path.is_file())

    assert kept("a")
    assert kept("b")
    assert run(command[0], tmp_path / "index", *command[1:]).status == 0
    assert not kept("a")
    assert kept("b") == (command[0] == "remove")
    assert (
        client.get("/api/v1/health").json()["indexes"][0]["films"] == 1
    )  # who asks this sees the new generation first
    assert client.get("/api/v1/film/picture", params={"id": "a"}).status_code == 404


def test_a_new_generation_is_served_without_a_restart(client_of, codes, tmp_path):
    ids = [f"a{row}" for row in range(len(codes))]
    graphret.build(codes, out=tmp_path / "index", ids=ids, k=5, tune=False)
    client = client_of(tmp_path / "index")
    assert ask(client, id="a3", k=3)["generation"] == "gen-000001"
    graphret.build(codes[:40], out=tmp_path / "index", ids=[f"b{row}" for row in range(40)], k=5, tune=False)
    answer = ask(client, id="b3", k=3)
    assert answer["generation"] == "gen-000002"
    assert all(hit["id"].startswith("b") for hit in answer["hits"])
    ask(client, 404, id="a3")
    graphret.open(tmp_path / "index").record_tuning({"ranking": "alpha_qe", "options": {"n": 3}})
    assert ask(client, id="b3")["ranking"] == "alpha_qe"
    (tmp_path / "index" / "CURRENT").write_text("gen-000009\n")
    assert ask(client, id="b3")["generation"] == "gen-000002"
    assert "problem" in client.get("/api/v1/health").json()["indexes"][0]
