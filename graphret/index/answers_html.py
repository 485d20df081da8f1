"""Hits as one page: every query beside its hits, with findings, similarity, score, and why; pictures are inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret.data.thumbnails import Thumbnails, read_thumbnails
from graphret.files import write_text
from graphret.html import page, picture, text
from graphret.index.answers import legend_of, why_in_words

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Progress
    from graphret.data.isolated import Decoding

__all__ = ["hits_html", "write_hits_html"]

SIDE = 160
"""Longer side of a picture in px."""
_STYLE = f"""
.films{{display:flex;flex-wrap:wrap;gap:.8rem;align-items:flex-start}}
.film{{width:{SIDE + 20}px;margin:0;padding:9px;border:1px solid #dfe4e8;box-sizing:content-box}}
.film.query{{border:2px solid #1c2126;padding:8px}}
.picture{{width:{SIDE}px;height:{SIDE}px;margin:0 auto;display:flex;background:#000}}
.picture{{align-items:center;justify-content:center}}
.picture.none{{background:#d5d9dd;color:#4b5660;font-size:13px;text-align:center}}
.film p{{margin:.25rem 0;font-size:13px;line-height:1.35;overflow-wrap:anywhere}}
.why{{color:#4b5660;font-size:12px!important}}
.missing{{color:#8c2f1b}}
"""


def hits_html(document: dict[str, Any], thumbnails: Thumbnails) -> str:
    """Return the page.

    Parameters
    ----------
    document
        From `answers.describe_hits`; "problems" (path, reason, n_files and is_film of each) are films that were to be
        queries and could not be read: they are counted.
    thumbnails
        Pictures of the films, by path; a film without one is a grey box that says so, and they are counted.

    Examples
    --------
    >>> document = {"index": "i", "ranking": "nearest", "options": {}, "notes": [], "k": 1, "group_by": None}
    >>> hit = {"rank": 1, "id": "<a>", "path": "a.png", "similarity": 0.5, "score": 0.5, "community": 0, "labels": []}
    >>> hit |= {"source": "search", "why": {"gain": None, "query_edge": 0.5, "earlier": []}}
    >>> document["queries"] = [{"query": "q.png", "path": "q.png", "labels": None, "hits": [hit]}]
    >>> shown = hits_html(document, Thumbnails({}, {"a.png": "it is gone"}))
    >>> "&lt;a&gt;" in shown, "<a>" in shown, "2 of 2 films cannot be shown" in shown
    (True, False, True)
    """
    body = [f"<p>{text(line)}</p>" for line in _facts(document)]
    legend = [f"<li><b>{name}</b>: {text(meaning)}</li>" for name, meaning in legend_of(document).items()]
    if legend:
        body.append(f"<p>Where a hit came from (source):</p><ul>{''.join(legend)}</ul>")
    body += [f'<p class="missing">{text(line)}</p>' for line in _missing(document, thumbnails)]
    for answer in document["queries"]:
        body.append(f"<h2>{text(answer['query'] or 'a film without a name')}</h2>")
        if "findings" in answer:
            likely = ", ".join(f"{name} {share:.0%}" for name, share in answer["findings"].items())
            body.append(f"<p>By the labels of its neighbours the query shows: {text(likely)}</p>")
        if answer.get("nothing_similar"):
            body.append(f'<p class="missing">Nothing similar in this archive (p = {answer["p_value"]:.2g}).</p>')
        figures = [_query(answer, thumbnails), *(_hit(hit, document["group_by"], thumbnails) for hit in answer["hits"])]
        body.append(f'<div class="films">{"".join(figures)}</div>')
        if not answer["hits"]:
            body.append("<p>No film of the index may come for this query.</p>")
    return page("Similar films", body, _STYLE)


def write_hits_html(
    path: str | Path,
    document: dict[str, Any],
    *,
    decoding: Decoding | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Thumbnails:
    """Read the films of a document, and write `hits_html` to a file, whole or not at all.

    Parameters
    ----------
    path
        The file.
    document
        As for `hits_html`.
    decoding, n_threads, progress
        As for `read_thumbnails`; queries and hits are decoded the same way.

    Returns
    -------
    Thumbnails
        What was drawn; ``problems`` has the films that cannot be read any more.

    Raises
    ------
    MissingFileError, StoreError
        The folder is not there, or cannot be written to.
    """
    films = [film["path"] for answer in document["queries"] for film in (answer, *answer["hits"])]
    thumbnails = read_thumbnails(films, SIDE, decoding=decoding, n_threads=n_threads, progress=progress)
    write_text(path, hits_html(document, thumbnails))
    return thumbnails


def _facts(document: dict[str, Any]) -> list[str]:
    options = ", ".join(f"{name} = {value}" for name, value in document["options"].items())
    ranked = f"ranking {document['ranking']}" + (f" ({options})" if options else "")
    learned = ["films are compared in a metric that was learned from the archive's labels"]
    facts = [ranked, *(learned if document.get("learned_metric") else []), *document["notes"]]
    n_queries = len(document["queries"])
    return [
        f"{n_queries} queries, at most {document['k']} hits each, best first, of the index {document['index']}.",
        f"Ordered by the score of the {'; '.join(facts)}. Similarity is the cosine to the query.",
    ]


def _missing(document: dict[str, Any], thumbnails: Thumbnails) -> list[str]:
    lines = []
    paths = {film["path"] for answer in document["queries"] for film in (answer, *answer["hits"])}
    gone = sorted(paths - set(thumbnails.pictures))
    if gone:
        reason = thumbnails.problems.get(gone[0], "it was not read")
        lines.append(
            f"{len(gone)} of {len(paths)} films cannot be shown, first {gone[0] or 'one without a file'}: {reason}."
        )
    problems = [problem for problem in document.get("problems", ()) if problem["is_film"]]
    if problems:
        number = sum(problem["n_files"] for problem in problems)
        lines.append(f"{number} films could not be asked for, first {problems[0]['path']}: {problems[0]['reason']}.")
    return lines


def _query(answer: dict[str, Any], thumbnails: Thumbnails) -> str:
    lines = ["<p><b>query</b></p>"]
    if answer["labels"] is not None:
        lines.append(f"<p>{text(', '.join(answer['labels']) or 'no positive label')}</p>")
    return _figure(answer["path"], "the query", thumbnails, lines, "film query")


def _hit(hit: dict[str, Any], group_by: str | None, thumbnails: Thumbnails) -> str:
    lines = [
        f"<p><b>{hit['rank']}.</b> {text(hit['id'])}</p>",
        f"<p>{text(', '.join(hit['labels']) or 'no positive label')}</p>",
        f"<p>similarity {hit['similarity']:.4f}, score {hit['score']:.4f}</p>",
        f"<p>community {hit['community']}, source {text(hit['source'])}</p>",
    ]
    if group_by is not None:
        lines.append(f"<p>{text(group_by)} {text('-' if hit['group'] is None else hit['group'])}</p>")
    lines.append(f'<p class="why">{text(why_in_words(hit))}</p>')
    return _figure(hit["path"], hit["id"], thumbnails, lines, "film")


def _figure(path: str, name: str, thumbnails: Thumbnails, lines: list[str], kind: str) -> str:
    content = thumbnails.pictures.get(path)
    if content is None:
        reason = thumbnails.problems.get(path, "it was not read")
        shown = f'<div class="picture none">film not readable:<br>{text(reason)}</div>'
    else:
        shown = f'<div class="picture">{picture(content, name)}</div>'
    return f'<figure class="{kind}">{shown}{"".join(lines)}</figure>'
