"""The rankings of an experiment: a choice of ranking, and whether real values or bits are ranked."""

from __future__ import annotations

from dataclasses import dataclass

from graphret._errors import ExperimentError, GraphretError
from graphret.retrieval import TUNED, RankingChoice

__all__ = ["BITS", "CompareRanking"]

BITS = "bits"
"""In a text form: +1 and -1 for the bits are ranked in the place of the values."""


@dataclass(frozen=True)
class CompareRanking:
    """One ranking of an experiment; "tuned" is chosen anew for every method, on the films that are searched.

    Parameters
    ----------
    choice
        Ranking and options.
    form
        "bits": the same ranking with +1 and -1 for the bits. "": the values as they are.
    """

    choice: RankingChoice
    form: str = ""

    @classmethod
    def parse(cls, text: str) -> CompareRanking:
        """Read the text form of a `RankingChoice`, with the word "bits" among its options where bits are ranked.

        Raises
        ------
        ExperimentError
            No such ranking, option or value; the message says what is allowed.

        Examples
        --------
        >>> asked = CompareRanking.parse("contextual:bits,n=20")
        >>> str(asked.choice), asked.form
        ('contextual:n=20', 'bits')
        """
        name, _, rest = text.partition(":")
        options = [entry.strip() for entry in rest.split(",")] if rest else []
        form = BITS if BITS in options else ""
        kept = ",".join(entry for entry in options if entry != BITS)
        try:
            choice = RankingChoice.parse(f"{name}:{kept}" if kept or text.endswith(":") else name)
        except GraphretError as error:
            raise ExperimentError(f"{error}; {BITS!r} may stand among the options") from error
        if form and name == "hamming":
            raise ExperimentError(f"ranking {text!r}: give {text.replace(BITS, '').strip(':,')!r}, which ranks by bits")
        if choice.name == "hamming" and "center" not in (choice.options or {}):
            choice = RankingChoice("hamming", {**(choice.options or {}), "center": "zero"})  # the method's own bits
        return cls(choice, form)

    @property
    def is_tuned(self) -> bool:
        """Whether the ranking is still to be chosen."""
        return self.choice.name == TUNED

    @property
    def of_bits(self) -> bool:
        """Whether it needs a method that gives bits."""
        return bool(self.form) or self.choice.name == "hamming"
