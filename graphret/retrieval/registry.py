"""The rankings by name."""

from __future__ import annotations

import inspect
import types
from functools import cache
from typing import TYPE_CHECKING, Any

from graphret._plugins import PluginRegistry
from graphret._registry import check_options
from graphret.retrieval.contextual import Contextual
from graphret.retrieval.diffusion import Diffusion
from graphret.retrieval.expansion import AlphaQueryExpansion
from graphret.retrieval.hamming import Hamming
from graphret.retrieval.label_aware import LabelAware
from graphret.retrieval.nearest import Nearest
from graphret.retrieval.region_growing import RegionGrowing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphret.retrieval.protocol import Archive, Ranker

__all__ = [
    "DEFAULT_RANKING",
    "OWN_RANKINGS",
    "RANKINGS",
    "create_ranking",
    "list_rankings",
    "option_types",
    "ranking_options",
    "uses_labels",
]

DEFAULT_RANKING = "nearest"
"""The ranking of a query that names none."""

_CLASSES = (AlphaQueryExpansion, Contextual, Diffusion, Hamming, LabelAware, Nearest, RegionGrowing)


def _problem(name: str, ranking: Any) -> str:
    if not callable(ranking) or not callable(getattr(ranking, "rank", None)):
        return "is no ranking: give a class with a method rank(queries, k)"
    if getattr(ranking, "name", None) != name:
        return f"calls itself {getattr(ranking, 'name', None)!r}: the class needs name = {name!r}"
    options = [entry for entry in inspect.signature(ranking).parameters.values() if entry.kind is entry.KEYWORD_ONLY]
    for option in options:
        if not set(_words(option.annotation)) <= set(_TYPES):
            return f"has an option {option.name!r} annotated with {option.annotation!r}: give {', '.join(_TYPES)}"
    return ""


def _words(annotation: Any) -> list[str]:
    """Names of the types of an annotation, which is a text in modules that say so, and a type in others."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return text.split(" | ")


OWN_RANKINGS = tuple(sorted(ranking.name for ranking in _CLASSES))
"""Those of graphret: known without a look at other packages, which may import graphret themselves."""

_TYPES = {"int": int, "float": float, "str": str, "bool": bool, "None": types.NoneType}
"""What an option of a ranking may be annotated with."""

RANKINGS: PluginRegistry[Callable[..., Ranker]] = PluginRegistry(
    "ranking", {ranking.name: ranking for ranking in _CLASSES}, "graphret.rankings", _problem
)


def list_rankings(*, with_labels: bool = False) -> list[str]:
    """Names of the registered rankings, sorted.

    Parameters
    ----------
    with_labels
        Name those as well that read the labels of the archive's films at query time (`uses_labels`). They answer only
        where there are labels, and their figures do not stand beside those of the others.

    Examples
    --------
    >>> list_rankings()
    ['alpha_qe', 'contextual', 'diffusion', 'hamming', 'nearest', 'region_growing']
    >>> set(list_rankings(with_labels=True)) - set(list_rankings())
    {'label_aware'}
    """
    return [name for name, ranking in RANKINGS.items() if with_labels or not getattr(ranking, "uses_labels", False)]


def ranking_options(name: str) -> dict[str, Any]:
    """Options of a ranking with their defaults; raises as `create_ranking`.

    Examples
    --------
    >>> ranking_options("alpha_qe")
    {'n': 10, 'alpha': 3.0}
    """
    return {entry.name: entry.default for entry in _parameters(name).values() if entry.kind is entry.KEYWORD_ONLY}


def option_types(name: str) -> dict[str, tuple[type, ...]]:
    """Types that the options of a ranking may have, as its constructor is annotated; raises as `create_ranking`.

    Examples
    --------
    >>> option_types("region_growing")
    {'edges': (<class 'int'>, <class 'NoneType'>)}
    """
    annotations = {entry: _parameters(name)[entry].annotation for entry in ranking_options(name)}
    return {option: tuple(_TYPES[word] for word in _words(annotation)) for option, annotation in annotations.items()}


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    return _signature(RANKINGS[name]).parameters


@cache
def _signature(ranking: Callable[..., Ranker]) -> inspect.Signature:
    """Read once: a query asks for it several times, and reading it takes a tenth of a millisecond."""
    return inspect.signature(ranking)


def uses_labels(name: str) -> bool:
    """Whether a ranking reads the archive's labels at query time (reported apart); raises as `create_ranking`.

    Examples
    --------
    >>> uses_labels("label_aware"), uses_labels("nearest")
    (True, False)
    """
    return bool(getattr(RANKINGS[name], "uses_labels", False))


def create_ranking(name: str, archive: Archive, **options: Any) -> Ranker:
    """Make a ranking of an archive.

    Parameters
    ----------
    name
        One of `list_rankings`.
    archive
        The films.
    **options
        Options of the ranking; `ranking_options` has their defaults.

    Raises
    ------
    UnknownNameError
        Unknown ranking or option; the message lists those there are.
    InvalidParameterError
        An option has a value that is not allowed, or the ranking has no options.

    Examples
    --------
    >>> from graphret.retrieval import Archive
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> create_ranking("diffusion", archive, alpha=0.5).name
    'diffusion'
    """
    check_options(f"ranking {name!r}", options, ranking_options(name))
    return RANKINGS[name](archive, **options)
