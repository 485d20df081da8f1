"""The load on the service, small: it runs to its record, and no query is lost."""

import json
import socket
import threading

import numpy as np
import pytest


@pytest.mark.slow
def test_the_load_runs_to_its_record(script, simulated_codes, tmp_path):
    serve = script("serve")
    serve.main(["--n", "120", "--queries", "24", "--clients", "3", "--work", str(tmp_path), "--results", str(tmp_path)])
    record = json.loads((tmp_path / "serve_120.json").read_text(encoding="utf-8"))
    assert len(record["queries"]["seconds"]) == 24
    assert record["queries"]["lost"] == 0
    assert len(record["pages_s"]) == len(record["hits_s"]) == serve.PAGES
    assert 0 < record["start_s"] <= record["search_page_s"]
    assert "| queries lost < 1 | 0 | yes |" in (tmp_path / "serve_120.md").read_text(encoding="utf-8")


def test_a_lost_query_is_counted_and_its_connection_opened_again(script):
    client = script("serve_client")

    def answer(listening):
        for content in (b"", b'{"hits": [1]}'):  # the first caller is left without a word
            connection, _ = listening.accept()
            with connection:
                while b"code" not in connection.recv(65_536):
                    pass
                if content:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        found = client.queries(address, np.eye(2), n_clients=1, k=1)
        thread.join()
    assert found["lost"] == 1
    assert len(found["seconds"]) == 2
