"""The parameters of a build and of a query, and their defaults; the command line makes its flags of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._types import check_integer
from graphret.communities.modularity import OBJECTIVES, check_objective
from graphret.communities.partition import METHODS as COMMUNITY_METHODS
from graphret.graph.similarity_graph import WEIGHTS
from graphret.neighbors.graph_search_build import check_recall
from graphret.neighbors.knn import BACKENDS, METHODS
from graphret.retrieval import RankingChoice, list_rankings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["PRECISIONS", "SEARCHES", "BuildConfig", "QueryConfig"]

PRECISIONS = ("bfloat16", "float32")
SEARCHES = ("auto", "exact", "graph")

Config = TypeVar("Config", "BuildConfig", "QueryConfig")


def _parameter(default: Any, text: str, allowed: Collection[str] = ()) -> Any:
    names = f" One of {', '.join(sorted(allowed))}." if allowed else ""
    return field(default=default, metadata={"help": f"{text}{names}"})


@dataclass(frozen=True)
class BuildConfig:
    """Parameters of `build`; what each of them means is said by ``--help`` and by the field's metadata "help".

    Parameters
    ----------
    k
        Nearest neighbours of every film that may become its edges, >= 1.
    threshold
        Cosine T that an edge must reach, in [-1, 1]; "auto" takes it from the data, ``None`` keeps all.
    weights
        Weights of the edges, see `similarity_graph`.
    method, backend
        How the neighbours are found, see `nearest_neighbors`.
    communities
        Method of partition, see `partition`.
    objective, resolution
        What the partition optimises.
    search
        How queries find their nearest films: "exact" compares them with every code, "graph" follows links from film to
        film, "auto" takes graph search where that is faster.
    search_recall
        Share of a film's k nearest that graph search shall find, in (0, 1); measured when the index is built.
    seed
        Of the partition, of approximate neighbours, and of graph search.
    batch_size
        Films that go through the encoder at once.
    precision
        Of the encoder.
    n_workers
        Threads that decode films; ``None`` for all processors.
    n_threads
        Threads of the neighbour search; ``None`` for all processors. No result depends on it.
    max_memory
        Bytes that the neighbour search may take for rotated codes; ``None`` for one copy of the codes.
    shard_rows
        Films after which a killed encoding can go on.

    Raises
    ------
    InvalidParameterError
        A value that is not allowed.

    Examples
    --------
    >>> BuildConfig(k=20).threshold
    'auto'
    """

    k: int = _parameter(50, "Nearest neighbours of every film that may become its edges.")
    threshold: float | Literal["auto"] | None = _parameter(
        "auto", "Cosine that an edge must reach: a number in [-1, 1], auto (from the data) or none."
    )
    weights: str = _parameter("cosine", "Weights of the edges.", WEIGHTS)
    method: str = _parameter("auto", "Search of the neighbours; auto is exact up to 200,000 films.", METHODS)
    backend: str = _parameter("auto", "Library that searches the neighbours.", BACKENDS)
    communities: str = _parameter("louvain", "Method of the partition into communities.", COMMUNITY_METHODS)
    objective: str = _parameter("modularity", "What the partition maximises.", OBJECTIVES)
    resolution: float = _parameter(1.0, "Of the partition: larger gives more and smaller communities.")
    search: str = _parameter(
        "auto", "How queries find their nearest films; auto takes graph search where it is faster.", SEARCHES
    )
    search_recall: float = _parameter(
        0.99, "Share of the k nearest films that graph search shall find, between 0 and 1."
    )
    seed: int = _parameter(0, "Of the partition, of approximate neighbours, and of graph search.")
    batch_size: int = _parameter(32, "Films that go through the encoder at once.")
    precision: str = _parameter("float32", "Of the encoder.", PRECISIONS)
    n_workers: int | None = _parameter(None, "Threads that decode films; none for all processors.")
    n_threads: int | None = _parameter(None, "Threads of the neighbour search; none for all processors.")
    max_memory: int | None = _parameter(None, "Bytes the neighbour search may take for rotated codes; none: no limit.")
    shard_rows: int = _parameter(4096, "Films after which a killed encoding can go on.")

    def __post_init__(self) -> None:
        _settle(self, "k", 1, "every film needs at least one neighbour")
        _settle(self, "seed", 0)
        _settle(self, "batch_size", 1)
        _settle(self, "shard_rows", 1)
        for name in ("n_workers", "n_threads"):
            if getattr(self, name) is not None:
                _settle(self, name, 1, "None takes every processor")
        if self.max_memory is not None:
            _settle(self, "max_memory", 1, "None sets no limit")
        object.__setattr__(self, "threshold", _checked_threshold(self.threshold))
        for name, known in (
            ("weights", WEIGHTS),
            ("method", METHODS),
            ("backend", BACKENDS),
            ("communities", COMMUNITY_METHODS),
            ("precision", PRECISIONS),
            ("search", SEARCHES),
        ):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        check_objective(self.objective, self.resolution)
        object.__setattr__(self, "search_recall", check_recall("search_recall", self.search_recall))
        object.__setattr__(self, "resolution", float(self.resolution))
        if self.communities != "louvain" and self.objective != "modularity":
            raise InvalidParameterError(
                "objective", self.objective, "'modularity'", f"communities={self.communities!r} knows no other"
            )

    @classmethod
    def of(cls, config: BuildConfig | None, overrides: Mapping[str, Any]) -> BuildConfig:
        """Put single parameters over a config.

        Raises
        ------
        InvalidParameterError
            An override that is no parameter of a build; the message lists them.

        Examples
        --------
        >>> BuildConfig.of(BuildConfig(k=20), {"threshold": 0.5}).k
        20
        """
        return _override(config or cls(), overrides, "build parameter")

    def to_json(self) -> dict[str, Any]:
        """Return every parameter, as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class QueryConfig:
    """Parameters of `Index.query` that are plain values.

    Parameters
    ----------
    k
        Hits, >= 1.
    ranking
        The text form of a `RankingChoice`; ``None``: the default of the index.
    fill
        Complete a list that the ranking leaves short with the nearest remaining films.
    search
        "exact" compares the queries with every code, "graph" follows links where the index has them, "auto" takes graph
        search where that is faster.
    n_threads
        Threads; ``None`` for all processors. No result depends on it.

    Raises
    ------
    InvalidParameterError
        A value that is not allowed.
    """

    k: int = _parameter(10, "Hits per query.")
    ranking: str | None = _parameter(
        None,
        "How hits are found and ordered, with options as in alpha_qe:n=20,alpha=2; if not given, as the index was "
        "tuned, or nearest. NAME:default leaves out what the index was tuned to.",
        list_rankings(with_labels=True),
    )
    fill: bool = _parameter(True, "Complete a list that the ranking leaves short with the nearest remaining films.")
    search: str = _parameter(
        "auto", "How the nearest films are found; auto takes graph search where it is faster.", SEARCHES
    )
    n_threads: int | None = _parameter(None, "Threads; none for all processors.")

    def __post_init__(self) -> None:
        _settle(self, "k", 1, "ask for at least one film")
        if self.ranking is not None:
            RankingChoice.of(self.ranking)
        if self.search not in SEARCHES:
            raise UnknownNameError("search", self.search, SEARCHES)
        if not isinstance(self.fill, bool):
            raise InvalidParameterError("fill", self.fill, "True or False")
        if self.n_threads is not None:
            _settle(self, "n_threads", 1, "None takes every processor")

    @classmethod
    def of(cls, config: QueryConfig | None, overrides: Mapping[str, Any]) -> QueryConfig:
        """Put single parameters over a config; raises as `BuildConfig.of`."""
        return _override(config or cls(), overrides, "query parameter")


def _override(config: Config, overrides: Mapping[str, Any], what: str) -> Config:
    known = [entry.name for entry in fields(config)]
    for name in overrides:
        if name not in known:
            raise UnknownNameError(what, name, known)
    return replace(config, **overrides)


def _settle(config: BuildConfig | QueryConfig, name: str, minimum: int, hint: str = "") -> None:
    """Check an integer, and keep it as Python's own: the manifest is JSON."""
    object.__setattr__(config, name, check_integer(name, getattr(config, name), minimum, hint))


def _checked_threshold(threshold: Any) -> float | str | None:
    if threshold is None or (isinstance(threshold, str) and threshold == "auto"):
        return threshold
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not -1.0 <= float(threshold) <= 1.0:
        raise InvalidParameterError("threshold", threshold, "a number in [-1, 1], 'auto' or None", "it is a cosine")
    return float(threshold)
