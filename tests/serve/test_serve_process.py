"""`graphret serve` as a process of its own: it says where it is, answers, and ends when it is told to."""

import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest

from graphret.serve import ServeConfig, serve


def _connected(address):
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=5)


@pytest.fixture
def started(code_root, tmp_path):
    processes = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "graphret", "serve", str(code_root), "--port", "0",
             "--lists", str(tmp_path / "lists.sqlite"), "--no-thumbnails", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_the_service_says_where_it_is_and_ends_when_told(started):
    process = started()
    address = process.stdout.readline().split()[-1]
    assert address.startswith("http://127.0.0.1:")
    assert httpx.get(f"{address}api/v1/health").json()["status"] == "ok"
    answer = httpx.post(f"{address}api/v1/query", content=json.dumps({"id": "film 7/ü", "k": 3}))
    assert len(answer.json()["hits"]) == 3
    assert "server" not in answer.headers
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) in {0, 130}
    assert "Traceback" not in process.stderr.read()


def test_who_is_told_the_address_can_connect(code_root, tmp_path):
    def connect(address):
        _connected(address).close()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve([code_root], ServeConfig(port=0, lists=tmp_path / "lists.sqlite", thumbnails=False), on_start=connect)


def test_no_answer_waits_for_the_caller_to_confirm_its_headers(code_root, tmp_path, monkeypatch):
    callers, found = [], []

    def accept(_, sockets):
        connection, _ = sockets[0].accept()
        found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        connection.close()

    monkeypatch.setattr("uvicorn.Server.run", accept)
    config = ServeConfig(port=0, lists=tmp_path / "lists.sqlite", thumbnails=False)
    serve([code_root], config, on_start=lambda address: callers.append(_connected(address)))
    callers[0].close()
    assert found == [1]


def test_a_start_waits_for_nothing_that_only_queries_need(code_root):
    script = f"""
import sys
from graphret.serve import ServeConfig
from graphret.serve.app import create_app
create_app([{str(code_root)!r}], ServeConfig(thumbnails=False))
print(sorted({{"faiss", "llvmlite", "matplotlib", "numba", "pandas", "scipy", "sklearn", "torch"}} & set(sys.modules)))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "[]\n"


def test_a_wrong_call_ends_at_once(run, code_root, tmp_path):
    refused = run("serve", code_root, "--host", "0.0.0.0")  # noqa: S104 - it is refused
    assert refused.status == 2
    assert "--token" in refused.err
    nothing = run("serve", tmp_path / "nothing")
    assert nothing.status == 2
    assert "graphret build" in nothing.err


def test_an_address_that_is_not_ours_is_said(started):
    process = started("--host", "192.0.2.1", "--token", "a-token-of-the-tests-1234")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "cannot listen on 192.0.2.1" in said
    assert "Traceback" not in said
