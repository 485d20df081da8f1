"""What an audit found as one page: counts, lists, and the films of the strongest suspicions side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret._checks import check_integer
from graphret.data.thumbnails import Thumbnails, read_thumbnails
from graphret.files import write_text
from graphret.html import page, picture, table, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from graphret._types import Progress
    from graphret.auditing.report import Audit
    from graphret.data import ImageTable

__all__ = ["audit_html", "write_audit_html"]

N_ROWS = 500
N_PICTURED = 24
SIDE = 160
"""Longer side of a picture in px."""
_IDS = 8
"""Films of a group that are named."""
_STYLE = f"""
.suspicions{{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}}
.suspicion{{display:flex;flex-wrap:wrap;gap:.4rem;padding:9px;border:1px solid #dfe4e8;max-width:{2 * SIDE + 20}px}}
.suspicion figure{{margin:0;width:{SIDE}px}}.suspicion p{{margin:0;width:100%;font-size:13px}}
figcaption{{overflow-wrap:anywhere}}
.none{{width:{SIDE}px;height:{SIDE}px;display:flex;align-items:center;background:#d5d9dd;color:#4b5660;font-size:13px}}
.note{{color:#4b5660;font-size:13px}}
"""


def audit_html(
    found: Audit,
    name: str,
    paths: Mapping[str, str],
    thumbnails: Thumbnails,
    *,
    n_rows: int = N_ROWS,
    n_pictured: int = N_PICTURED,
) -> str:
    """Return the page.

    Parameters
    ----------
    found
        From `audit`.
    name
        Of the archive, for the heading.
    paths
        Files by the ids of films, of those that are pictured at least.
    thumbnails
        Pictures by path; a film without one is a grey box that says why.
    n_rows
        Rows of each list, at most; the page counts those that are not shown.
    n_pictured
        Pairs, and doubtful labels, that are shown with their films, at most.

    Examples
    --------
    >>> from graphret.auditing.report import Audit, Pair
    >>> pair = Pair("<a>", "b", 0.99, False, ("train", "test"), ())
    >>> found = Audit(9, 5, 0.9, "data", (pair,), (), 0, {}, (), 0)
    >>> shown = audit_html(found, "chest", {"<a>": "a.png", "b": "b.png"}, Thumbnails({}, {"a.png": "it is gone"}))
    >>> "&lt;a&gt;" in shown, "<a>" in shown, "it is gone" in shown
    (True, False, True)
    """
    films = _Films(paths, thumbnails)
    body = [*_summary(found)]
    for title, part in (
        ("Near duplicates", _pairs(found, films, n_rows, n_pictured)),
        ("Groups of near duplicates", _groups(found, n_rows)),
        ("Patients in several splits", _patients(found, n_rows)),
        ("Doubtful labels", _labels(found, films, n_rows, n_pictured)),
    ):
        body += [f"<h2>{title}</h2>", *part]
    return page(f"Audit of {name}", body, _STYLE)


def write_audit_html(
    path: str | PathLike[str],
    found: Audit,
    films: ImageTable,
    name: str,
    *,
    n_rows: int = N_ROWS,
    n_pictured: int = N_PICTURED,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Thumbnails:
    """Read the films of the strongest suspicions, and write `audit_html` to a file, whole or not at all.

    Parameters
    ----------
    path
        The file.
    found
        From `audit`, of the archive with these films.
    films
        Of the archive, ``index.films``.
    name, n_rows, n_pictured
        As for `audit_html`; both numbers >= 0.
    n_threads, progress
        As for `read_thumbnails`.

    Returns
    -------
    Thumbnails
        What was drawn; ``problems`` has the films that cannot be read.

    Raises
    ------
    InvalidParameterError
        A number is below 0.
    MissingFileError, StoreError
        The folder is not there, or cannot be written to.

    Notes
    -----
    At most 3 ``n_pictured`` films are decoded.
    """
    check_integer("n_rows", n_rows, 0)
    check_integer("n_pictured", n_pictured, 0)
    paths = dict(zip(films.ids.tolist(), films.paths.tolist(), strict=True))
    pictured = [name for pair in found.pairs[:n_pictured] for name in (pair.first, pair.second)]
    pictured += [entry.id for entry in found.doubtful_labels[:n_pictured]]
    thumbnails = read_thumbnails([paths[name] for name in pictured], SIDE, n_threads=n_threads, progress=progress)
    content = audit_html(found, name, paths, thumbnails, n_rows=n_rows, n_pictured=n_pictured)
    write_text(path, content)  # type: ignore[arg-type]
    return thumbnails


class _Films:
    """Pictures by the ids of films."""

    def __init__(self, paths: Mapping[str, str], thumbnails: Thumbnails) -> None:
        self._paths, self._thumbnails = paths, thumbnails

    def figure(self, name: str, split: str = "") -> str:
        """Return a film with its id, and its split where it has one."""
        path = self._paths.get(name, "")
        content = self._thumbnails.pictures.get(path)
        if content is None:
            reason = self._thumbnails.problems.get(path, "it was not read")
            shown = f'<div class="none">no picture: {text(reason)}</div>'
        else:
            shown = picture(content, name)
        caption = text(name) + (f"<br>{text(split)}" if split else "")
        return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _summary(found: Audit) -> Iterator[str]:
    source = "chosen from the archive" if found.threshold_from == "data" else "as given"
    yield (
        f"<p>{found.n_films:,} films, {found.k} neighbours each. Near duplicates have a cosine of at least "
        f"{found.threshold:.6f} ({source}). <b>These are suspicions, not verdicts: look at the films.</b></p>"
    )
    yield (
        '<p class="note">The page names films and patients by the ids of the archive and shows films: pass it on as '
        "you would the films.</p>"
    )
    yield table(["", "number"], [(name.replace("_", " "), f"{number:,}") for name, number in found.counts.items()])
    if found.n_full:
        yield f"<p>{found.n_full:,} films have {found.k} near duplicates or more: a larger k may show further ones.</p>"


def _suspicions(cards: Sequence[str]) -> str:
    shown = "".join(f'<div class="suspicion">{card}</div>' for card in cards)
    return f'<div class="suspicions">{shown}</div>'


def _list(head: Sequence[str], rows: Sequence[Sequence[object]], n_all: int) -> Iterator[str]:
    """A table, and how many rows it leaves out."""
    if not n_all:
        yield "<p>None.</p>"
        return
    if rows:
        yield table(head, rows)
    if len(rows) < n_all:
        n_left = n_all - len(rows)
        yield f'<p class="note">{n_left:,} of {n_all:,} are not shown; graphret audit --out DIR writes all.</p>'


def _pairs(found: Audit, films: _Films, n_rows: int, n_pictured: int) -> Iterator[str]:
    if found.pairs[:n_pictured]:
        yield _suspicions(
            [
                films.figure(pair.first, pair.splits[0])
                + films.figure(pair.second, pair.splits[1])
                + f"<p>cosine {pair.similarity:.6f}, {'same' if pair.same_patient else 'other'} patient</p>"
                for pair in found.pairs[:n_pictured]
            ]
        )
    rows = [
        (
            *(pair.first, pair.second, f"{pair.similarity:.6f}", "same" if pair.same_patient else "other"),
            " / ".join(dict.fromkeys(pair.splits)),
            f"differ: {', '.join(pair.labels_differ)}" if pair.labels_differ else "agree",
        )
        for pair in found.pairs[:n_rows]
    ]
    yield from _list(["first", "second", "cosine", "patient", "splits", "labels"], rows, len(found.pairs))


def _groups(found: Audit, n_rows: int) -> Iterator[str]:
    rows = [
        (
            *(len(group.ids), group.n_patients, ", ".join(group.splits)),
            ", ".join(group.ids[:_IDS]) + (", ..." if len(group.ids) > _IDS else ""),
        )
        for group in found.groups[:n_rows]
    ]
    yield from _list(["films", "patients", "splits", "ids"], rows, len(found.groups))


def _patients(found: Audit, n_rows: int) -> Iterator[str]:
    several = found.patients_in_several_splits
    rows = [(name, ", ".join(splits)) for name, splits in list(several.items())[:n_rows]]
    yield from _list(["patient", "splits"], rows, len(several))


def _labels(found: Audit, films: _Films, n_rows: int, n_pictured: int) -> Iterator[str]:
    doubts = found.doubtful_labels
    yield "<p>A suspicion of 0.9: such neighbours are 9 times as frequent among films labelled the other way.</p>"
    if doubts[:n_pictured]:
        yield _suspicions(
            [
                films.figure(entry.id)
                + f"<p>{text(entry.label)}: {'given' if entry.given else 'not given'}, {entry.agree} of {entry.asked} "
                f"neighbours agree, suspicion {entry.suspicion:.2f}</p>"
                for entry in doubts[:n_pictured]
            ]
        )
    rows = [
        (
            *(entry.id, entry.label, "yes" if entry.given else "no", f"{entry.agree} of {entry.asked}"),
            f"{entry.suspicion:.2f}",
        )
        for entry in doubts[:n_rows]
    ]
    yield from _list(["film", "label", "given", "neighbours agree", "suspicion"], rows, len(doubts))
    if found.n_without_neighbors:
        yield (
            f"<p>{found.n_without_neighbors:,} films have too few neighbours of other patients: labels not judged.</p>"
        )
