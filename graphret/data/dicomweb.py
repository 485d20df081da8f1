"""Films of a PACS by DICOMweb: looked for by QIDO-RS, fetched by WADO-RS into a folder, film by film."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from graphret._checks import check_integer
from graphret._errors import DataError, GraphretError, InvalidParameterError, MissingDependencyError, MissingFileError
from graphret.data.decoding.limits import MAX_MEMORY
from graphret.data.decoding.quiet import no_warnings
from graphret.data.listing import open_regular
from graphret.data.pseudonyms import Pseudonyms
from graphret.data.table import FilmProblem
from graphret.files import make_folder, replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphret._types import Progress

__all__ = ["Fetched", "fetch_dicomweb"]

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_PAGE = 500
_LONGEST_UID, _LONGEST_TOKEN = 64, 16_384
_SECONDS = 60.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_UIDS = {"study": "0020000D", "series": "0020000E", "film": "00080018"}
_BLOCK = 2**20


@dataclass
class Fetched:
    """What came of a fetch: films found, fetched now, there already, and those that could not be fetched."""

    folder: Path
    n_found: int = 0
    n_fetched: int = 0
    n_there: int = 0
    problems: list[FilmProblem] = field(default_factory=list)


def fetch_dicomweb(
    url: str,
    out: str | Path,
    *,
    filters: Mapping[str, str] | None = None,
    limit: int | None = None,
    token_file: str | Path | None = None,
    salt_file: str | Path | None = None,
    film_memory: int = MAX_MEMORY,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch films of a server into a folder, for ``read_dataset("dicom", folder)``; what is there already is kept.

    Parameters
    ----------
    url
        Root of the DICOMweb service, as ``https://pacs/dicom-web``. Certificates are checked; redirects are refused.
    out
        Folder; made where it is not there. File names are salted hashes of the SOP instance UIDs, see `Pseudonyms`.
    filters
        Keyword of DICOM -> value, as QIDO-RS takes them: ``{"Modality": "DX", "StudyDate": "20240101-"}``.
    limit
        Films at most, >= 1; ``None`` for all.
    token_file
        File with a bearer token, sent with each request; over plain http only to this machine.
    salt_file
        See `pseudonyms.salt_file`.
    film_memory
        Bytes that one answer may have; a larger one is a problem.
    progress
        Called as ``progress("fetch", done, total)``.

    Returns
    -------
    Fetched
        Its problems are films that the server does not give, each with a reason; a fetch goes on without them, and the
        same call tries them again.

    Raises
    ------
    MissingDependencyError
        The extra ``dicomweb`` is not installed.
    InvalidParameterError
        A parameter that is not allowed.
    DataError
        The server cannot be reached, or does not answer a search.
    """
    try:
        from dicomweb_client import DICOMwebClient
    except ImportError as error:
        raise MissingDependencyError("dicomweb-client", "dicomweb", "a fetch from a DICOMweb server") from error
    _check_call(url, filters or {}, token_file)
    if limit is not None:
        check_integer("limit", limit, 1)
    session = _session(check_integer("film_memory", film_memory, 1))
    headers = {"Authorization": f"Bearer {_token(Path(token_file))}"} if token_file is not None else None
    client = DICOMwebClient(url, session=session, headers=headers, timeout=_SECONDS)
    client.set_http_retry_params(retry=False)  # the same call tries again what failed
    found = _search(client, url, dict(filters or {}), limit)
    names, folder = Pseudonyms(salt_file), Path(out)
    make_folder(folder)
    done = Fetched(folder, n_found=len(found))
    for number, uids in enumerate(found):
        name = names.of("file", uids["film"])
        path = folder / name[:2] / f"{name}.dcm"
        if path.exists():
            done.n_there += 1
        else:
            reason = _fetch_one(client, uids, path)
            done.n_fetched += not reason
            if reason:
                done.problems.append(FilmProblem(name, "", reason))
        if progress is not None:
            progress("fetch", number + 1, len(found))
    return done


