"""Start the service and keep it running until it is told to stop."""

from __future__ import annotations

import gc
import socket
from typing import TYPE_CHECKING

from graphret._errors import InvalidParameterError, StoreError
from graphret._imports import importing
from graphret.serve.config import ServeConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

__all__ = ["serve"]


def serve(
    indexes: Sequence[str | os.PathLike[str]],
    config: ServeConfig | None = None,
    *,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve indexes until the process is interrupted: pages for people, and a JSON API under ``/api/v1``.

    Parameters
    ----------
    indexes
        Folders of indexes, at least one. Nothing is written into them.
    config
        Address, token and limits; ``None``: this machine only, port 8000.
    on_start
        Called with the address of the first page once the service listens.

    Raises
    ------
    InvalidParameterError
        No index, or a value of the config that is not allowed.
    NotAnIndexError, DamagedIndexError, StoreError
        An index that cannot be opened, or an address that cannot be listened on.
    """
    config = config or ServeConfig()
    if not indexes:
        raise InvalidParameterError("indexes", list(indexes), "at least one folder of an index")
    with importing():
        import uvicorn

        from graphret.serve.app import create_app

        app = create_app(indexes, config)
    settings = uvicorn.Config(
        app, host=config.host, port=config.port, log_level="warning", access_log=False, server_header=False, ws="none",
        ssl_certfile=config.certificate, ssl_keyfile=config.certificate_key, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(settings)
    try:
        listening = settings.bind_socket()
    except SystemExit as error:  # uvicorn says the reason on stderr and ends the process
        raise StoreError(
            f"cannot listen on {config.host}, port {config.port}: it is in use, or not an address of this machine "
            "(choose another host or port; port 0 takes a free one)"
        ) from error
    with listening:
        # connections inherit it; without it the body of an answer waits up to 40 ms, until the caller has its headers
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.listen(settings.backlog)  # who reads the address may connect at once
        if on_start is not None:
            scheme = "https" if config.certificate is not None else "http"
            host = f"[{config.host}]" if ":" in config.host else config.host
            on_start(f"{scheme}://{host}:{listening.getsockname()[1]}/")
        gc.freeze()  # what is there now stays: searching it for garbage would make requests wait
        server.run(sockets=[listening])
