"""The label-aware ranking: the query's probable findings, estimated from its neighbours, reorder the nearest films."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphret._checks import check_flag, check_integer, check_number
from graphret._errors import InvalidParameterError
from graphret._threads import borrow_threads
from graphret.retrieval._finding_kernels import _rank_by_findings
from graphret.retrieval.fill import fill_nearest
from graphret.retrieval.finding_estimate import Calibration, estimate_findings, fit_calibration
from graphret.retrieval.protocol import RankedLists, source_code

if TYPE_CHECKING:
    from graphret._types import Float64Array
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["LabelAware"]


class LabelAware:
    """Ranking "label_aware": similar films with the findings that the query probably has; reads the archive's labels.

    The pool P holds the ``pool`` nearest allowed films. p_l is the probability that the query has finding l, estimated
    from the labels of its nearest films and calibrated (`estimate_findings`, `Calibration`). For x in P with findings
    y_l (an unknown one counts as its prevalence),

        ``overlap(x) = sum_l y_l p_l / sqrt(sum_l y_l sum_l p_l)``,   0 for a film without findings,
        ``score(x) = (1 - strength) z(x) + strength overlap(x)``,

    z being the cosines of the pool with mean 0 and variance 1. The overlap is Ochiai's coefficient (shared findings by
    the geometric mean of what either has) with the query's expected findings: a film is not rewarded for showing
    everything. Where the neighbours suggest no finding all overlaps are small, and similarity rules. Ties go to the
    more similar film, then the smaller position.

    Where lists are judged by shared findings, this ranking was told what counts. Its figures are no match for those of
    rankings that see codes only, and `evaluate` reports them apart.

    Parameters
    ----------
    archive
        The films, with `Findings`.
    pool
        Films that are ordered anew, >= 1. The nearest others follow them where a list is longer, with the last score.
    strength
        Share of the findings in the score, 0 to 1; 0 is "nearest".
    voters
        Nearest films that vote, >= 1.
    sharpness
        How much more the nearer voters count, >= 0; 0: all the same.
    prior
        Votes for the archive's prevalence, > 0.
    calibrate
        Whether the votes are calibrated on films of the archive.

    Raises
    ------
    InvalidParameterError
        An option outside its range, or an archive without findings.

    Notes
    -----
    Once per archive, voters, sharpness and prior: at most 2,000 searches for the calibration. A query: O((voters +
    pool) L) for L findings. ``terms`` of the result holds both summands of every score, "similarity" and "findings";
    ``findings`` the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from graphret.retrieval import Archive, Findings, QueryBatch
    >>> codes = np.array([[1, 0], [1, 0.1], [1, 0.2], [0.1, 1]], dtype=np.float32)
    >>> findings = Findings(np.array([[0], [1], [1], [0]]), ("Mass",))
    >>> archive = Archive.from_codes(codes, k=1, findings=findings)
    >>> ranked = LabelAware(archive, strength=0.9, voters=3).rank(QueryBatch.of(archive, [1, 0], 3), 3)
    >>> ranked.positions.tolist(), bool(ranked.findings[0, 0] > 0.4)
    ([[1, 2, 0]], True)
    """

    name: ClassVar[str] = "label_aware"
    uses_labels: ClassVar[bool] = True

    def __init__(
        self,
        archive: Archive,
        *,
        pool: int = 400,
        strength: float = 0.8,
        voters: int = 100,
        sharpness: float = 0.5,
        prior: float = 2.0,
        calibrate: bool = True,
    ) -> None:
        if archive.findings is None:
            hint = "it estimates what a query shows from its neighbours' labels: build the index from films with labels"
            raise InvalidParameterError("ranking", self.name, "a ranking that reads no labels: there are none", hint)
        self.archive = archive
        self.findings = archive.findings
        self.pool = check_integer("pool", pool, 1, "films that are ordered anew")
        self.strength = check_number("strength", strength, at_least=0.0, at_most=1.0)
        self.voters = check_integer("voters", voters, 1, "nearest films that vote")
        self.sharpness = check_number("sharpness", sharpness, at_least=0.0)
        self.prior = check_number("prior", prior, above=0.0)
        self.calibrate = check_flag("calibrate", calibrate)

    def rank(self, queries: QueryBatch, k: int, *, fill: bool = True, n_threads: int | None = None) -> RankedLists:
        """Rank the films of every pool; the nearest films outside it follow where k is more. See `Ranker.rank`."""
        k = check_integer("k", k, 1, "ask for at least one film")
        queries = queries.at_least(self.archive, max(self.pool, self.voters, k), n_threads)
        probabilities = self.estimate(queries, n_threads)
        ranked = replace(RankedLists.empty(len(queries), k, ("similarity", "findings")), findings=probabilities)
        terms = np.zeros((2, *ranked.positions.shape))
        with borrow_threads(n_threads, at_most=max(1, len(queries))):
            _rank_by_findings(
                np.ascontiguousarray(queries.neighbors[:, : self.pool]),
                np.ascontiguousarray(queries.similarities[:, : self.pool]),
                self.findings.labels,
                self.findings.prevalence,
                probabilities,
                self.strength,
                ranked.positions,
                terms,
            )
        for out, term in zip(ranked.terms.values(), terms, strict=True):
            out[:] = term
        ranked.scores[:] = terms.sum(axis=0)
        ranked.sources[ranked.positions >= 0] = source_code("search")
        if fill and self.pool < k:
            fill_nearest(self.archive, queries, ranked)
            filled = ranked.sources == source_code("fill")
            ranked.scores[:] = np.where(filled, ranked.scores[:, [self.pool - 1]], ranked.scores)
        ranked.similarities[:] = self.archive.search.similarities(queries.codes, ranked.positions, n_threads=n_threads)
        return ranked

    def estimate(self, queries: QueryBatch, n_threads: int | None = None) -> Float64Array:
        """Estimate the probability of every finding of every query, float64 (q, L); see `estimate_findings`."""
        queries = queries.at_least(self.archive, self.voters, n_threads)
        return estimate_findings(
            self.findings,
            queries.neighbors[:, : self.voters],
            queries.similarities[:, : self.voters],
            sharpness=self.sharpness,
            prior=self.prior,
            calibration=self._calibration(n_threads) if self.calibrate else None,
            n_threads=n_threads,
        )

    def _calibration(self, n_threads: int | None) -> Calibration:
        """Fitted at the first use, and shared by all rankers of the archive."""

        def fit() -> Calibration:
            return fit_calibration(
                self.archive,
                self.findings,
                voters=self.voters,
                sharpness=self.sharpness,
                prior=self.prior,
                n_threads=n_threads,
            )

        return self.archive.prepared(("calibration of findings", self.voters, self.sharpness, self.prior), fit)
