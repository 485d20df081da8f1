"""How far a long step is, with a word on how it goes."""

from __future__ import annotations

__all__ = ["Stage"]


class Stage(str):
    """The name of a stage, as `Progress` takes it, with a note that may change from call to call.

    Parameters
    ----------
    name
        The name: a `Stage` is equal to it, whatever its note.
    note
        How it goes so far, for whoever shows it.

    Examples
    --------
    >>> stage = Stage("epoch 1/20", "loss 0.31")
    >>> stage == "epoch 1/20", stage.note
    (True, 'loss 0.31')
    """

    __slots__ = ("note",)
    note: str

    def __new__(cls, name: str, note: str = "") -> Stage:
        """Make a text with a note."""
        stage = super().__new__(cls, name)
        stage.note = note
        return stage
