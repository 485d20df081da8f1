"""Runs and relevance judgements as TREC text files, so that any evaluation tool can check the figures.

A run has one line per hit, ``query Q0 film rank score tag``; judgements (qrels) one per judged pair,
``query 0 film grade``. Fields are separated by blanks, so blanks and ``%`` inside an id are written as ``%XX``
and the readers turn them back.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from graphret._errors import DataError, InvalidParameterError, MissingFileError
from graphret.evaluation._inputs import check_allowed, check_only_allowed, excluded_pairs, label_pair
from graphret.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graphret._types import Int64Array

__all__ = ["qrels_text", "read_qrels", "read_run", "write_qrels", "write_run"]

_UNSAFE = re.compile(r"[\s%\x00-\x1f\x7f\ud800-\udfff]")


def write_run(
    path: str | Path, query_ids: Sequence[str], ranked: Any, film_ids: Sequence[str], *, tag: str = "graphret"
) -> None:
    """Write ranked lists as a TREC run.

    The score column is ``-rank``: trec_eval ignores the rank and sorts by score, and the similarities of a list that
    was not ordered by similarity (region growing) would change its order.

    Parameters
    ----------
    path
        File to write; it appears whole or not at all.
    query_ids
        One id per row of ``ranked``, all different.
    ranked
        int (q, K), positions in ``film_ids``, -1 pads (not written).
    film_ids
        Ids of the films of the archive, all different.
    tag
        Name of the ranking, the last field of every line.

    Raises
    ------
    InvalidParameterError
        Empty or repeated ids, or positions outside ``film_ids``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "nearest.run"
    >>> write_run(path, ["q 1"], [[1, 0, -1]], ["a.png", "b.png"], tag="nearest")
    >>> print(path.read_text(), end="")
    q%201 Q0 b.png 1 -1 nearest
    q%201 Q0 a.png 2 -2 nearest
    >>> read_run(path)
    {'q 1': ['b.png', 'a.png']}
    """
    queries, films = _escape_all("query_ids", query_ids), _escape_all("film_ids", film_ids)
    name = _escape_all("tag", [tag])[0]
    lists = np.asarray(ranked)
    if lists.ndim != 2 or len(lists) != len(queries) or lists.dtype.kind not in "iu":
        raise InvalidParameterError("ranked", lists.shape, f"integers ({len(queries)}, K), one row per query id")
    if lists.size and (lists.min() < -1 or lists.max() >= len(films)):
        raise InvalidParameterError("ranked", int(lists.max()), f"positions among {len(films)} film_ids, -1 for a pad")
    _write_lines(
        path,
        (
            f"{query} Q0 {films[film]} {rank} {-rank} {name}\n"
            for query, hits in zip(queries, lists.tolist(), strict=True)
            for rank, film in enumerate((hit for hit in hits if hit >= 0), start=1)
        ),
    )


def write_qrels(
    path: str | Path,
    query_ids: Sequence[str],
    query_labels: Any,
    film_ids: Sequence[str],
    film_labels: Any,
    *,
    pool: Any | None = None,
    depth: int | None = None,
    excluded: Sequence[Any] | None = None,
    allowed: Any | None = None,
) -> None:
    """Write graded judgements, the grade being ``r = |q and x|``.

    Parameters
    ----------
    path
        File to write; it appears whole or not at all.
    query_ids, query_labels
        Ids, and bool (q, L).
    film_ids, film_labels
        Ids, and bool (n, L), of the archive.
    pool
        int (q, m), positions of films to judge even where the grade is 0 (what the rankings returned); -1 for none.
    depth
        Beside the pool, write the ``depth`` films with the best grades of every query, ties by smaller position; all
        relevant films when None (for a large archive this is most of its pairs). With ``depth >= K`` the file holds all
        that P, ACG, nDCG, mAP and mAP:relevant at K need.
    excluded, allowed
        Films that a query could not get, as in `evaluate_ranking`; they are not judged.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "qrels.txt"
    >>> write_qrels(path, ["q"], [[1, 1]], ["a", "b", "c"], [[1, 1], [0, 0], [0, 1]], pool=[[1]])
    >>> print(path.read_text(), end="")
    q 0 a 2
    q 0 b 0
    q 0 c 1
    """
    queries, films = _escape_all("query_ids", query_ids), _escape_all("film_ids", film_ids)
    of_queries, of_films = (
        labels.astype(np.float32) for labels in label_pair(query_labels, film_labels, ("query_labels", "film_labels"))
    )
    for name, labels, ids in (("query_labels", of_queries, queries), ("film_labels", of_films, films)):
        if len(labels) != len(ids):
            raise InvalidParameterError(name, labels.shape, f"one row for each of {len(ids)} ids")
    searchable = check_allowed(allowed, len(films))
    forbidden = excluded_pairs(excluded, len(queries), len(films))
    pooled = np.empty((len(queries), 0), dtype=np.int64) if pool is None else np.asarray(pool, dtype=np.int64)
    check_only_allowed(pooled, searchable, forbidden)

    def lines() -> Iterator[str]:
        for row, query in enumerate(queries):
            grades = (of_films @ of_queries[row]).astype(np.int64)
            first, last = np.searchsorted(forbidden, [row * len(films), (row + 1) * len(films)])
            possible = searchable.copy()
            possible[forbidden[first:last] - row * len(films)] = False
            judged = np.union1d(_best(np.where(possible, grades, 0), depth), pooled[row][pooled[row] >= 0])
            for film in judged.tolist():
                yield f"{query} 0 {films[film]} {grades[film]}\n"

    _write_lines(path, lines())


def _best(grades: Int64Array, depth: int | None) -> Int64Array:
    """Return the positions of the relevant films, only the ``depth`` best of them if given, ties by position."""
    relevant = np.flatnonzero(grades > 0)
    return relevant[np.argsort(-grades[relevant], kind="stable")[:depth]]


def read_run(path: str | Path) -> dict[str, list[str]]:
    """Read a TREC run: for every query the ids of its films, by falling score, ties by rank.

    Raises
    ------
    MissingFileError, DataError
        The file is absent, or a line has not the six fields of a run.
    """
    hits: dict[str, list[tuple[float, int, str]]] = {}
    for number, fields in _fields(path, 6, "a run: query Q0 film rank score tag"):
        try:
            entry = (-float(fields[4]), int(fields[3]), unquote(fields[2], errors="surrogatepass"))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: rank and score must be numbers, got {fields[3:5]}") from error
        hits.setdefault(unquote(fields[0], errors="surrogatepass"), []).append(entry)
    return {query: [film for _, _, film in sorted(entries)] for query, entries in hits.items()}


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Read TREC judgements: for every query the grades of its judged films.

    Raises
    ------
    MissingFileError, DataError
        The file is absent, a line has not the four fields of a judgement, or one pair has two grades.
    """
    grades: dict[str, dict[str, int]] = {}
    for number, fields in _fields(path, 4, "judgements: query 0 film grade"):
        try:
            grade = int(fields[3])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: the grade must be an integer, got {fields[3]!r}") from error
        query, film = (unquote(field, errors="surrogatepass") for field in (fields[0], fields[2]))
        if grades.setdefault(query, {}).setdefault(film, grade) != grade:
            raise DataError(f"{path}, line {number}: {query!r} and {film!r} have two grades: keep one")
    return grades


