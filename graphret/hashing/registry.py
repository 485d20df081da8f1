"""The hashers by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from graphret._registry import Registry, check_options
from graphret.hashing.itq import ITQ
from graphret.hashing.ksh import KSH
from graphret.hashing.lsh import LSH
from graphret.hashing.mlh import MLH
from graphret.hashing.spectral_hashing import SpectralHashing
from graphret.hashing.ssh import SSH

if TYPE_CHECKING:
    from graphret.hashing.base import Hasher

__all__ = ["HASHERS", "create_hasher", "hasher_options", "list_hashers"]

HASHERS: Registry[type[Hasher]] = Registry(
    "hasher", {hasher.name: hasher for hasher in (ITQ, KSH, LSH, MLH, SSH, SpectralHashing)}
)


def list_hashers(*, supervised: bool | None = None) -> list[str]:
    """Names of the registered hashers, sorted; only those that need labels, or only the others, where it is asked for.

    Examples
    --------
    >>> list_hashers()
    ['itq', 'ksh', 'lsh', 'mlh', 'spectral_hashing', 'ssh']
    >>> list_hashers(supervised=True)
    ['ksh', 'mlh', 'ssh']
    """
    return [name for name, made in HASHERS.items() if supervised is None or made.needs_labels == supervised]


def hasher_options(name: str) -> dict[str, Any]:
    """Options of a hasher with their defaults, without bits and seed.

    Raises
    ------
    UnknownNameError
        No hasher has this name; the message lists those there are.

    Examples
    --------
    >>> hasher_options("itq")
    {'n_iterations': 50}
    """
    parameters = inspect.signature(HASHERS[name]).parameters.values()
    return {
        entry.name: entry.default for entry in parameters if entry.kind is entry.KEYWORD_ONLY and entry.name != "seed"
    }


def create_hasher(name: str, n_bits: int, *, seed: int = 0, **options: Any) -> Hasher:
    """Make a hasher, not fitted.

    Parameters
    ----------
    name
        One of `list_hashers`.
    n_bits
        Bits of a code, >= 1.
    seed
        Of everything random in it.
    **options
        Options of the method; `hasher_options` has their defaults.

    Raises
    ------
    UnknownNameError
        Unknown hasher or option; the message lists those there are.
    InvalidParameterError
        A value that is not allowed, or an option for a hasher without any.

    Examples
    --------
    >>> create_hasher("itq", 32, n_iterations=10)
    ITQ(32, seed=0, n_iterations=10)
    """
    check_options(f"hasher {name!r}", options, hasher_options(name))
    return HASHERS[name](n_bits, seed=seed, **options)
