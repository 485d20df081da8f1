"""The files of one generation, written from the results of a build, and what the manifest says of them."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.encoders.inference.colours import reads_colour
from graphret.files import flush_file, link_or_copy, make_folder, replacing, write_array, write_text
from graphret.index.drift import fresh_record
from graphret.index.layout import (
    ALL_ARRAYS,
    ARRAYS,
    CHANGE_ARRAYS,
    ENCODER,
    FILMS,
    GRAPH_SEARCH_ATTRIBUTES,
    PROBLEMS,
)
from graphret.index.manifest import file_entry
from graphret.index.source import is_kept
from graphret.neighbors.checksums import row_checksums
from graphret.neighbors.exact_search import row_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Codes, Float64Array, Int32Array, Int64Array
    from graphret.communities import Partition
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.graph import Graph
    from graphret.index.config import BuildConfig
    from graphret.index.generation import Generation
    from graphret.index.manifest import Manifest
    from graphret.neighbors import GraphSearchStructure, NeighborTable
    from graphret.retrieval import Novelty

__all__ = [
    "FILE_NAMES",
    "Coded",
    "Contents",
    "Linked",
    "describe_contents",
    "flushed_entry",
    "partition_hash",
    "write_contents",
    "write_films",
    "write_hashed",
]

FILE_NAMES = ALL_ARRAYS | CHANGE_ARRAYS
"""Of the arrays of a generation, by what they hold."""
_AT_ONCE = 4
"""Files that are written at once: while the disk takes one, the next is hashed."""


@dataclass(frozen=True, eq=False)
class Coded:
    """Films with their codes.

    Parameters
    ----------
    codes
        float32 (n, d).
    films
        n rows.
    sha256
        Of the codes.
    file
        Where the codes were encoded here: the ``.npy`` file that holds them.
    file_states
        int64 (n, 2), size and time of change of the films' files before they were encoded, -1 where there is none.
    lengths
        float64 (n,), Euclidean lengths of the codes where they are known.
    checksums
        uint64 (n,), checksums of the codes where they are known.
    """

    codes: Codes
    films: ImageTable
    sha256: str
    file: Path | None = None
    file_states: Int64Array | None = None
    lengths: Float64Array | None = None
    checksums: NDArray[np.uint64] | None = None


@dataclass(frozen=True, eq=False)
class Linked:
    """The kNN table, the graph of it, and how near films are to those of other patients."""

    table: NeighborTable
    graph: Graph
    novelty: Novelty


@dataclass(frozen=True, eq=False)
class Contents:
    """All that a generation holds.

    Parameters
    ----------
    structure
        Of graph search; None where queries scan the codes.
    encoder
        None for codes made elsewhere, and where the parent has it.
    changes
        Of the archive since it was last built as a whole, see `changes.drift`.
    parent
        The generation that was changed.
    unchanged
        Files and folders of the parent that are as they were: they get a second name (hard link).
    written
        Of files that lie in the folder of the new generation already: what a manifest says of them.
    """

    coded: Coded
    linked: Linked
    partition: Partition
    structure: GraphSearchStructure | None
    config: BuildConfig
    encoder: Encoder | None = None
    changes: dict[str, Any] | None = None
    parent: Generation | None = None
    unchanged: frozenset[str] = frozenset()
    written: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def links(self) -> dict[str, dict[str, Any]]:
        """Entries of the parent's manifest for its files that are as they were."""
        if self.parent is None:
            return {}
        files: dict[str, dict[str, Any]] = self.parent.manifest["files"]
        return {name: entry for name, entry in files.items() if name.partition("/")[0] in self.unchanged}


def write_contents(folder: Path, contents: Contents) -> Manifest:
    """Write the files of a generation into its folder; return what its manifest says of them.

    The folder is empty but for files of the contents that were written already. Codes that lie in a file elsewhere get
    a second name (hard link), they are not copied; nor is anything that the parent has as well.
    """
    coded, linked, partition = contents.coded, contents.linked, contents.partition
    structure, graph = contents.structure, contents.linked.graph
    arrays: dict[str, NDArray[Any]] = {
        "codes": coded.codes,
        "lengths": row_lengths(coded.codes) if coded.lengths is None else coded.lengths,
        "code checksums": row_checksums(coded.codes) if coded.checksums is None else coded.checksums,
        "indptr": graph.indptr,
        "indices": graph.indices,
        "weights": graph.weights,
        "communities": partition.labels,
        "neighbors": linked.table.neighbors,
        "neighbor similarities": linked.table.similarities,
    }
    if structure is not None:
        arrays |= {role: getattr(structure, attribute) for role, attribute in GRAPH_SEARCH_ATTRIBUTES.items()}
    if coded.file_states is not None and (coded.file_states >= 0).any():
        arrays["film files"] = coded.file_states
    links = contents.links()
    for name in links:
        make_folder((folder / name).parent)
        link_or_copy(contents.parent.folder / name, folder / name)  # type: ignore[union-attr]
    entries = {**links, **contents.written}
    if coded.file is not None and ARRAYS["codes"] not in entries:
        link_or_copy(coded.file, folder / ARRAYS["codes"])
    missing = {FILE_NAMES[role]: array for role, array in arrays.items() if not (folder / FILE_NAMES[role]).exists()}
    entries |= _write_arrays(folder, missing)
    if FILMS not in entries:
        entries |= write_films(folder, coded.films)
    if contents.encoder is not None and is_kept(contents.encoder):
        contents.encoder.save(folder / ENCODER)
    return {
        **describe_contents(contents),
        "files": entries,
        "arrays": {
            FILE_NAMES[role]: {"dtype": array.dtype.newbyteorder("<").str, "shape": list(array.shape)}
            for role, array in arrays.items()
        },
    }


