"""Verification: every byte of every generation against its checksum, and a sample of edges against the codes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DamagedIndexError
from graphret.files import is_partial
from graphret.index.contents import partition_hash
from graphret.index.generation import open_folder
from graphret.index.layout import ARRAYS, CODE_CHECKSUMS
from graphret.index.manifest import MANIFEST
from graphret.index.source import codes_hash
from graphret.index.store import BUILD, generation_names, lineage
from graphret.neighbors import ExactSearch, row_checksums
from graphret.neighbors.exact_search import row_lengths

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Codes, Progress
    from graphret.graph import Graph
    from graphret.index.generation import Generation

__all__ = ["temporary_names", "verify_index"]

_SAMPLED_EDGES = 10_000
_TOLERANCE = 1.5e-6
"""Similarities are rounded to 1e-6: another processor may round the last digit otherwise."""


def verify_index(
    root: Path, opened: Generation, *, deep: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Hash every file of an index: of the opened generation, and of those that it came from.

    Parameters
    ----------
    root
        Folder of the index.
    opened
        The generation that is held. Where its folder is still there, its files are opened afresh; where newer ones
        replaced it, or the index was moved, the files that are held are read.
    deep
        Also compare the codes with their row checksums, lengths and hash, the communities with their hash, and up to
        10,000 edges, drawn with a fixed seed, with the cosines of their codes.
    progress
        Called as ``progress("verify", bytes, of bytes)``.

    Returns
    -------
    dict
        generation, parent, n_files, n_bytes; ``others``: generation, n_files, n_bytes, n_films of those that it came
        from and that are still there; ``unused``: generations that are none of them, and what has a temporary name
        (an interrupted write; nothing of it is looked at, and the next writer removes it); ``unfinished``: whether
        ``.build`` holds work of a build or change that has not ended (the same call goes on from it, `purge` removes
        it); ``edges_checked`` where it was deep.

    Raises
    ------
    DamagedIndexError
        The first file that is not what was written.
    """
    generation = _fresh(root, opened)
    kept = lineage(root, generation.name)[1:]
    unused = [name for name in _names(root) if name not in {generation.name, *kept}] + temporary_names(root)
    others = [_open(root, name) for name in kept]
    held = [generation, *(other for other in others if other is not None)]
    total, done = sum(map(_n_bytes, held)), 0
    known: dict[tuple[int, int], str] = {}
    for one in held:
        for file in one.files:
            _check(one, file, known)
            done += one.files[file].n_bytes
            if progress is not None:
                progress("verify", done, total)
        _check_contents(one)
    found = {
        "generation": generation.name,
        "parent": generation.manifest["parent"],
        "n_files": len(generation.files) + 1,
        "n_bytes": _n_bytes(generation),
        "others": [_describe(one) for one in held[1:]],
        "unused": unused,
        "unfinished": (root / BUILD).exists(),
    }
    return found | {"edges_checked": _check_deeply(generation)} if deep else found


def _names(root: Path) -> list[str]:
    return generation_names(root) if root.is_dir() else []


def temporary_names(root: Path) -> list[str]:
    """Return the names of what is being written in a folder, or was when its writer was killed."""
    return sorted(entry.name for entry in root.iterdir() if is_partial(entry.name)) if root.is_dir() else []


def _open(root: Path, name: str) -> Generation | None:
    """Open a generation in full; None where a writer removed it meanwhile."""
    try:
        return open_folder(root, name, strict=True)
    except DamagedIndexError:
        if (root / name).is_dir():
            raise
        return None


def _fresh(root: Path, opened: Generation) -> Generation:
    there = _open(root, opened.name) if (root / opened.name).is_dir() else None
    return opened if there is None else there


def _n_bytes(generation: Generation) -> int:
    return sum(file.n_bytes for file in generation.files.values())


def _describe(generation: Generation) -> dict[str, Any]:
    return {
        "generation": generation.name,
        "n_files": len(generation.files) + 1,
        "n_bytes": _n_bytes(generation),
        "n_films": generation.n_films,
    }


def _check(generation: Generation, file: str, known: dict[tuple[int, int], str]) -> None:
    """Hash a file, once where several generations share it."""
    held = generation.files[file]
    if known.get(held.identity) != generation.manifest["files"][file]["sha256"]:
        generation.files.check(file)
        known[held.identity] = generation.manifest["files"][file]["sha256"]


def _check_contents(generation: Generation) -> None:
    """Read what can be read."""
    path = generation.folder / MANIFEST
    if generation.read_graph().fingerprint != generation.manifest["graph"]["sha256"]:
        raise DamagedIndexError(path, "its graph hash is not that of the graph")
    if partition_hash(generation.communities) != generation.manifest["communities"]["sha256"]:
        raise DamagedIndexError(path, "its hash of the communities is not that of the communities")
    generation.read_films()
    generation.read_graph_search()
    if generation.search_damage is not None:
        raise generation.search_damage


def _check_deeply(generation: Generation) -> int:
    codes, folder = generation.codes, generation.folder
    stated = generation.manifest["codes"]["sha256"]
    if stated != codes_hash(codes) and stated != _earlier_codes_hash(codes):
        raise DamagedIndexError(folder / MANIFEST, "its hash of the codes is not that of the codes")
    lengths = row_lengths(codes)
    if not np.allclose(lengths, generation.lengths, rtol=1e-12, atol=0):
        raise DamagedIndexError(folder / ARRAYS["lengths"], "it does not hold the lengths of the codes")
    stored = generation.arrays.get("code checksums")
    if stored is not None and not np.array_equal(stored, row_checksums(codes)):
        raise DamagedIndexError(
            folder / CODE_CHECKSUMS["code checksums"], "it does not hold the checksums of the codes"
        )
    graph = generation.read_graph()
    edges = np.arange(len(graph.indices))
    if len(edges) > _SAMPLED_EDGES:
        edges = np.sort(np.random.default_rng(0).choice(len(edges), _SAMPLED_EDGES, replace=False))
    _check_edges(generation, graph, edges)
    return len(edges)


def _earlier_codes_hash(codes: Codes) -> str:
    """Return the hash of the codes that manifests had before it was that of their file."""
    digest = hashlib.sha256(f"{codes.dtype.str}{codes.shape}".encode())
    digest.update(np.ascontiguousarray(codes).data)
    return digest.hexdigest()


def _check_edges(generation: Generation, graph: Graph, edges: np.ndarray) -> None:
    sources = (np.searchsorted(graph.indptr, edges, side="right") - 1).astype(np.int64)
    targets, weights = graph.indices[edges], np.asarray(graph.weights[edges], np.float64)
    search = ExactSearch(generation.codes, generation.lengths)
    cosines = search.similarities(search.read_codes(sources), targets[:, None])[:, 0].astype(np.float64)
    binary = generation.manifest["parameters"].get("edge_weights") == "binary"
    # a film that the threshold would have left without an edge keeps its best one, of whatever cosine
    expected = np.ones_like(weights) if binary else np.maximum(cosines, 1e-6)
    wrong = np.flatnonzero(np.abs(weights - expected) > _TOLERANCE)
    if len(wrong):
        edge = wrong[0]
        raise DamagedIndexError(
            generation.folder / ARRAYS["weights"],
            f"the edge of films {sources[edge]} and {targets[edge]} has weight {weights[edge]:.6f}, and their codes "
            f"the cosine {cosines[edge]:.6f}; {len(wrong)} of {len(edges)} edges looked at do not fit",
        )
