"""A ranking with options, as a caller names it: in Python, on the command line, in an experiment, in a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.retrieval.registry import RANKINGS, create_ranking, option_types, ranking_options, uses_labels

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from graphret.retrieval.learned_metric import LearnedMetric
    from graphret.retrieval.protocol import Archive, Ranker

__all__ = ["DEFAULT", "TUNED", "RankingChoice", "parse_rankings", "read_option"]

TUNED = "tuned"
"""The name of whatever ranking an index was tuned to."""
DEFAULT = "default"
"""In the place of options: those that the ranking has by itself, whatever the index was tuned to."""
_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a word"}
_FORM = "NAME, NAME:OPTION=VALUE,... or NAME:default"


@dataclass(frozen=True)
class RankingChoice:
    """A ranking with options; its text form is ``NAME:OPTION=VALUE,...``, which `parse` reads and ``str`` writes.

    Parameters
    ----------
    name
        One of `list_rankings`, or "tuned": whatever the index was tuned to.
    options
        Options that differ from the ranking's defaults. ``None``: as the index was tuned to this ranking, and the
        defaults where it was not. ``{}``: the defaults in any case; the text form says ``NAME:default``.
    metric
        For a ranking with ``learned=True``: the metric. ``None``: that of the index. It has no text form.

    Raises
    ------
    UnknownNameError
        Unknown ranking or option; the message lists those there are.
    InvalidParameterError
        An option of another type, or options where none are allowed.

    Examples
    --------
    >>> choice = RankingChoice.parse("alpha_qe:alpha=2,n=20")
    >>> choice.options, str(choice)
    ({'n': 20, 'alpha': 2.0}, 'alpha_qe:n=20,alpha=2')
    >>> str(RankingChoice("alpha_qe")), str(RankingChoice("alpha_qe", {}))
    ('alpha_qe', 'alpha_qe:default')
    """

    name: str
    options: Mapping[str, Any] | None = None
    metric: LearnedMetric | None = None

    def __post_init__(self) -> None:
        if self.name != TUNED and self.name not in RANKINGS:
            raise UnknownNameError("ranking", self.name, [*RANKINGS, TUNED])
        if self.options is None:
            return
        if not isinstance(self.options, Mapping):
            raise InvalidParameterError("options", self.options, 'a mapping, as {"alpha": 2.0}')
        if self.name == TUNED:
            allowed = "it without options, or the ranking by its name"
            raise InvalidParameterError("ranking", TUNED, allowed, "`graphret info` shows what an index was tuned to")
        types = option_types(self.name)
        for option in self.options:
            if not types:
                raise InvalidParameterError("options", option, f"none: the ranking {self.name!r} has no options")
            if option not in types:
                raise UnknownNameError(f"option of the ranking {self.name!r}", option, types)
        checked = {
            option: _typed(f"{self.name}:{option}", self.options[option], kinds)
            for option, kinds in types.items()
            if option in self.options
        }
        object.__setattr__(self, "options", checked)

    @classmethod
    def parse(cls, text: str) -> RankingChoice:
        """Read the text form.

        Raises
        ------
        UnknownNameError, InvalidParameterError
            As the class; also for a text of another form.
        """
        name, colon, rest = (part.strip() for part in text.partition(":"))
        if not colon:
            return cls(name)
        if rest == DEFAULT:
            return cls(name, {})
        given: dict[str, Any] = {}
        for entry in rest.split(","):
            option, equals, value = (part.strip() for part in entry.partition("="))
            if not equals or not option or not value or option in given:
                raise InvalidParameterError("ranking", text, _FORM, "each option once")
            given[option] = read_option(value)
        return cls(name, given)

    @classmethod
    def of(cls, ranking: str | RankingChoice, options: Mapping[str, Any] | None = None) -> RankingChoice:
        """Take a choice as it is, or a text with its options apart.

        Raises
        ------
        UnknownNameError, InvalidParameterError
            As the class; also for options that are given twice.
        """
        if not isinstance(ranking, str | RankingChoice):
            raise InvalidParameterError("ranking", ranking, f"a text {_FORM}, or a RankingChoice")
        choice = cls.parse(ranking) if isinstance(ranking, str) else ranking
        if options is None:
            return choice
        if choice.options is not None:
            raise InvalidParameterError("options", dict(options), f"None with ranking={str(choice)!r}, which has some")
        return cls(choice.name, options, choice.metric)

    def __str__(self) -> str:
        if self.options is None:
            return self.name
        written = ",".join(f"{option}={_written(value)}" for option, value in self.options.items())
        return f"{self.name}:{written or DEFAULT}"

    @property
    def all_options(self) -> dict[str, Any]:
        """Every option of the ranking, with its default where none was chosen; none for "tuned"."""
        return {} if self.name == TUNED else {**ranking_options(self.name), **(self.options or {})}

    @property
    def key(self) -> Hashable:
        """Equal for choices that rank alike, however they were written."""
        return self.name, *((option, value) for option, value in self.all_options.items()), id(self.metric)

    def __hash__(self) -> int:
        return hash((self.name, str(self)))

    @property
    def learns(self) -> bool:
        """Whether films are compared in a metric that was learned from labels when the index was tuned."""
        return bool(self.all_options.get("learned", False))

    @property
    def uses_labels(self) -> bool:
        """Whether the ranking reads the labels of the archive's films at query time; "tuned" never does."""
        return self.name != TUNED and uses_labels(self.name)

    def to_dict(self) -> dict[str, Any]:
        """Return what the ranking is as JSON values: ``ranking``, all ``options``, ``learned_metric``."""
        return {"ranking": self.name, "options": self.all_options, "learned_metric": self.learns}

    def ranker(self, archive: Archive) -> Ranker:
        """Make the ranking of an archive, with the metric of this choice if it has one; see `create_ranking`."""
        if self.metric is not None and archive.metric is not self.metric:
            archive = archive.with_metric(self.metric)
        return create_ranking(self.name, archive, **(self.options or {}))


def parse_rankings(text: str) -> list[RankingChoice]:
    """Read several choices with commas between them.

    An entry ``OPTION=VALUE`` belongs to the ranking before it.

    Examples
    --------
    >>> [str(choice) for choice in parse_rankings("nearest,alpha_qe:n=20,alpha=2,tuned")]
    ['nearest', 'alpha_qe:n=20,alpha=2', 'tuned']
    """
    texts: list[str] = []
    for entry in (part.strip() for part in text.split(",")):
        if texts and "=" in entry and ":" not in entry and ":" in texts[-1]:
            texts[-1] += f",{entry}"
        elif entry:
            texts.append(entry)
    return [RankingChoice.parse(entry) for entry in texts]


def read_option(text: str) -> Any:
    """Read the value of an option: none, true, false, a number, or a word.

    Examples
    --------
    >>> [read_option(word) for word in ("none", "true", "3", "0.5", "community")]
    [None, True, 3, 0.5, 'community']
    """
    words: dict[str, Any] = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _typed(name: str, value: Any, kinds: Iterable[type]) -> Any:
    """Return a value as the type that the ranking's own signature states; its range is checked by the ranking."""
    plain = value.item() if isinstance(value, np.generic) else value
    for kind in kinds:
        if kind is float and type(plain) is int:
            return float(plain)
        if type(plain) is kind:
            return plain
    allowed = [_WORDS.get(kind, "none") for kind in kinds]
    raise InvalidParameterError(name, value, " or ".join(allowed))


def _written(value: Any) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else str(value).lower()
