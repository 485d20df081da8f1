"""The contextual ranking: a film's own similarity, that of its neighbourhood, and how densely films lie around it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphret._checks import check_flag, check_integer, check_number
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._threads import borrow_threads
from graphret.retrieval._context_kernels import _rank_in_context
from graphret.retrieval.density import density_ranks, local_density
from graphret.retrieval.expansion import expanded_queries
from graphret.retrieval.fill import fill_nearest
from graphret.retrieval.learned_metric import padded
from graphret.retrieval.protocol import QueryBatch, RankedLists, source_code
from graphret.retrieval.whitening import Whitening

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int32Array
    from graphret.retrieval.protocol import Archive

__all__ = ["Contextual"]

AMONG = ("archive", "community")


class Contextual:
    """Ranking "contextual": the query's nearest films, ordered anew by similarity, context and density.

    The pool P holds the ``pool`` nearest allowed films. The query moves towards the first n of them as in alpha query
    expansion, q'. For x in P, with t_0(x) the cosine of q' and x (of whitened codes, if asked for) and N(x) the films
    linked to x in the stored graph,

        ``t_i(x) = sum_{y in N(x)} w_xy t_{i-1}(y) / sum_{y in N(x)} w_xy``,   y outside P counting as ``min_P t_0``,
        ``f(x) = (1 - context) t_0(x) + context t_rounds(x)``,
        ``score(x) = f(x) + density sd_P(f) p(x)``,

    p(x) being the rank of x by local density (`local_density`, `density_ranks`), among all films or those of its
    community, with mean 0 and variance about 1. ``docs/contextual_ranking.md`` says why. Ties go to the smaller
    position. Films that are not allowed are in no pool; as neighbours they count like any film outside it.

    ``n = 0, context = 0, density = 0`` is "nearest"; ``context = 0, density = 0`` is "alpha_qe" within the pool.

    Parameters
    ----------
    archive
        The films.
    pool
        Films that are ordered anew, >= 1. The nearest others follow them where a list is longer, with the last score.
    n, alpha
        Films that the query moves towards, >= 0, and the exponent of their weights, >= 0.
    context
        Share of the neighbourhood in the similarity, 0 to 1.
    rounds
        How far the neighbourhood reaches, >= 1.
    density
        Weight of the density; above 0 favours films among many similar ones, below 0 films that stand apart.
    among
        Whether density is ranked in the whole "archive" or within the film's "community".
    whitening
        ``None``: cosines of codes as they are; 0 to 1: of centred codes, whitened by that power (`Whitening`).
    learned
        Take pool and similarity in the metric that the archive learned from its labels (`LearnedMetric`), instead of
        the cosine. No label is read at query time.

    Raises
    ------
    InvalidParameterError, UnknownNameError
        An option outside its range; a learned metric together with whitening, or where the archive has none.

    Notes
    -----
    With a learned metric of m dimensions a second copy of the archive is held, float32 (n_films, m), and searched.
    O(E) once for the density, O(n_films d) once with whitening; per query O(pool (d + rounds e)) for e edges a film.
    ``terms`` of the result holds the three summands of every score: "similarity", "context", "density".

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> ranked = Contextual(archive, n=0, context=0.5).rank(QueryBatch.of(archive, [1, 0], 3), 3)
    >>> ranked.positions.tolist(), [round(float(values[0, 0]), 3) for values in ranked.terms.values()]
    ([[0, 1, 2]], [0.5, 0.498, 0.0])
    """

    name: ClassVar[str] = "contextual"

    def __init__(
        self,
        archive: Archive,
        *,
        pool: int = 400,
        n: int = 10,
        alpha: float = 1.0,
        context: float = 0.5,
        rounds: int = 1,
        density: float = 0.0,
        among: str = "archive",
        whitening: float | None = None,
        learned: bool = False,
    ) -> None:
        self.archive = archive
        self.pool = check_integer("pool", pool, 1, "films that are ordered anew")
        self.n = check_integer("n", n, 0, "films that the query moves towards")
        self.alpha = check_number("alpha", alpha, at_least=0.0)
        self.context = check_number("context", context, at_least=0.0, at_most=1.0)
        self.rounds = check_integer("rounds", rounds, 1, "1 looks at the neighbours of a film")
        self.density = check_number("density", density)
        if among not in AMONG:
            raise UnknownNameError("among", among, AMONG)
        self.among = among
        if whitening is not None:
            whitening = check_number("whitening", whitening, at_least=0.0, at_most=1.0, hint="None leaves it out")
        self.whitening = whitening
        learned = check_flag("learned", learned)
        if learned and archive.metric is None:
            hint = "tune the archive by its labels, which learns one"
            raise InvalidParameterError("learned", learned, "False: the archive has no learned metric", hint)
        if learned and whitening is not None:
            raise InvalidParameterError("whitening", whitening, "None with learned=True, which whitens by itself")
        self.learned = archive.metric if learned else None

    @property
    def density_ranks(self) -> Float64Array:
        """The ranks p of all films, float64 (n_films,), computed at the first use."""
        archive = self.archive

        def make() -> Float64Array:
            density = archive.prepared(("local_density",), lambda: local_density(archive.graph))
            return density_ranks(density, archive.communities if self.among == "community" else None)

        return archive.prepared(("density_ranks", self.among), make)

    @property
    def whitened(self) -> Whitening | None:
        """The metric of whitened codes, estimated at the first use."""
        strength = self.whitening
        if strength is None:
            return None
        return self.archive.prepared(("whitening", strength), lambda: Whitening.fit(self.archive.search, strength))

    @property
    def space(self) -> Archive:
        """The archive that the pool comes from: itself, or its films in the learned metric, made at the first use."""
        return self.archive if self.learned is None else self.archive.learned_space

    def prepare(self) -> None:
        """Make what is made once for all films, where several threads would make it at the same time."""
        if self.density:
            _ = self.density_ranks
        _ = self.whitened

    def first_neighbors(self, k: int) -> int:
        """Nearest films of a query that are read: none where the nearest in a learned metric are searched for."""
        return max(self.pool, self.n, k) if self.learned is None else 0

    def rank(self, queries: QueryBatch, k: int, *, fill: bool = True, n_threads: int | None = None) -> RankedLists:
        """Rank the films of every pool; the nearest films outside it follow where k is more. See `Ranker.rank`."""
        k = check_integer("k", k, 1, "ask for at least one film")
        asked = queries.codes
        queries = self.in_space(queries, max(self.pool, self.n, k), n_threads)
        ranked = RankedLists.empty(len(queries), k, terms=("similarity", "context", "density"))
        pool = np.ascontiguousarray(queries.neighbors[:, : self.pool])
        cosines = self.cosines(queries, pool, n_threads)
        density = self.density_ranks if self.density else np.zeros(self.archive.n_films)
        terms = np.zeros((3, *ranked.positions.shape))
        graph = self.archive.graph
        with borrow_threads(n_threads, at_most=len(queries)) as n_workers:
            _rank_in_context(
                graph.indptr,
                graph.indices,
                graph.weights,
                density,
                pool,
                cosines,
                self.context,
                self.rounds,
                self.density,
                max(1, min(n_workers, len(queries))),
                ranked.positions,
                terms,
            )
        for out, term in zip(ranked.terms.values(), terms, strict=True):
            out[:] = term
        ranked.scores[:] = terms.sum(axis=0)
        ranked.sources[ranked.positions >= 0] = source_code("search")
        if fill and self.pool < k:
            fill_nearest(self.space, queries, ranked)
            ranked.scores[:] = np.where(
                ranked.sources == source_code("fill"), ranked.scores[:, [self.pool - 1]], ranked.scores
            )
        ranked.similarities[:] = self.archive.search.similarities(asked, ranked.positions, n_threads=n_threads)
        return ranked if self.learned is None else replace(ranked, counts=queries.counts)

    def in_space(self, queries: QueryBatch, n_neighbors: int, n_threads: int | None) -> QueryBatch:
        """Return the queries with so many nearest films, codes and films in the learned metric if there is one."""
        if self.learned is None:
            return queries.at_least(self.archive, n_neighbors, n_threads)
        codes = padded(self.learned.project_queries(queries.codes))
        return QueryBatch.of(
            self.space, codes, n_neighbors, allowed=queries.allowed, forbidden=queries.forbidden, n_threads=n_threads
        )

    def cosines(self, queries: QueryBatch, pool: Int32Array, n_threads: int | None) -> Float64Array:
        """Score the films of every pool by t_0, float64 (q, m)."""
        codes = expanded_queries(self.space, queries, self.n, self.alpha) if self.n else queries.codes
        if self.whitened is not None:
            return self.whitened.cosines(self.archive.search, codes, pool, n_threads)
        if not self.n:
            return queries.similarities[:, : pool.shape[1]].astype(np.float64)
        return self.space.search.similarities(codes, pool, n_threads=n_threads).astype(np.float64)
