"""Hits as one document of JSON values, with the films' labels and files: what tables, pages and services show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret.data.listing import shown

if TYPE_CHECKING:
    from graphret.data import ImageTable
    from graphret.index.hits import Hit, Hits
    from graphret.index.index import Index
    from graphret.index.shards import ShardedIndex

__all__ = ["SOURCE_MEANINGS", "describe_hits", "legend_of", "why_in_words"]

SOURCE_MEANINGS = {
    "expansion": "region growing took the film in",
    "fill": "one of the nearest remaining films, because the ranking alone found fewer",
    "search": "the ranking found the film",
}


ROUNDING = 1e-5
"""Similarities that differ by less are shown alike."""


def describe_hits(index: Index | ShardedIndex, hits: Hits) -> dict[str, Any]:
    """Return everything that is to be said of hits, as JSON values.

    Parameters
    ----------
    index
        The index that was asked.
    hits
        Its answer.

    Returns
    -------
    dict
        index, ranking, options, learned_metric, notes, k, alarm_level, group_by (a column or None), and "queries": each
        with its query (name), path and labels ("" and None where they are not known), findings where the ranking
        estimates them, p_value, nothing_similar, and "hits": `Hit.to_dict` with why, path, labels (positive ones, and
        uncertain ones with "?"), and where films were grouped "group", the value of the column (None for NaN).

    Examples
    --------
    >>> import tempfile, numpy as np, graphret
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = graphret.build(np.eye(9, dtype=np.float32), out=folder, k=5, labels=["Mass"] * 9)
    ...     answer = describe_hits(index, index.query("7", k=1))["queries"][0]
    >>> answer["query"], answer["labels"], answer["hits"][0]["labels"]
    ('7', ['Mass'], ['Mass'])
    """
    films = index.films
    asked = {} if hits.pictures is None else hits.pictures.queries.films
    return {
        "index": str(index.path),
        **hits.choice.to_dict(),
        "notes": list(hits.notes),
        "k": hits.k,
        "alarm_level": hits.alarm_level,
        "group_by": hits.group_by,
        "queries": [
            {
                "query": shown(of_query.query),
                **_query(films, asked.get(number), row),
                **({"findings": of_query.findings} if of_query.findings else {}),
                **of_query.novelty(),
                "hits": [_hit(films, hit, hits.group_by) for hit in of_query],
            }
            for number, (of_query, row) in enumerate(zip(hits, hits.query_positions.tolist(), strict=True))
        ],
    }


def _query(films: ImageTable, film: Any, row: int) -> dict[str, Any]:
    if row < 0:
        return {"path": shown(str(film)) if isinstance(film, Path) else "", "labels": None}
    return {"path": str(films.paths[row]), "labels": films.label_texts(row)}


def _hit(films: ImageTable, hit: Hit, group_by: str | None) -> dict[str, Any]:
    row = hit.position
    group = {}
    if group_by is not None:
        value = films.column(group_by)[row : row + 1].tolist()[0]
        group = {"group": value if value == value else None}  # noqa: PLR0124 - NaN
    return {**hit.to_dict(why=True), "path": str(films.paths[row]), "labels": films.label_texts(row), **group}


def legend_of(document: dict[str, Any]) -> dict[str, str]:
    """Return what the sources that occur in a document of `describe_hits` mean."""
    found = {hit["source"] for answer in document["queries"] for hit in answer["hits"]}
    return {name: meaning for name, meaning in SOURCE_MEANINGS.items() if name in found}


def why_in_words(hit: dict[str, Any]) -> str:
    """Say why a film is where it is, from a hit of `describe_hits`.

    Examples
    --------
    >>> why = {"gain": 0.25, "query_edge": 0.0, "earlier": [{"id": "a", "weight": 0.875}]}
    >>> why_in_words({"why": why})
    'gain 0.25; no edge to the query; edges to a (0.875)'
    >>> why = {"gain": None, "query_edge": 0.0, "earlier": [], "terms": {"similarity": 0.75, "context": 0.125}}
    >>> why_in_words({"similarity": 0.5, "why": why})
    'score = similarity 0.75 as this ranking compares films + context 0.125; no edge to the query'
    """
    why = hit["why"]
    parts = []
    if "terms" in why:
        parts.append("score = " + " + ".join(_term(name, value, hit) for name, value in why["terms"].items()))
    if why["gain"] is not None:
        parts.append(f"gain {why['gain']:.4g}")
    parts.append(f"edge to the query {why['query_edge']:.4g}" if why["query_edge"] else "no edge to the query")
    if why["earlier"]:
        edges = ", ".join(f"{edge['id']} ({edge['weight']:.4g})" for edge in why["earlier"])
        parts.append(f"edges to {edges}")
    return "; ".join(parts)


def _term(name: str, value: float, hit: dict[str, Any]) -> str:
    """One summand of a score; a similarity that is not the cosine to the query says what it is."""
    differs = name == "similarity" and abs(value - hit.get("similarity", value)) > ROUNDING
    return f"{name} {value:.4g}" + (" as this ranking compares films" if differs else "")
