"""What the service may be told: its address, its token, its limits, and where it keeps what is not in an index."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from graphret._checks import check_flag, check_integer
from graphret._errors import InvalidParameterError, MissingFileError

__all__ = ["ServeConfig"]

TOKEN_VARIABLE = "GRAPHRET_TOKEN"  # noqa: S105 - a name, not a token
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServeConfig:
    """How indexes are served.

    Parameters
    ----------
    host
        Address that is listened on. Any other than one of this machine (127.0.0.1, ::1, localhost) needs a token.
    port
        Port, 0 to 65535; 0 takes one that is free, and says which.
    token
        What a user has to show: at least 16 characters, in the login page or as "Authorization: Bearer TOKEN". The
        environment variable GRAPHRET_TOKEN is read where it is None: other users of the machine cannot see that one.
    certificate
        File of a TLS certificate (PEM): the service then speaks https. Needs a certificate key.
    certificate_key
        File of its private key (PEM).
    lists
        File in which marks and notes are kept (SQLite); NAME-lists.sqlite beside the first index if None. It is made
        at the first mark.
    as_shards
        All indexes are the shards of one, see `graphret.index.ShardedIndex`. Its pictures are kept in memory only.
    thumbnails
        Keep small pictures of films beside each index, in NAME-thumbnails; without, they are made anew in memory.
    thumbnails_mb
        Most that these take on the disk for one index, MB (2**20 bytes), >= 1; then the oldest make room.
    max_upload
        Largest body of a request, MB (2**20 bytes), >= 1.
    rate
        Requests a second of one address, on average; ten times as many may come at once. >= 1.

    Raises
    ------
    InvalidParameterError
        A value that is not allowed, or no token where one is needed.
    MissingFileError
        A certificate that is not there.

    Examples
    --------
    >>> ServeConfig(port=0).needs_token
    False
    >>> ServeConfig(host="0.0.0.0")
    Traceback (most recent call last):
    graphret._errors.InvalidParameterError: token=None is not allowed: give a token of at least 16 characters ...
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    certificate_key: Path | None = None
    lists: Path | None = None
    as_shards: bool = False
    thumbnails: bool = True
    thumbnails_mb: int = 2048
    max_upload: int = 64
    rate: int = 200

    def __post_init__(self) -> None:
        if check_integer("port", self.port, 0) > 65_535:
            raise InvalidParameterError("port", self.port, "a port, 0 to 65535")
        check_integer("max_upload", self.max_upload, 1)
        check_integer("rate", self.rate, 1)
        check_flag("as_shards", self.as_shards)
        check_flag("thumbnails", self.thumbnails)
        check_integer("thumbnails_mb", self.thumbnails_mb, 1)
        if self.token is None:
            object.__setattr__(self, "token", os.environ.get(TOKEN_VARIABLE) or None)
        if self.token is not None and (len(self.token) < _SHORTEST_TOKEN or not self.token.isprintable()):
            raise InvalidParameterError(
                "token", "..." if self.token else "", f"at least {_SHORTEST_TOKEN} printable characters",
                "python -c 'import secrets; print(secrets.token_urlsafe())' makes one",
            )  # fmt: skip
        if self.token is None and not self.is_local:
            raise InvalidParameterError(
                "token", None, f"a token of at least {_SHORTEST_TOKEN} characters",
                f"{self.host} can be reached by other machines; 127.0.0.1 needs none",
            )  # fmt: skip
        if (self.certificate is None) != (self.certificate_key is None):
            raise InvalidParameterError(
                "certificate", str(self.certificate), "certificate and certificate_key, or none"
            )
        for what in (self.certificate, self.certificate_key):
            if what is not None and not Path(what).is_file():
                raise MissingFileError(what, "file of TLS", "give a PEM file")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def needs_token(self) -> bool:
        """Whether a user has to show a token."""
        return self.token is not None
