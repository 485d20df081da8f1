"""Things by name: the one registry behind encoders, objectives, hashers and rankings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from graphret._errors import InvalidParameterError, UnknownNameError

__all__ = ["Registry", "check_options"]

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Named entries of one kind; a name that is not there is answered with the names that are.

    Parameters
    ----------
    kind
        What an entry is, for messages: ``"ranking"``.
    entries
        By name.

    Raises
    ------
    UnknownNameError
        By ``registry[name]`` for an unknown name.

    Examples
    --------
    >>> rankings = Registry("ranking", {"nearest": 1, "diffusion": 2})
    >>> list(rankings), rankings["nearest"]
    (['diffusion', 'nearest'], 1)
    >>> rankings["neares"]
    Traceback (most recent call last):
    graphret._errors.UnknownNameError: ranking='neares' is not allowed: give one of diffusion, nearest (did you ...
    """

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        self.kind = kind
        self._entries = dict(sorted(entries.items()))

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def register(self, name: str, entry: T) -> None:
        """Add an entry; a name that is taken is refused.

        Raises
        ------
        InvalidParameterError
            Another entry has this name.
        """
        if name in self._entries:
            raise InvalidParameterError(self.kind, name, f"a name that no {self.kind} has")
        self._entries = dict(sorted({**self._entries, name: entry}.items()))

    def unregister(self, name: str) -> T:
        """Take an entry out again, and return it.

        Raises
        ------
        UnknownNameError
            There is none of this name.
        """
        entry = self[name]
        del self._entries[name]
        return entry


def check_options(owner: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return every option: those given over the defaults.

    Parameters
    ----------
    owner
        Whose options they are, for messages: ``"ranking 'nearest'"``.
    given, defaults
        By name.

    Raises
    ------
    InvalidParameterError
        An option for an owner that has none.
    UnknownNameError
        An option that the owner does not have; the message lists those it has.

    Examples
    --------
    >>> check_options("ranking 'alpha_qe'", {"n": 5}, {"n": 10, "alpha": 3.0})
    {'n': 5, 'alpha': 3.0}
    """
    for name in sorted(set(given) - set(defaults)):
        if not defaults:
            raise InvalidParameterError(name, given[name], f"no options: the {owner} has none")
        raise UnknownNameError(f"option of the {owner}", name, defaults)
    return {**defaults, **given}
