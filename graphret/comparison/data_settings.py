"""The films of a comparison: of which data set, who asks, who is searched, in how many folds."""

from __future__ import annotations

from dataclasses import dataclass

from graphret._checks import check_integer
from graphret._errors import ExperimentError, InvalidParameterError
from graphret.data.splits import SPLITS, check_fractions
from graphret.encoders.registry.spec import MINIMUM_SIZE

__all__ = ["DataSettings", "check_count", "require"]

FOLDS_OF = ("queries", "valid")


def require(holds: bool, key: str, got: object, allowed: str) -> None:
    """Refuse a value of an experiment in the words of its file.

    Raises
    ------
    ExperimentError
        It does not hold.
    """
    if not holds:
        raise ExperimentError(f"{key} = {got!r} is not allowed: give {allowed}")


def check_count(key: str, value: object, minimum: int, hint: str = "") -> None:
    """Refuse what is no integer >= minimum, in the words of an experiment file."""
    try:
        check_integer(key, value, minimum, hint)
    except InvalidParameterError as error:
        raise ExperimentError(str(error).replace(f"{key}=", f"{key} = ", 1)) from error


@dataclass(frozen=True)
class DataSettings:
    """The films.

    Parameters
    ----------
    spec, root
        As for `read_dataset`; the command line and `compare` may give both.
    size
        Side of every encoder's input in px.
    queries
        Split of the queries.
    database
        Splits whose films are searched.
    n_queries, n_database
        At most so many queries, and films that are searched, drawn by ``seed``; 0 takes all.
    views
        Instead of the dataset spec's: ("all",) keeps every view, others keep those named.
    fractions, split_seed
        Instead of the dataset spec's, where there is no official split.
    exclude
        "patient": a query never gets a film of its own patient. "none": it does.
    near_duplicates
        CSV file with the columns file_a and file_b, relative to itself: a film that is nearly the same as a query is
        not searched.
    seed
        Draws queries and searched films.
    folds
        Divide the patients into so many parts, at least 2, and compare once for each; intervals and differences are
        over the queries of all folds. 0: once, with the splits as they are.
    fold_of
        What a part is, in turn. "queries": the films that ask, so that every film asks once; the others are searched,
        and train. "valid": the films that choose among the epochs, of those of "train" and "valid"; the same films ask
        in every fold.
    """

    spec: str = ""
    root: str = ""
    size: int = 64
    queries: str = "test"
    database: tuple[str, ...] = ("train", "valid")
    n_queries: int = 0
    n_database: int = 0
    views: tuple[str, ...] = ()
    fractions: tuple[float, ...] = ()
    split_seed: int = -1
    exclude: str = "patient"
    near_duplicates: str = ""
    seed: int = 0
    folds: int = 0
    fold_of: str = "queries"

    def __post_init__(self) -> None:
        check_count("data.size", self.size, MINIMUM_SIZE, "the encoders halve the image five times")
        for name in ("n_queries", "n_database", "seed"):
            check_count(f"data.{name}", getattr(self, name), 0)
        check_count("data.split_seed", self.split_seed, -1, "-1 leaves the seed of the dataset spec")
        for split in (self.queries, *self.database):
            require(split in SPLITS, "data.queries and data.database", split, f"one of {', '.join(SPLITS)}")
        require(bool(self.database), "data.database", self.database, "at least one split")
        require(self.queries not in self.database, "data.database", self.database, "splits without that of the queries")
        check_count("data.folds", self.folds, 0, "0 compares once")
        require(self.folds != 1, "data.folds", self.folds, "0, or 2 and more")
        require(not self.folds or self.queries == "test", "data.queries", self.queries, '"test" where there are folds')
        require(self.fold_of in FOLDS_OF, "data.fold_of", self.fold_of, " or ".join(FOLDS_OF))
        require(self.exclude in {"patient", "none"}, "data.exclude", self.exclude, '"patient" or "none"')
        if self.fractions:
            check_fractions(self.fractions)
