"""The parameters of a build and of a query, and their defaults; the command line makes its flags of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from graphret._checks import check_flag, check_integer, check_number
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.communities.louvain import N_STARTS
from graphret.communities.modularity import OBJECTIVES, check_objective
from graphret.communities.partition import METHODS as COMMUNITY_METHODS
from graphret.data.decoding.limits import MAX_AT_ONCE, MAX_MEMORY, MAX_PIXELS, FilmLimits
from graphret.data.isolated import DECODERS, SECONDS, Decoding
from graphret.graph.similarity_graph import WEIGHTS, check_threshold
from graphret.neighbors.backends import BACKENDS
from graphret.neighbors.device_search import SEARCH_DEVICES
from graphret.neighbors.graph_search_build import check_recall
from graphret.neighbors.knn import METHODS
from graphret.retrieval import RankingChoice
from graphret.retrieval.registry import OWN_RANKINGS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["PRECISIONS", "SEARCHES", "BuildConfig", "QueryConfig"]

PRECISIONS = ("bfloat16", "float32")
SEARCHES = ("auto", "exact", "graph")

Config = TypeVar("Config", "BuildConfig", "QueryConfig")


def _one_of(default: Any, allowed: Collection[str]) -> Any:
    return field(default=default, metadata={"allowed": tuple(sorted(allowed))})


@dataclass(frozen=True)
class BuildConfig:
    """Parameters of `build`; the command line shows these words and defaults.

    Parameters
    ----------
    k
        Nearest neighbours of every film that may become its edges, >= 1.
    threshold
        Cosine that an edge must reach, in [-1, 1]; "auto" takes it from the data, ``None`` keeps every edge.
    edge_weights
        Weights of the edges: the cosine, or 1 for every edge.
    method
        How neighbours are found: "exact" proves them, "approximate" finds a measured share of at least 0.99, "auto" is
        exact up to 50,000 films and beyond them approximate with a share of at least 0.999.
    backend
        What finds the neighbours: "torch" or "cuvs" (CUDA devices), or "faiss"; "auto" takes a GPU for many films, else
        the processor.
    communities
        Method of the partition into communities; "igraph" and "leiden" need the extra "compare".
    objective
        What the partition maximises.
    resolution
        Of the partition: a larger value gives more and smaller communities.
    n_starts
        Starts of "louvain", >= 1; the best partition is kept, and the record says what each start reached. The other
        methods start once.
    search
        How queries find their nearest films: "exact" compares them with every code, "graph" follows links from film to
        film, "auto" takes graph search where that is faster.
    search_recall
        Share of the k nearest films that graph search shall find, in (0, 1); measured when the index is built.
    seed
        Of the partition, of approximate neighbours, and of graph search.
    batch_size
        Films that go through the encoder at once; ``None``: 32 on a processor, up to 256 on a GPU, as memory allows.
    precision
        Of the encoder.
    n_workers
        Threads or processes that decode films; ``None``: all processors.
    decoders
        What decodes films: "threads", or "processes", which also resize and are faster where a GPU waits for films;
        "auto" takes processes beside a GPU, for at least 4 workers and 2,048 films. Codes are the same.
    n_threads
        Threads of the neighbour search and of the partition, and workers of a Ray that is started for the build;
        ``None``: all processors. No result depends on it.
    max_memory
        Bytes that the stages behind the codes may hold at one time, codes in files not counted: blocks of the
        neighbour search then lie on disk, and go on after a kill one by one; ``None`` sets no limit. The index is the
        same.
    shard_rows
        Films after which a killed encoding can go on.
    isolate
        Decode films in processes of their own, which end when a film takes too much memory or time: for films of
        unknown origin.
    film_pixels
        Largest width times height of a film; a larger one is left out.
    film_memory
        Bytes that one film may take to be decoded; one that needs more is left out.
    decode_memory
        Bytes for all films that are decoded at one time; threads wait for room.
    decode_seconds
        Time for one film, with isolate or in processes; one that takes longer is left out.

    Raises
    ------
    InvalidParameterError
        A value that is not allowed.

    Examples
    --------
    >>> BuildConfig(k=20).threshold
    'auto'
    """

    k: int = 50
    threshold: float | Literal["auto"] | None = "auto"
    edge_weights: str = _one_of("cosine", WEIGHTS)
    method: str = _one_of("auto", METHODS)
    backend: str = _one_of("auto", BACKENDS)
    communities: str = _one_of("louvain", COMMUNITY_METHODS)
    objective: str = _one_of("modularity", OBJECTIVES)
    resolution: float = 1.0
    n_starts: int = N_STARTS
    search: str = _one_of("auto", SEARCHES)
    search_recall: float = 0.99
    seed: int = 0
    batch_size: int | None = None
    precision: str = _one_of("float32", PRECISIONS)
    n_workers: int | None = None
    decoders: str = _one_of("auto", DECODERS)
    n_threads: int | None = None
    max_memory: int | None = None
    shard_rows: int = 4096
    isolate: bool = False
    film_pixels: int = MAX_PIXELS
    film_memory: int = MAX_MEMORY
    decode_memory: int = MAX_AT_ONCE
    decode_seconds: float = SECONDS

    def __post_init__(self) -> None:
        _settle(self, "k", 1, "every film needs at least one neighbour")
        _settle(self, "seed", 0)
        _settle(self, "n_starts", 1)
        if self.batch_size is not None:
            _settle(self, "batch_size", 1, "None chooses it for the device")
        for name in ("shard_rows", "film_pixels", "film_memory", "decode_memory"):
            _settle(self, name, 1)
        check_flag("isolate", self.isolate)
        object.__setattr__(self, "decode_seconds", check_number("decode_seconds", self.decode_seconds, above=0))
        for name in ("n_workers", "n_threads"):
            if getattr(self, name) is not None:
                _settle(self, name, 1, "None takes every processor")
        if self.max_memory is not None:
            _settle(self, "max_memory", 1, "None sets no limit")
        object.__setattr__(self, "threshold", check_threshold(self.threshold))
        for name, known in (
            ("edge_weights", WEIGHTS),
            ("method", METHODS),
            ("backend", BACKENDS),
            ("communities", COMMUNITY_METHODS),
            ("precision", PRECISIONS),
            ("decoders", DECODERS),
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

    @property
    def decoding(self) -> Decoding:
        """How films are decoded."""
        limits = FilmLimits(pixels=self.film_pixels, memory=self.film_memory, at_once=self.decode_memory)
        return Decoding(self.isolate, limits, self.decode_seconds, self.decoders)

    def to_json(self) -> dict[str, Any]:
        """Return every parameter, as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class QueryConfig:
    """Parameters of `Index.query` that are plain values; the command line shows these words and defaults.

    Parameters
    ----------
    k
        Hits per query, >= 1.
    ranking
        How hits are found and ordered, with options as in "alpha_qe:n=20,alpha=2"; ``None``: as the index was tuned, or
        else "nearest". "NAME:default" leaves out what the index was tuned to.
    fill
        Complete a list that the ranking leaves short with the nearest remaining films.
    search
        How the nearest films are found: "exact" compares the query with every code, "graph" follows links where the
        index has them, "auto" takes graph search where that is faster.
    device
        Compare queries with every code by torch on this device, as "exact" does and with its hits to the bit: "cuda",
        for batches of many queries, "cpu", or "auto", which is a CUDA device where there is one; ``None``: as search
        says, without torch.
    n_threads
        Threads; ``None``: all processors. No result depends on it.
    alarm_level
        Share of ordinary queries that may be said to have nothing similar in the archive, between 0 and 1.
    isolate
        Decode query films in processes of their own, which end when a film takes too much memory or time: for films of
        unknown origin.
    decode_seconds
        Time for one query film, with isolate; one that takes longer cannot be asked for.

    Raises
    ------
    InvalidParameterError
        A value that is not allowed.
    """

    k: int = 10
    ranking: str | None = _one_of(None, OWN_RANKINGS)
    fill: bool = True
    search: str = _one_of("auto", SEARCHES)
    device: str | None = _one_of(None, SEARCH_DEVICES)
    n_threads: int | None = None
    alarm_level: float = 0.01
    isolate: bool = False
    decode_seconds: float = SECONDS

    def __post_init__(self) -> None:
        _settle(self, "k", 1, "ask for at least one film")
        if self.ranking is not None:
            RankingChoice.of(self.ranking)
        if self.search not in SEARCHES:
            raise UnknownNameError("search", self.search, SEARCHES)
        if self.device is not None and self.search == "graph":
            hint = "a device compares queries with every code"
            raise InvalidParameterError("device", self.device, "None with search='graph'", hint)
        if self.device is not None and self.device not in SEARCH_DEVICES:
            raise UnknownNameError("device", self.device, SEARCH_DEVICES, "or None")
        check_flag("fill", self.fill)
        if self.n_threads is not None:
            _settle(self, "n_threads", 1, "None takes every processor")
        object.__setattr__(self, "alarm_level", check_number("alarm_level", self.alarm_level, above=0, below=1))
        check_flag("isolate", self.isolate)
        object.__setattr__(self, "decode_seconds", check_number("decode_seconds", self.decode_seconds, above=0))

    @property
    def decoding(self) -> Decoding:
        """How query films are decoded."""
        return Decoding(self.isolate, seconds=self.decode_seconds)

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