def qrels_text(grades: Mapping[str, Mapping[str, int]]) -> str:
    r"""Return judgements, for every query the grades of films, as the text of a file that `read_qrels` reads.

    Raises
    ------
    InvalidParameterError
        An empty id.

    Examples
    --------
    >>> qrels_text({"query 1": {"a.png": 2, "b.png": 0}})
    'query%201 0 a.png 2\nquery%201 0 b.png 0\n'
    """
    queries = _escape_all("query ids", list(grades))
    lines = []
    for query, of_query in zip(queries, grades.values(), strict=True):
        films = _escape_all("film ids", list(of_query))
        lines += [f"{query} 0 {film} {grade}\n" for film, grade in zip(films, of_query.values(), strict=True)]
    return "".join(lines)


def _fields(path: str | Path, n_fields: int, kind: str) -> Iterator[tuple[int, list[str]]]:
    source = Path(path)
    if not source.is_file():
        raise MissingFileError(source, "TREC file", "write one with write_run or write_qrels")
    with source.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            fields = line.split()
            if len(fields) != n_fields:
                raise DataError(f"{source}, line {number}: {len(fields)} fields where {kind} has {n_fields}")
            yield number, fields


def _escape_all(name: str, ids: Sequence[str]) -> list[str]:
    escaped = [_UNSAFE.sub(_percent, str(one)) for one in ids]
    if "" in escaped:
        raise InvalidParameterError(name, "", "ids that are not empty", f"number {escaped.index('')} is")
    twice = [one for one, times in Counter(escaped).items() if times > 1]
    if twice:
        raise InvalidParameterError(name, twice[0], "ids that are all different", "a TREC file knows films by id only")
    return escaped


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", errors="surrogatepass"))


def _write_lines(path: str | Path, lines: Iterator[str]) -> None:
    with replacing(path) as file:
        file.writelines(line.encode("utf-8") for line in lines)
