"""The files of one generation, written from the results of a build, and what the manifest says of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.files import link_or_copy, replacing, write_array, write_text
from graphret.index.layout import ALL_ARRAYS, ARRAYS, ENCODER, FILMS, GRAPH_SEARCH_ATTRIBUTES, PROBLEMS
from graphret.neighbors.checksums import row_checksums
from graphret.neighbors.exact_search import row_lengths

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Codes, Int32Array
    from graphret.communities import Partition
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.graph import Graph
    from graphret.index.config import BuildConfig
    from graphret.index.manifest import Manifest
    from graphret.neighbors import GraphSearchStructure
    from graphret.retrieval import Novelty

__all__ = ["Coded", "Linked", "partition_hash", "write_contents"]


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
    """

    codes: Codes
    films: ImageTable
    sha256: str
    file: Path | None = None


@dataclass(frozen=True, eq=False)
class Linked:
    """The graph; how its neighbours were found (method, recall, rows proven, rows scanned); how near films are."""

    graph: Graph
    search: dict[str, Any]
    novelty: Novelty


def write_contents(
    folder: Path,
    coded: Coded,
    linked: Linked,
    partition: Partition,
    structure: GraphSearchStructure | None,
    encoder: Encoder | None,
    config: BuildConfig,
) -> Manifest:
    """Write the files of a generation into an empty folder; return what its manifest says of them.

    Codes that lie in a file already get a second name (hard link), they are not copied.
    """
    graph = linked.graph
    arrays: dict[str, NDArray[Any]] = {
        "lengths": row_lengths(coded.codes),
        "code checksums": row_checksums(coded.codes),
        "indptr": graph.indptr,
        "indices": graph.indices,
        "weights": graph.weights,
        "communities": partition.labels,
    }
    if structure is not None:
        arrays |= {role: getattr(structure, attribute) for role, attribute in GRAPH_SEARCH_ATTRIBUTES.items()}
    if coded.file is None:
        write_array(folder / ARRAYS["codes"], coded.codes)
    else:
        link_or_copy(coded.file, folder / ARRAYS["codes"])
    for role, array in arrays.items():
        write_array(folder / ALL_ARRAYS[role], array)
    _write_films(folder / FILMS, coded.films)
    problems = [asdict(problem) for problem in coded.films.problems]
    write_text(folder / PROBLEMS, json.dumps(problems, indent=1, ensure_ascii=False))
    if encoder is not None:
        encoder.save(folder / ENCODER)
    return {
        "parameters": config.to_json(),
        "source": {
            "spec": coded.films.spec,
            "spec_sha256": "" if coded.films.origin is None else coded.films.origin.spec.sha256,
            "root": coded.films.root,
            "splits": _counted(coded.films.splits),
        },
        "counts": {
            "films": len(coded.films),
            "dimensions": int(coded.codes.shape[1]),
            "patients": len(np.unique(coded.films.patients)),
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
            **linked.search,
        },
        "communities": {
            "sha256": partition_hash(partition.labels),
            "quality": partition.quality,
            "n_starts": len(partition.start_qualities),
            "start_qualities": list(partition.start_qualities),
        },
        "search": {"method": "exact"} if structure is None else _describe_graph_search(structure, config.search_recall),
        "novelty": linked.novelty.to_record(),
        "encoder": None if encoder is None else _describe_encoder(encoder),
        "arrays": {
            ALL_ARRAYS[role]: {"dtype": array.dtype.newbyteorder("<").str, "shape": list(array.shape)}
            for role, array in {"codes": coded.codes, **arrays}.items()
        },
    }


def partition_hash(labels: Int32Array) -> str:
    """Return the sha256 of the communities: equal divisions, and only they, have equal hashes."""
    digest = hashlib.sha256(f"{labels.dtype.str}{labels.shape}".encode())
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _write_films(path: Path, films: ImageTable) -> None:
    import pyarrow.parquet as pq

    with replacing(path) as file:
        pq.write_table(films.to_arrow(), file)


def _counted(values: NDArray[np.str_]) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _describe_graph_search(structure: GraphSearchStructure, target: float) -> dict[str, Any]:
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
    }
