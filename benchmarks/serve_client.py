"""The clients of `serve.py`, in a process of their own: they ask by code at once, or load pages as a browser does.

    python benchmarks/serve_client.py queries ADDRESS CODES.npy --clients 8 --k 10
    python benchmarks/serve_client.py pages ADDRESS --id FILM --pages 12 --k 50

Prints one JSON document. `http.client` is all that they need, so that little of the machine is theirs. A request that
fails, or takes a minute, is lost and counted, and its connection is opened anew.
"""

from __future__ import annotations

import argparse
import html
import http.client
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

CONNECTIONS = 6
"""That a browser opens to one host."""
PATIENCE_S = 60
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Connection:
    """One connection that is kept open from request to request."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)

    def ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> bytes:
        """Return what is answered, read to its end; nothing where the request failed."""
        try:
            self._http.request(method, path, body, headers or {})
            answer = self._http.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._http.close()  # the next request opens it again
            return b""
        return content if answer.status == 200 else b""

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def queries(address: str, codes: np.ndarray, n_clients: int, k: int) -> dict[str, Any]:
    """Seconds of every query of clients that ask one after the other, all clients at once; lost queries count too."""
    bodies = [json.dumps({"code": code.tolist(), "k": k}) for code in codes]

    def client(number: int) -> list[tuple[float, bool]]:
        found = []
        with closing(Connection(address)) as connection:
            for body in bodies[number::n_clients]:
                began = time.monotonic()
                answer = connection.ask("POST", "/api/v1/query", body, {"Content-Type": "application/json"})
                seconds = time.monotonic() - began
                found.append((seconds, bool(answer) and len(json.loads(answer)["hits"]) == k))
        return found

    began = time.monotonic()
    with ThreadPoolExecutor(n_clients) as pool:
        asked = [one for found in pool.map(client, range(n_clients)) for one in found]
    seconds = [seconds for seconds, _ in asked]
    return {"seconds": seconds, "lost": sum(not good for _, good in asked), "total_s": time.monotonic() - began}


def pages(address: str, identity: str, n_pages: int, k: int) -> dict[str, Any]:
    """Seconds of pages of hits with all of their pictures over six connections; the first page warms up."""
    connections = [Connection(address) for _ in range(CONNECTIONS)]
    whole, hits = [], []
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in range(n_pages + 1):
            began = time.monotonic()
            part = connections[0].ask("POST", "/hits", urlencode({"id": identity, "k": str(k)}), FORM).decode()
            hits.append(time.monotonic() - began)
            pictures = [html.unescape(found) for found in re.findall(r'src="(/[^"]+)"', part)]
            waiting = iter(pictures)  # the next free connection takes the next picture

            def load(connection: Connection, waiting: Any = waiting) -> int:
                return sum(len(connection.ask("GET", picture)) > 0 for picture in waiting)

            n_loaded = sum(pool.map(load, connections))
            whole.append(time.monotonic() - began)
            if len(pictures) != k or n_loaded != k:
                raise SystemExit(f"a page of {k} hits has {len(pictures)} pictures, and {n_loaded} of them came")
    for connection in connections:
        connection.close()
    return {"pages_s": whole[1:], "hits_s": hits[1:]}


def main(arguments: list[str] | None = None) -> None:
    """Run clients, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["queries", "pages"])
    parser.add_argument("address")
    parser.add_argument("codes", nargs="?", help="codes to ask with, a .npy file")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--id", help="film that pages are asked for")
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args(arguments)
    if options.what == "queries":
        found = queries(options.address, np.load(options.codes), options.clients, options.k)
    else:
        found = pages(options.address, options.id, options.pages, options.k)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
