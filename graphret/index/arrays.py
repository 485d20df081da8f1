"""Whether the arrays of a generation make an index: their shapes, and the values that kernels index memory with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DamagedIndexError
from graphret.graph.structure import structure_problem
from graphret.index.layout import ALL_ARRAYS, ARRAYS, GRAPH_SEARCH_ARRAYS
from graphret.index.manifest import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.index.manifest import Manifest

__all__ = ["check_arrays", "check_graph", "check_graph_search", "check_values"]


def check_arrays(folder: Path, manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Compare the shapes of the arrays with each other, and with the counts of the manifest.

    Raises
    ------
    DamagedIndexError
        They are not of the same films.
    """
    codes, indices = arrays["codes"], arrays["indices"]
    n_films = codes.shape[0]
    _check_shapes(
        folder,
        arrays,
        {
            "codes": ((n_films, codes.shape[-1]), "<f4"),
            "lengths": ((n_films,), "<f8"),
            "communities": ((n_films,), "<i4"),
            "indptr": ((n_films + 1,), "<i8"),
            "indices": (indices.shape[:1], "<i4"),
            **({"code checksums": ((n_films,), "<u8")} if "code checksums" in arrays else {}),
        },
    )
    if arrays["weights"].shape != indices.shape or arrays["weights"].dtype.kind != "f":
        raise DamagedIndexError(folder / ARRAYS["weights"], f"it has shape {arrays['weights'].shape}")
    counts, found = manifest["counts"], {"films": n_films, "dimensions": codes.shape[1], "edges": len(indices) // 2}
    wrong = next((name for name, number in found.items() if counts[name] != number), None)
    if wrong is not None:
        raise DamagedIndexError(
            folder / MANIFEST, f"it counts {counts[wrong]} {wrong}, there are {found[wrong]} in the arrays"
        )


def check_values(folder: Path, manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Look at the values of the arrays that every query uses; O(n).

    Communities keep their numbers when others go, so a number may be above that of the films: it is below the first one
    that was never given.

    Raises
    ------
    DamagedIndexError
        A length that is none, a community without a number, rows of the graph that do not follow each other.
    """
    lengths, communities, indptr = (arrays[role] for role in ("lengths", "communities", "indptr"))
    if len(lengths) == 0 or not 0 < lengths.min() <= lengths.max() < np.inf:  # false for NaN as well
        raise DamagedIndexError(folder / ARRAYS["lengths"], "it holds lengths that are not positive, or not finite")
    n_numbers = manifest.get("changes", {}).get("next_community", len(communities))
    if communities.min() < 0 or communities.max() >= n_numbers:
        raise DamagedIndexError(folder / ARRAYS["communities"], f"its numbers are not in 0 to {n_numbers - 1}")
    _check_rows(folder / ARRAYS["indptr"], indptr, len(arrays["indices"]))


def check_graph(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Look whether indices and weights are a symmetric graph with sorted rows; O(n + m).

    Raises
    ------
    DamagedIndexError
        They are not.
    """
    problem = structure_problem(arrays["indptr"], arrays["indices"], arrays["weights"])
    if problem is not None:
        raise DamagedIndexError(folder / ARRAYS["indices"], problem)


def check_graph_search(folder: Path, arrays: Mapping[str, NDArray[Any]], *, in_full: bool = True) -> None:
    """Compare the arrays of graph search with the codes and with each other, and ``in_full`` look at every link.

    Raises
    ------
    DamagedIndexError
        They do not fit, or lead out of the archive.
    """
    n_films, n_dimensions = arrays["codes"].shape
    width, links = arrays["search codes"].shape[-1], arrays["search indices"].shape
    entries = arrays["search entry points"]
    _check_shapes(
        folder,
        arrays,
        {
            "search codes": ((n_films, width), "|i1"),
            "search directions": ((n_dimensions, width), "<f4"),
            "search entry points": (entries.shape[:1], "<i4"),
            "search indptr": ((n_films + 1,), "<i8"),
            "search indices": (links[:1], "<i4"),
        },
    )
    _check_rows(folder / GRAPH_SEARCH_ARRAYS["search indptr"], arrays["search indptr"], links[0])
    if len(entries) == 0 or entries[0] < 0 or entries[-1] >= n_films or np.any(np.diff(entries) <= 0):
        path = folder / GRAPH_SEARCH_ARRAYS["search entry points"]
        raise DamagedIndexError(path, f"it does not rise within 0 to {n_films - 1}")
    if not np.isfinite(arrays["search directions"]).all():
        raise DamagedIndexError(
            folder / GRAPH_SEARCH_ARRAYS["search directions"], "it holds values that are not finite"
        )
    problem = structure_problem(arrays["search indptr"], arrays["search indices"]) if in_full else None
    if problem is not None:
        raise DamagedIndexError(folder / GRAPH_SEARCH_ARRAYS["search indices"], problem)


def _check_shapes(
    folder: Path, arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[tuple[int, ...], str]]
) -> None:
    for role, (shape, dtype) in expected.items():
        if arrays[role].shape != shape or arrays[role].dtype.str != dtype:
            raise DamagedIndexError(
                folder / ALL_ARRAYS[role], f"it has shape {arrays[role].shape}, not {dtype} {shape}"
            )


def _check_rows(path: Path, indptr: NDArray[Any], n_entries: int) -> None:
    if indptr[0] != 0 or indptr[-1] != n_entries or np.any(np.diff(indptr) < 0):
        raise DamagedIndexError(path, f"its rows do not rise from 0 to {n_entries}, the number of indices")
