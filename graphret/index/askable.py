"""What may be asked of an index, or of several that are asked as one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from graphret._checks import check_number
from graphret.data.isolated import SECONDS
from graphret.index.asking import Asking
from graphret.index.config import QueryConfig
from graphret.index.examples import NEGATIVE_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphret._errors import GraphretError
    from graphret.index.hits import Hits
    from graphret.index.opened import OpenedIndex
    from graphret.retrieval import RankingChoice

__all__ = ["Askable"]


class Askable(ABC):
    """Queries to what is opened; a class that is asked says what that is."""

    @property
    @abstractmethod
    def _parts(self) -> OpenedIndex:
        """What is opened."""

    def _answered(self, hits: Hits) -> Hits:
        """Say what an answer is here, where it is not that of one archive."""
        return hits

    def choose(
        self, ranking: str | RankingChoice | None = None, options: Mapping[str, Any] | None = None
    ) -> RankingChoice:
        """Say what a ranking is for this index: the options and the metric that `query` would rank with.

        Parameters
        ----------
        ranking, options
            As for `query`.

        Raises
        ------
        InvalidParameterError
            An unknown ranking or option, a value that is not allowed, or "tuned" for an index that is not.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from graphret.index import build
        >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index = build(codes, out=folder, k=5)
        ...     index.record_tuning({"ranking": "alpha_qe", "options": {"n": 3}})
        ...     str(index.choose()), str(index.choose("alpha_qe:default"))
        ('alpha_qe:n=3', 'alpha_qe:default')
        """
        return self._parts.rankings.choose(ranking, options)

    def query(
        self,
        what: Any,
        k: int = 10,
        *,
        ranking: str | RankingChoice | None = None,
        where: Mapping[str, Any] | None = None,
        exclude: str | Mapping[str, Any] | None = None,
        patients: Any = None,
        fill: bool = True,
        search: str = "auto",
        device: str | None = None,
        n_threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        group_by: str | None = None,
        on_problem: Callable[[str, GraphretError], None] | None = None,
        alarm_level: float = 0.01,
        isolate: bool = False,
        decode_seconds: float = SECONDS,
    ) -> Hits:
        """Find the films that are most similar to one query or many.

        Parameters
        ----------
        what
            An id of the index (it wins over a file of the same name), the path of a film, a film in memory (PIL image;
            or uint8, uint16 or floats in [0, 1], (h, w) or (h, w, 3), larger = brighter), a code (d,), codes (q, d), or
            a list of ids, paths, films, codes. Floats (h, w) whose rows are as long as the codes are a batch of codes;
            ``[film]`` is always a film.
        k
            Hits per query.
        ranking
            A name of `list_rankings`, perhaps with options, as "alpha_qe:n=20,alpha=2", or a `RankingChoice`. A name
            alone: with the options and the metric that the index was tuned to, if it was tuned to this ranking,
            otherwise with the ranking's defaults. "NAME:default": the defaults in any case. ``None`` or "tuned": what
            the index was tuned to; ``None`` is "nearest" where it was not.
        where
            Column -> value or list of values: only films that have one of them, in every column named. Or column ->
            comparisons, as ``{"age": {">=": 60, "<": 80}}``, of "=", "!=", "<", "<=", ">", ">=". "label" stands for the
            labels: ``{"label": "Edema"}`` keeps films in which it is positive. See `conditions.films_that_pass`.
        exclude
            ``"patient"``: no film of the query's own patient. Or column -> what must not come: a single value or
            a set holds for all queries; a list holds, for a lone query, its values, and for a batch one entry for each
            query (a value, a list of values, or None).
        patients
            For ``exclude="patient"``: the patient of each query that is no film of the archive (None for one that is).
        fill
            Complete a list that the ranking leaves short with the nearest remaining films.
        search
            "exact": compare the queries with every code. "graph": follow links from film to film, if the index has
            them. "auto": graph search where that is faster; ``manifest["search"]`` says with what recall.
        device
            "cuda", "cpu", or "auto" (a CUDA device where there is one): compare the queries with every code by torch
            there, which pays for many of them at once. The hits are those of ``search="exact"`` to the bit. Unit codes
            stay on the device until the index is closed, where they fit. ``None``: as ``search`` says, without torch.
        n_threads
            Threads; ``None`` for all processors. Hits do not depend on it.
        options
            Options of the ranking as a mapping, in the place of those in ``ranking``; ``{}``: its defaults.
        group_by
            A column, as "patient": at most one film of each of its values, the one that stands first in the whole list
            of the ranking. A film without a value stands for itself.
        on_problem
            Called with the name of a film that cannot be decoded and the reason; it is then left out of the hits
            (``Hits.queries`` has those that remain). ``None``: such a film ends the call.
        alarm_level
            For ``Hits.nothing_similar``: the share of ordinary queries that it may be true for, between 0 and 1.
        isolate
            Decode query films in processes of their own: one that makes a decoder hang, crash or eat memory is a film
            that cannot be decoded. For films of unknown origin; a process takes a second to start. Films in memory are
            decoded already. The pictures that a notebook shows of the query are decoded the same way.
        decode_seconds
            Time for one film, > 0, with ``isolate``.

        Returns
        -------
        Hits
            One list a query, best first; ties by the ranking's own rule, then the smaller position. A query by id never
            gets itself.

        Raises
        ------
        InvalidParameterError
            k < 1, an unknown ranking, option, column or value, or a query that is none of the above.
        MissingFileError
            Neither an id of the index nor a file.
        CodesError
            A code of another length, with NaN, or all zeros.
        FilmError
            A film cannot be decoded.
        DataError
            With ``on_problem``: no query is left.
        DeviceError, MissingDependencyError
            The device is not there, fails, or torch is not there.

        Notes
        -----
        O(n d) where a query meets every code; graph search grows about as log n. Then what the ranking takes.
        """
        config = QueryConfig(
            k=k,
            fill=fill,
            search=search,
            device=device,
            n_threads=n_threads,
            alarm_level=alarm_level,
            isolate=isolate,
            decode_seconds=decode_seconds,
        )
        asking = Asking(self._parts, config, ranking, options, where, exclude, group_by)
        return self._answered(asking.ask(what, patients, on_problem))

    def query_examples(
        self,
        positives: Any,
        negatives: Any = None,
        k: int = 10,
        *,
        negative_weight: float = NEGATIVE_WEIGHT,
        ranking: str | RankingChoice | None = None,
        where: Mapping[str, Any] | None = None,
        exclude: str | Mapping[str, Any] | None = None,
        patients: Any = None,
        fill: bool = True,
        search: str = "auto",
        device: str | None = None,
        n_threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        alarm_level: float = 0.01,
        group_by: str | None = None,
        isolate: bool = False,
        decode_seconds: float = SECONDS,
    ) -> Hits:
        """Find the films that are like several examples together, and unlike others.

        The examples become one code: the mean of the positive ones less ``negative_weight`` times the mean of the
        negative ones, codes of length 1 (Rocchio 1971). Any ranking answers it as it answers a code.

        Parameters
        ----------
        positives, negatives
            Ids, paths, films and codes, as ``what`` of `query`; at least one positive.
        k
            Hits.
        negative_weight
            >= 0; 0 leaves the negative examples out of the hits, and has no other effect.
        exclude, patients
            ``"patient"``: no film of the patient of any example; ``patients`` names those of examples that are no film
            of the archive, positives first, then negatives (None for those of the archive).
        ranking, where, fill, search, device, n_threads, options, alarm_level, group_by, isolate, decode_seconds
            As for `query`.

        Returns
        -------
        Hits
            One list. The examples are not in it, nor films of the archive with the code of an example. Similarities are
            cosines to the combined code; the p-value is the largest of those of the positive examples.

        Raises
        ------
        InvalidParameterError, MissingFileError, CodesError, FilmError
            As `query`; also no positive example, an example that is both, or examples that cancel each other out.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from graphret.index import build
        >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     hits = build(codes, out=folder, k=5).query_examples(["3", "7"], ["12"], k=2)
        ...     hits.queries, hits.ids.shape
        (['like 3, 7; unlike 12'], (1, 2))
        """
        weight = check_number("negative_weight", negative_weight, at_least=0)
        config = QueryConfig(
            k=k,
            fill=fill,
            search=search,
            device=device,
            n_threads=n_threads,
            alarm_level=alarm_level,
            isolate=isolate,
            decode_seconds=decode_seconds,
        )
        asking = Asking(self._parts, config, ranking, options, where, exclude, group_by)
        return self._answered(asking.ask_by_examples(positives, negatives, weight, patients))