def _write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """Write, flush and hash files, several at once; returns what a manifest says of each."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="graphret-write") as pool:
        return dict(zip(arrays, pool.map(lambda name: write_hashed(folder / name, arrays[name]), arrays), strict=True))


def write_hashed(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """Write a file of a generation that is not complete; return what its manifest says of the file."""
    digest = hashlib.sha256()
    write_array(path, array, durable=False, digest=digest)
    return flushed_entry(path, digest.hexdigest())


def flushed_entry(path: Path, sha256: str) -> dict[str, Any]:
    """Flush a file of a generation that is not complete; return what its manifest says of the file."""
    flush_file(path)  # the names in the folder are flushed once, when it is complete
    return {"bytes": path.stat().st_size, "sha256": sha256}


def describe_contents(contents: Contents) -> Manifest:
    """Return what a manifest says of contents but of their files."""
    coded, linked, partition = contents.coded, contents.linked, contents.partition
    structure, encoder, graph = contents.structure, contents.encoder, contents.linked.graph
    described = None if contents.parent is None else contents.parent.manifest["encoder"]
    return {
        "parameters": contents.config.to_json(),
        "source": {
            "spec": coded.films.spec,
            "spec_sha256": "" if coded.films.origin is None else coded.films.origin.spec.sha256,
            "root": coded.films.root,
            "splits": _counted(coded.films.splits),
        },
        "counts": {
            "films": len(coded.films),
            "dimensions": int(coded.codes.shape[1]),
            "patients": len(set(coded.films.patients.tolist())),
            "labels": len(coded.films.label_names),
            "problems": coded.films.n_left_out,
            "edges": graph.n_edges,
            "communities": partition.n_communities,
        },
        "codes": {"sha256": coded.sha256},
        "graph": {
            "sha256": graph.fingerprint,
            "threshold": graph.threshold,
            "n_best_edge_only": graph.n_best_edge_only,
            **{name: getattr(linked.table, name) for name in ("method", "recall", "n_proven", "n_scanned")},
        },
        "communities": {
            "sha256": partition_hash(partition.labels),
            "quality": partition.quality,
            "n_starts": len(partition.start_qualities),
            "start_qualities": list(partition.start_qualities),
        },
        "search": _describe_search(structure, contents.config.search_recall),
        "novelty": linked.novelty.to_record(),
        "encoder": described if encoder is None else _describe_encoder(encoder),
        "changes": contents.changes or fresh_record(len(coded.films), graph, partition),
    }


def partition_hash(labels: Int32Array) -> str:
    """Return the sha256 of the communities: equal divisions, and only they, have equal hashes."""
    digest = hashlib.sha256(f"{labels.dtype.str}{labels.shape}".encode())
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def write_films(folder: Path, films: ImageTable) -> dict[str, dict[str, Any]]:
    """Write the table of the films and their problems; return what a manifest says of the two files."""
    import pyarrow.parquet as pq

    with replacing(folder / FILMS) as file:
        pq.write_table(films.to_arrow(), file)
    problems = [asdict(problem) for problem in films.problems]
    write_text(folder / PROBLEMS, json.dumps(problems, indent=1, ensure_ascii=False))
    return {file: file_entry(folder / file) for file in (FILMS, PROBLEMS)}


def _counted(values: NDArray[np.str_]) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _describe_search(structure: GraphSearchStructure | None, target: float) -> dict[str, Any]:
    if structure is None:
        return {"method": "exact"}
    return {
        "method": "graph",
        "beam": structure.beam,
        "expanded_share": structure.expanded_share,
        "k": structure.k,
        "recall": structure.recall,
        "recall_target": target,
        "width": int(structure.short.shape[1]),
        "entry_points": len(structure.entry_points),
        "links": len(structure.indices),
    }


def _describe_encoder(encoder: Encoder) -> dict[str, Any]:
    return {
        "name": encoder.name,
        "fingerprint": encoder.fingerprint,
        "size": encoder.size,
        "code_length": encoder.code_length,
        **({} if is_kept(encoder) else {"kept": False}),
        **({"channels": 3} if reads_colour(encoder) else {}),
    }
