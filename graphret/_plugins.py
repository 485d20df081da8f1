"""Entries of other packages: found by the entry points that these declare, loaded when somebody first looks."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar

from graphret._errors import PluginError
from graphret._notes import note_once
from graphret._registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["PluginRegistry"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class PluginRegistry(Registry[T]):
    """A `Registry` that other packages add to, by entry points of a group.

    An entry that cannot be loaded, is of another kind, or has a name that is taken is left out of lists, which is said
    once with the name of its package. Asked for by its name, it is refused with the reason.

    Parameters
    ----------
    kind, entries
        As for `Registry`; these are graphret's own.
    group
        Of the entry points, as ``graphret.rankings``.
    check
        Says what is wrong with an entry of this name; "" where nothing is.

    Raises
    ------
    PluginError
        By ``registry[name]``: the package that brings ``name`` is broken.

    Examples
    --------
    >>> list(PluginRegistry("ranking", {"nearest": 1}, "graphret.no_such_group", lambda name, entry: ""))
    ['nearest']
    """

    def __init__(self, kind: str, entries: Mapping[str, T], group: str, check: Callable[[str, object], str]) -> None:
        super().__init__(kind, entries)
        self.group, self._check = group, check
        self._broken: dict[str, PluginError] | None = None

    def __getitem__(self, name: str) -> T:
        if name not in self._entries and name in self._looked():
            raise self._looked()[name]
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        self._looked()
        return super().__iter__()

    def __len__(self) -> int:
        self._looked()
        return super().__len__()

    def __contains__(self, name: object) -> bool:
        """Whether there is such an entry, one that is broken included: asking for it says why."""
        return name in self._entries or name in self._looked() or super().__contains__(name)

    def _looked(self) -> dict[str, PluginError]:
        """Load what other packages bring, once; return the errors of those that are broken, by name."""
        if self._broken is None:
            self._broken = {}
            for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, _package(point))):
                try:
                    self.register(point.name, self._load(point))
                except PluginError as error:
                    note_once(logger, f"left out: {error}")
                    self._broken[point.name] = error
        return self._broken

    def _load(self, point: EntryPoint) -> T:
        what = f"the {self.kind} {point.name!r} of the package {_package(point)} ({point.value})"
        again = "mend or remove that package"
        if point.name in self._entries:
            raise PluginError(f"{what} has a name that is taken: another {self.kind} has it ({again})")
        try:
            entry: T = point.load()
        except Exception as error:  # foreign code may raise anything
            raise PluginError(f"{what} cannot be loaded: {type(error).__name__}: {error} ({again})") from error
        problem = self._check(point.name, entry)
        if problem:
            raise PluginError(f"{what} {problem} ({again})")
        return entry


def _package(point: EntryPoint) -> str:
    return "without a name" if point.dist is None else f"{point.dist.name} {point.dist.version}"
