"""Hits as HTML for notebooks: each query beside its films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphret.data.film_html import film_figure, film_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret.data import ImageTable
    from graphret.data.isolated import Decoding
    from graphret.index.query_input import Queries

__all__ = ["Pictures"]

_QUERIES, _HITS = 5, 8


@dataclass(frozen=True, eq=False)
class Pictures:
    """Where the pictures of hits and of their queries come from; nothing is read before it is shown.

    Parameters
    ----------
    read_films
        Gives the table of the archive.
    queries
        As they were recognised.
    decoding
        How films of queries are decoded; those of hits are films of the archive, and are decoded here.
    """

    read_films: Callable[[], ImageTable]
    queries: Queries
    decoding: Decoding

    def html(self, hits: Any, text: str) -> str:
        """Show the first queries of `Hits`, each with its first hits, under a text."""
        rows = [self.html_of(hits[row], row) for row in range(min(_QUERIES, len(hits)))]
        more = len(hits) - len(rows)
        return "".join([film_row(text, ()), *rows, film_row(f"... {more:,} more queries", ()) if more else ""])

    def html_of(self, of_query: Any, row: int) -> str:
        """Show one query (`QueryHits`) with its first hits."""
        films, queries = self.read_films(), self.queries
        name, known = of_query.query or f"query {row}", int(queries.known[row])
        film = queries.films.get(row, str(films.paths[known]) if known >= 0 else None)
        with self.decoding.reader() as read:
            asked = film_figure(film, ["query"], read)
        figures = [films.figure(hit.position, f"{hit.rank}. {hit.similarity:.3f}") for hit in of_query[:_HITS]]
        alarm = f" (nothing similar in this archive, p = {of_query.p_value:.2g})" if of_query.nothing_similar else ""
        return film_row(f"{name}{alarm}", [asked, *figures])
