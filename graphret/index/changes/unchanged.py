"""The contents of a generation as they are: what a change leaves alone is linked, not copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret.communities import Partition
from graphret.index.contents import Coded, Contents, Linked
from graphret.index.layout import ALL_ARRAYS, CHANGE_ARRAYS, ENCODER, FILMS, PROBLEMS
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    from graphret.data import ImageTable
    from graphret.index.changes.change import Current

__all__ = ["as_it_is", "coded_as_it_is"]


def coded_as_it_is(current: Current, films: ImageTable | None = None) -> Coded:
    """Return the films with their codes; nothing is read but their table."""
    generation = current.generation
    return Coded(
        generation.codes,
        current.films if films is None else films,
        generation.manifest["codes"]["sha256"],
        file_states=current.states,
        lengths=generation.lengths,
        checksums=generation.arrays.get("code checksums"),
    )


def as_it_is(
    current: Current, *changed: str, films: ImageTable | None = None, record: dict[str, Any] | None = None
) -> Contents:
    """Return the contents of the current generation.

    Parameters
    ----------
    current
        The generation that is changed.
    *changed
        Roles of arrays that are others than before, and so are not linked.
    films
        The table of the films, where it is another one than before.
    record
        What changes in the record of changes.
    """
    generation = current.generation
    manifest = generation.manifest
    about = manifest["communities"]
    files = ALL_ARRAYS | CHANGE_ARRAYS
    unchanged = {ENCODER, *(file for role, file in files.items() if role not in changed)}
    if films is None:
        unchanged |= {FILMS, PROBLEMS}
    novelty = manifest.get("novelty")
    table = current.neighbors(None, None)
    return Contents(
        coded_as_it_is(current, films),
        Linked(
            table,
            generation.read_graph(),
            Novelty.from_record(novelty) if novelty is not None else current.novelty(table),
        ),
        Partition(
            generation.communities,
            about["quality"],
            manifest["counts"]["communities"],
            start_qualities=tuple(about.get("start_qualities", ())),
        ),
        generation.read_graph_search(),
        current.config,
        changes={**current.record, **(record or {})},
        parent=generation,
        unchanged=frozenset(unchanged),
    )
