"""What an experiment asks of its figures: orders of papers, questions stated beforehand, and when an answer is sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphret._checks import check_number
from graphret._errors import ExperimentError
from graphret.comparison.compare_ranking import CompareRanking
from graphret.comparison.data_settings import check_count, require
from graphret.evaluation.measures import parse_measure

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ADJUSTMENTS",
    "ALL_ORDERS",
    "IntervalSettings",
    "OrderSettings",
    "QuestionSettings",
    "names_a_row",
]

ADJUSTMENTS = ("holm", "fdr")
ALL_ORDERS = "all"


def names_a_row(name: str, labels: Iterable[str]) -> bool:
    """Whether a name is the label of a method, or may be that of one of its rows.

    Examples
    --------
    >>> names_a_row("itq, 64 bits, hamming", ["itq"]), names_a_row("itq on gem", ["itq"])
    (True, False)
    """
    return any(f"{name}, ".startswith(f"{label}, ") for label in labels)


@dataclass(frozen=True)
class OrderSettings:
    """An order that a paper found among methods, for the report to test.

    Parameters
    ----------
    title
        What it is about, and where it was published.
    methods
        Labels of methods or names of rows, the best of the paper first.
    ranking
        By which methods are compared; the first of each when empty.
    """

    title: str
    methods: tuple[str, ...]
    ranking: str = ""

    def __post_init__(self) -> None:
        distinct = len(set(self.methods)) == len(self.methods) > 1
        require(distinct, "orders.methods", self.methods, "two names or more, each once, the best of the paper first")


@dataclass(frozen=True)
class QuestionSettings:
    """A question that is stated before there are figures; its answer is yes, no, or not told apart.

    Either ``ranking`` and ``against`` are given, or ``order``.

    Parameters
    ----------
    title
        The question, in words.
    ranking
        Of the first side: every method that has it, and what it is compared with, is a pair.
    against
        Ranking of the same codes of the same method; or a row, or the label of a method: then the one rival of all
        pairs.
    methods
        Labels of the methods that are asked; all with both sides but random and untrained ones when empty.
    measure
        The first of the experiment's when empty.
    at_least
        The answer turns on the difference being above this; below 0, a loss of that size is still a yes.
    equal_bytes
        The rival is the longest code of the same method by ``against`` that takes no more bytes a film than the first
        side, and at least half as many. A method without one is no pair.
    order
        Title of one of ``[[orders]]``, or "all" for one question of each: does the paper's order hold?
    """

    title: str
    ranking: str = ""
    against: str = ""
    methods: tuple[str, ...] = ()
    measure: str = ""
    at_least: float = 0.0
    equal_bytes: bool = False
    order: str = ""

    def __post_init__(self) -> None:
        require(bool(self.title.strip()), "questions.title", self.title, "the question in words")
        sides = bool(self.ranking), bool(self.against)
        either = sides == (True, True) if not self.order else sides == (False, False)
        require(either, "questions.ranking", self.ranking, "ranking and against; or order alone")
        require(not (self.order and (self.methods or self.at_least or self.equal_bytes)), "questions.order", self.order,
                "it without methods, at_least and equal_bytes")  # fmt: skip
        if self.ranking:
            _check_ranking("questions.ranking", self.ranking)
        if self.measure:
            parse_measure(self.measure)
        require(
            -1 <= self.at_least <= 1, "questions.at_least", self.at_least, "a difference of the measure, in [-1, 1]"
        )

    def check_against(self, labels: list[str], orders: list[str], measures: tuple[str, ...]) -> None:
        """Refuse names that the experiment does not have.

        Raises
        ------
        ExperimentError
            A method, an order or a measure of another name.
        """
        for name in self.methods:
            require(name in labels, "questions.methods", name, f"labels of methods: {', '.join(labels)}")
        if self.order and self.order != ALL_ORDERS:
            allowed = f'"{ALL_ORDERS}", or the title of one of [[orders]]: {"; ".join(orders) or "there is none"}'
            require(self.order in orders, "questions.order", self.order, allowed)
        if self.measure:
            require(self.measure in measures, "questions.measure", self.measure, f"one of {', '.join(measures)}")
        if self.against and not names_a_row(self.against, labels):
            _check_ranking("questions.against", self.against)


@dataclass(frozen=True)
class IntervalSettings:
    """Bootstrap by patient, and how p-values of many differences are adjusted.

    Parameters
    ----------
    n_resamples, seed
        Of the intervals. The p-values of rows are computed, not drawn (`sign_flip_p_value`); a pooled answer takes more
        resamples by itself where its number of questions needs them.
    adjust
        "holm": the chance of even one false finding among all of a column stays below p. "fdr": of what is found, the
        expected share that is false stays below p (Benjamini and Hochberg 1995).
    level
        A finding is one whose adjusted p is at most this.
    """

    n_resamples: int = 2000
    seed: int = 0
    adjust: str = "holm"
    level: float = 0.05

    def __post_init__(self) -> None:
        check_count("intervals.n_resamples", self.n_resamples, 1)
        check_count("intervals.seed", self.seed, 0)
        require(self.adjust in ADJUSTMENTS, "intervals.adjust", self.adjust, f"one of {', '.join(ADJUSTMENTS)}")
        check_number("intervals.level", self.level, above=0, below=1)


def _check_ranking(key: str, name: str) -> None:
    try:
        CompareRanking.parse(name)
    except ExperimentError as error:
        raise ExperimentError(f"{key} = {name!r} cannot be read: {error}") from error