def _check_call(url: str, filters: Mapping[str, str], token_file: str | Path | None) -> None:
    from pydicom.datadict import tag_for_keyword

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise InvalidParameterError("url", url, "http(s)://HOST/PATH of a DICOMweb service, without a password")
    if token_file is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InvalidParameterError("url", url, "https with a token", "over http anybody on the way could read it")
    for keyword in filters:
        if tag_for_keyword(keyword) is None:
            raise InvalidParameterError("filters", keyword, "a keyword of DICOM, as Modality or StudyDate")


def _token(path: Path) -> str:
    try:
        with open_regular(path) as file:
            token = file.read(_LONGEST_TOKEN + 1).decode("ascii").strip()
    except FileNotFoundError:
        raise MissingFileError(path, "file of the token", "give a file that holds the token and nothing else") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the token in {path} cannot be read: {getattr(error, 'strerror', None) or 'no ASCII'}"
        ) from None
    if not token or len(token) > _LONGEST_TOKEN or len(token.split()) != 1:
        raise DataError(f"{path} holds no token: give one word")
    return token


def _session(most_bytes: int) -> Any:
    """A session that reads no more of an answer than is allowed, and follows no redirect."""
    import requests

    class Bounded(requests.Session):
        def send(self, request: Any, **options: Any) -> Any:
            response = super().send(request, **{**options, "stream": True, "allow_redirects": False})
            if response.is_redirect:
                response.close()
                raise requests.exceptions.TooManyRedirects("it answers with a redirect")
            content = bytearray()
            for block in response.iter_content(_BLOCK):
                content += block
                if len(content) > most_bytes:
                    response.close()
                    raise _TooLargeError(f"its answer has more than {most_bytes:,} bytes (film_memory)")
            response._content, response._content_consumed = bytes(content), True
            return response

    return Bounded()


class _TooLargeError(Exception):
    """An answer beyond the limit."""


def _search(client: Any, url: str, filters: dict[str, str], limit: int | None) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    offset = 0
    try:
        while limit is None or len(found) < limit:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(found))
            with no_warnings():
                page = client.search_for_instances(search_filters=filters, limit=wanted, offset=offset)
            before = len(found)
            for uids in map(_uids, page):
                found.setdefault(uids["film"], uids)
            offset += len(page)
            if len(page) < wanted or len(found) == before:  # a server that knows no offset gives the same page again
                break
    except GraphretError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a server makes the client raise; texts may hold values
        raise DataError(f"{url} does not answer a search: {_why(error)}") from None
    return list(found.values())[:limit]


def _uids(entry: Any) -> dict[str, str]:
    """The UIDs of one answer; they become parts of a URL, so they must be such."""
    uids = {name: str(next(iter(entry.get(tag, {}).get("Value", [""])), "")) for name, tag in _UIDS.items()}
    if not all(_UID.fullmatch(uid) and len(uid) <= _LONGEST_UID for uid in uids.values()):
        raise DataError("the server answers a search with UIDs that are none")
    return uids


def _fetch_one(client: Any, uids: dict[str, str], path: Path) -> str:
    """Write one film; return why it could not be fetched."""
    content = io.BytesIO()
    try:
        with no_warnings():
            dataset = client.retrieve_instance(
                uids["study"], uids["series"], uids["film"], media_types=(("application/dicom", "*"),)
            )
            if str(dataset.get("SOPInstanceUID")) != uids["film"]:
                return "the server gives another film than was asked for"
            dataset.save_as(content, enforce_file_format=True)
    except Exception as error:  # noqa: BLE001 - as above; MemoryError of one film ends no fetch
        return f"the server does not give it: {_why(error)}"
    make_folder(path.parent)
    with replacing(path) as file:
        file.write(content.getvalue())
    return ""


def _why(error: Exception) -> str:
    """Say what went wrong by kind and status: the text of an answer may hold names."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"status {status}"
    if isinstance(error, _TooLargeError):
        return str(error)
    kinds = list(_kinds(error))
    return next((words for kind, words in _WORDS.items() if kind in kinds), kinds[0])


_WORDS = {
    "SSLError": "its certificate is not valid",
    "Timeout": f"no answer within {_SECONDS:g} s",
    "TooManyRedirects": "it answers with a redirect: give the address that it leads to",
    "ConnectionError": "it cannot be reached",
}


def _kinds(error: Exception) -> Iterator[str]:
    yield from (kind.__name__ for kind in type(error).__mro__)
