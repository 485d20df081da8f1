# ruff: noqa: S104, S105, S106 - addresses and tokens of tests
"""Who is let in, what pages of other sites can do, and how much may be asked."""

import pytest

from graphret import InvalidParameterError
from graphret.serve import ServeConfig
from graphret.serve.limits import Rate

TOKEN = "a-token-of-the-tests-1234"
FILM = {"id": "film 1/ü", "k": 2}
CHANGE = {"query": "film 1/ü", "film": "film 2/ü", "relevance": 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "0.0.0.0"}, "can be reached by other machines"),
        ({"host": "192.168.0.7"}, "token"),
        ({"host": "::"}, "token"),
        ({"token": "short"}, "at least 16"),
        ({"port": 70_000}, "0 to 65535"),
        ({"max_upload": 0}, ">= 1"),
        ({"rate": 0}, ">= 1"),
    ],
)
def test_a_config_that_is_not_safe_is_refused(options, words, monkeypatch):
    monkeypatch.delenv("GRAPHRET_TOKEN", raising=False)
    with pytest.raises(InvalidParameterError, match=words):
        ServeConfig(**options)


def test_the_token_is_never_said(monkeypatch):
    monkeypatch.setenv("GRAPHRET_TOKEN", TOKEN)
    config = ServeConfig(host="0.0.0.0")
    assert config.needs_token
    assert TOKEN not in repr(config)
    with pytest.raises(InvalidParameterError) as refused:
        ServeConfig(token="secret")
    assert "secret" not in str(refused.value).partition("secrets")[0]


@pytest.fixture
def guarded(client_of, code_root):
    return client_of(code_root, token=TOKEN)


def test_without_the_token_nothing_is_said(guarded):
    assert guarded.get("/", follow_redirects=False).headers["location"] == "/login"
    for method, address in (
        ("GET", "/api/v1/indexes"), ("POST", "/api/v1/query"), ("GET", "/api/v1/film?id=film"),
        ("GET", "/api/v1/lists"),
        ("POST", "/hits"), ("POST", "/api/v1/uploads"), ("GET", "/api/v1/openapi.json"), ("GET", "/api/v1/map"),
    ):  # fmt: skip
        answer = guarded.request(method, address)
        assert answer.status_code == 401, address
        assert "film" not in answer.text
    assert guarded.get("/api/v1/health").json().keys() == {"status", "version"}
    wrong = {"Authorization": "Bearer a-token-of-the-tests-1235"}
    assert guarded.post("/api/v1/query", json=FILM, headers=wrong).status_code == 401


def test_with_the_token_all_is_there(guarded):
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.post("/api/v1/query", json=FILM, headers=right).status_code == 200
    assert guarded.put("/api/v1/lists/mine", json=CHANGE, headers=right).status_code == 204
    assert "indexes" in guarded.get("/api/v1/health", headers=right).json()


def test_logging_in(guarded):
    refused = guarded.post("/login", data={"token": "wrong"}, follow_redirects=False)
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers
    entered = guarded.post("/login", data={"token": TOKEN}, follow_redirects=False)
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/").status_code == 200
    assert guarded.post("/api/v1/query", json=FILM).status_code == 200


def test_a_session_cannot_be_made_up_or_kept_for_ever(guarded, monkeypatch):
    guarded.post("/login", data={"token": TOKEN})
    value = guarded.cookies["graphret_session"]
    for forged in ("", "x", "1.2.3", value[:-1] + ("0" if value[-1] != "0" else "1"), "9" + value):
        guarded.cookies.clear()
        guarded.cookies.set("graphret_session", forged)
        assert guarded.get("/api/v1/indexes").status_code == 401, forged
    guarded.cookies.set("graphret_session", value)
    assert guarded.get("/api/v1/indexes").status_code == 200
    monkeypatch.setattr("graphret.serve.security.SESSION_SECONDS", -1)
    assert guarded.get("/api/v1/indexes").status_code == 401


def test_tokens_cannot_be_tried_for_long(guarded):
    answers = [guarded.post("/login", data={"token": f"try {number}"}).status_code for number in range(12)]
    assert answers[0] == 403
    assert answers[-1] == 429
    bearers = [
        guarded.get("/api/v1/indexes", headers={"Authorization": f"Bearer {number}"}).status_code for number in range(3)
    ]
    assert bearers[-1] == 429


def test_pages_of_other_sites_can_do_nothing(client):
    client.get("/")
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://[bad"},
    ):
        assert client.post("/api/v1/query", json=FILM, headers=headers).status_code == 403, headers
        assert client.put("/api/v1/lists/mine", json=CHANGE, headers=headers).status_code == 403, headers


def test_a_change_needs_the_word_of_the_page(client):
    page = client.get("/").text
    word = page.partition('<meta name="csrf" content="')[2].partition('"')[0]
    own = {"Origin": "http://127.0.0.1:8000"}
    assert client.put("/api/v1/lists/mine", json=CHANGE, headers=own).status_code == 403
    assert client.put("/api/v1/lists/mine", json=CHANGE, headers={**own, "X-CSRF-Token": "0" * 64}).status_code == 403
    assert client.delete("/api/v1/lists/mine", headers=own).status_code == 403
    assert client.put("/api/v1/lists/mine", json=CHANGE, headers={**own, "X-CSRF-Token": word}).status_code == 204
    client.cookies.clear()
    assert client.put("/api/v1/lists/mine", json=CHANGE, headers={**own, "X-CSRF-Token": word}).status_code == 403


def test_another_name_for_this_machine_is_refused(client_of, code_root):
    client = client_of(code_root, address="http://rebound.example")
    assert client.get("/").status_code == 421
    assert client.post("/api/v1/query", json=FILM).status_code == 421


def test_every_answer_has_the_headers(client):
    for answer in (
        client.get("/"), client.get("/static/style.css"), client.get("/nothing"), client.post("/api/v1/query", json={}),
        client.post("/api/v1/query", json=FILM, headers={"Origin": "http://evil.example"}),
    ):  # fmt: skip
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "cache-control" in answer.headers
        assert "server" not in answer.headers


def test_a_fault_of_the_service_says_nothing_of_it(client, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("/srv/secret")

    monkeypatch.setattr("graphret.serve.api.answer", fail)
    monkeypatch.setattr("graphret.serve.pages_search.answer", fail)
    for answer in (client.post("/api/v1/query", json=FILM), client.post("/hits", data={"id": FILM["id"]})):
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_too_much_is_refused(client_of, code_root):
    client = client_of(code_root, max_upload=1)
    stated = client.post("/api/v1/uploads", files={"film": b"x" * 2**21})
    assert stated.status_code == 413
    assert "1 MB" in stated.json()["error"]["message"]

    def pieces():
        for _ in range(40):
            yield b"x" * 2**16

    unstated = client.post("/api/v1/query", content=pieces(), headers={"content-type": "application/json"})
    assert unstated.status_code == 413
    assert client.post("/api/v1/query", json=FILM).status_code == 200


def test_too_many_requests_are_refused(client_of, code_root):
    client = client_of(code_root, rate=1)
    answers = [client.get("/static/style.css").status_code for _ in range(15)]
    assert answers[0] == 200
    assert answers[-1] == 429


def test_the_rate_comes_back_with_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("graphret.serve.limits.time.monotonic", lambda: now[0])
    rate = Rate(2)
    assert [rate.allows("a") for _ in range(21)].count(True) == 20
    now[0] = 1.0
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
