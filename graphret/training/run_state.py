"""How far a training has come: everything of it that is no tensor, as a checkpoint keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RunState"]


@dataclass
class RunState:
    """Counters, history and problems of a training; JSON values only.

    Parameters
    ----------
    epoch
        Epochs that are finished.
    step, loss, seconds
        Of the epoch that has begun: steps done, sum of their losses, time.
    parts
        Of the epoch that has begun: sums of the terms of the loss, where it has some.
    iterations
        Steps of all epochs.
    history
        One entry a finished epoch.
    best
        The epoch that is chosen so far, with its score.
    bad_rows, problems
        Rows of the films that cannot be read, ascending, and why.
    skipped
        Those of them that were known when the epoch began.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    iterations: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    bad_rows: list[int] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunState:
        """Read what `to_json` made; other keys of a checkpoint are passed over, and one from before parts has none.

        Examples
        --------
        >>> RunState.from_json({**RunState(epoch=2).to_json(), "identity": {}}).epoch
        2
        """
        known = {"parts": {}, **values}
        return cls(**{entry.name: known[entry.name] for entry in fields(cls)})

    def note(self, found: Mapping[int, dict[str, str]]) -> None:
        """Remember films that cannot be read.

        Examples
        --------
        >>> state = RunState()
        >>> state.note({4: {"reason": "cut off"}})
        >>> state.note({1: {"reason": "no film"}})
        >>> state.bad_rows, state.problems[1]
        ([1, 4], {'reason': 'cut off'})
        """
        known = dict(zip(self.bad_rows, self.problems, strict=True)) | dict(found)
        self.bad_rows = sorted(known)
        self.problems = [known[row] for row in self.bad_rows]

    def end_epoch(self) -> None:
        """Begin the next epoch."""
        self.step, self.loss, self.seconds, self.parts = 0, 0.0, 0.0, {}
