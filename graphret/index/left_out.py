"""Films that an index is built or grown without are named in the log, with the reason."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphret.data import FilmProblem

__all__ = ["say_left_out"]

logger = logging.getLogger(__name__)

_NAMED = 10


def say_left_out(problems: Iterable[FilmProblem]) -> None:
    """Warn of the first 10 films, each with its reason, and say how many more there are; files of no film are not said.

    Examples
    --------
    >>> say_left_out([])
    """
    films = [problem for problem in problems if problem.is_film]
    for problem in films[:_NAMED]:
        logger.warning("left out %s: %s", problem.id, problem.reason)
    n_more = sum(problem.n_files for problem in films[_NAMED:])
    if n_more:
        logger.warning("left out %d more films: the problems of the index name them", n_more)
