"""Which films make a batch. Every sampler is a function of its generator, so that a resumed epoch repeats it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphret._types import Int64Array
    from graphret.training.config import TrainConfig

__all__ = ["batches_of", "few_of_a_class", "pairs", "shuffled"]

SIMILAR_SHARE = 0.4
"""Cai et al. 2019: dissimilar to similar pairs are 3 to 2."""

_TRIES = 32  # films that are looked at before a class, or a partner by chance, is given up


def batches_of(
    config: TrainConfig, rows: Int64Array, labels: NDArray[np.int8], generator: np.random.Generator
) -> list[Int64Array]:
    """Batches of an epoch by the sampler of a configuration; ``rows`` int64 (n,) in random order, their labels."""
    if config.sampler == "few_of_a_class":
        return few_of_a_class(rows, labels, config.batch_size, config.max_of_a_class, generator)
    if config.sampler == "pairs":
        return pairs(rows, labels, config.batch_size, generator)
    return shuffled(rows, config.batch_size)


def shuffled(rows: Int64Array, batch_size: int) -> list[Int64Array]:
    """Cut rows, whose order is random already, into batches: every film once."""
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def few_of_a_class(
    rows: Int64Array, labels: NDArray[np.int8], batch_size: int, at_most: int, generator: np.random.Generator
) -> list[Int64Array]:
    """Draw batches in which no class has more than a few films (Öztürk et al. 2021, section 3.2).

    A class is a positive label, or "without any finding". The classes take turns, in an order drawn for each batch;
    each gives the next film of its own shuffled deck that fits, until the batch is full or no class has one. So rare
    classes come as often as common ones: a film can come several times in an epoch, or not at all.

    Parameters
    ----------
    rows
        int64 (n,), the films.
    labels
        int8 (n, L), of these films. A film with no positive and an uncertain label has no known class and is not drawn.
    batch_size
        Films of a batch, at most: with c classes there is room for ``at_most`` times c.
    at_most
        Films of a class in a batch.
    generator
        Decides the draw.

    Returns
    -------
    list of ndarray
        ceil(n / batch_size) batches, no film twice in one.

    Raises
    ------
    DataError
        No film has a known class.
    """
    classes = _memberships(labels)
    decks = [_Deck(np.flatnonzero(column), generator) for column in classes.T if column.any()]
    columns = np.flatnonzero(classes.any(axis=0))
    if not decks:
        raise DataError("no training film has a known class: sampler='few_of_a_class' has nothing to draw from")
    batches = []
    for _ in range(-(-len(rows) // batch_size)):
        counts = np.zeros(classes.shape[1], dtype=np.int64)
        chosen: list[int] = []
        turns = generator.permutation(len(decks)).tolist()
        while turns and len(chosen) < batch_size:
            turn = turns.pop(0)
            if counts[columns[turn]] >= at_most:
                continue
            for film in decks[turn].next(_TRIES):
                if film not in chosen and (counts[classes[film]] < at_most).all():
                    chosen.append(film)
                    counts += classes[film]
                    turns.append(turn)
                    break
        batches.append(rows[chosen])
    return batches


def pairs(
    rows: Int64Array, labels: NDArray[np.int8], batch_size: int, generator: np.random.Generator
) -> list[Int64Array]:
    """Draw batches of pairs, films 2i and 2i + 1: three dissimilar for two similar (Cai et al. 2019).

    Similar films share a positive label or both have no finding; dissimilar ones certainly do not. The first film of
    each pair goes through a shuffled deck, the second is drawn at random.

    Parameters
    ----------
    rows, labels, generator
        As in :func:`few_of_a_class`.
    batch_size
        Films of a batch, two a pair (an odd one less).

    Returns
    -------
    list of ndarray
        ceil(n / batch_size) batches of the same length. The share of similar pairs of the first batches together is
        0.4 to within one pair.

    Raises
    ------
    DataError
        Hardly a film has a similar one, or a dissimilar one.
    """
    classes = _memberships(labels)
    possible = _possible_classes(labels)
    members = [np.flatnonzero(column) for column in classes.T]
    deck = _Deck(np.flatnonzero(classes.any(axis=1)), generator)

    def partner(first: int, similar: bool) -> int | None:
        if similar:
            own = generator.permutation(np.flatnonzero(classes[first]))
            for films in (members[column] for column in own):
                if len(films) > 1:
                    place = int(generator.integers(len(films) - 1))  # any film but the first itself
                    return int(films[place + (place >= np.searchsorted(films, first))])
            return None
        for film in generator.integers(len(rows), size=_TRIES).tolist():
            if not (possible[first] & possible[film]).any():
                return int(film)
        others = np.flatnonzero(~(possible & possible[first]).any(axis=1))
        return int(generator.choice(others)) if len(others) else None

    n_pairs = batch_size // 2
    batches, done = [], 0
    for _ in range(-(-len(rows) // batch_size)):
        n_similar = round(SIMILAR_SHARE * (done + n_pairs)) - round(SIMILAR_SHARE * done)
        done += n_pairs
        kinds = generator.permutation(np.arange(n_pairs) < n_similar)
        films: list[int] = []
        for similar in kinds.tolist():
            for first in deck.next(_TRIES):
                second = partner(first, similar)
                if second is not None:
                    films += [first, second]
                    break
            else:
                kind = "similar" if similar else "certainly dissimilar"
                raise DataError(
                    f"of {_TRIES} training films none has a {kind} one: sampler='pairs' has nothing to draw from"
                )
        batches.append(rows[films])
    return batches


class _Deck:
    """Films in a random order that is drawn anew when all were seen."""

    def __init__(self, films: Int64Array, generator: np.random.Generator) -> None:
        self._films, self._generator = films, generator
        self._left: list[int] = []

    def next(self, tries: int) -> Iterator[int]:
        """Yield films one after the other; a film that is yielded has left the deck."""
        for _ in range(min(tries, len(self._films))):
            if not self._left:
                self._left = self._generator.permutation(self._films).tolist()
            yield self._left.pop()


def _memberships(labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Bool (n, L + 1): positive labels, and in the last column films that are known to have none."""
    return np.column_stack([labels == 1, (labels == 0).all(axis=1)])


def _possible_classes(labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    """As :func:`_memberships`, with the classes that an uncertain label leaves open."""
    return np.column_stack([labels != 0, (labels != 1).all(axis=1)])
