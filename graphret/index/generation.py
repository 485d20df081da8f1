"""One generation, opened for reading: cheap checks at once, every byte in `verify_generation`; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DamagedIndexError, DataError, StoreError
from graphret.data import ImageTable
from graphret.files import array_header, map_array, sha256_of
from graphret.graph import Graph
from graphret.index.film_ids import FilmIds
from graphret.index.manifest import MANIFEST, Manifest, read_manifest
from graphret.index.store import CURRENT, current_name, generation_names, lineage
from graphret.neighbors import GraphSearchStructure

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Codes, Float64Array, Int32Array, Progress
    from graphret.encoders import Encoder

__all__ = [
    "ALL_ARRAYS",
    "ARRAYS",
    "ENCODER",
    "FILMS",
    "GRAPH_SEARCH_ATTRIBUTES",
    "PROBLEMS",
    "SMALL_FILE",
    "Generation",
    "open_generation",
    "verify_generation",
]

ARRAYS = {
    "codes": "codes.npy",
    "lengths": "lengths.npy",
    "indptr": "graph-indptr.npy",
    "indices": "graph-indices.npy",
    "weights": "graph-weights.npy",
    "communities": "communities.npy",
}
GRAPH_SEARCH_ARRAYS = {
    "search codes": "search-codes.npy",
    "search directions": "search-directions.npy",
    "search entry points": "search-entry-points.npy",
    "search indptr": "search-indptr.npy",
    "search indices": "search-indices.npy",
}
"""There when the manifest's ``search`` says "graph"."""
GRAPH_SEARCH_ATTRIBUTES = {
    "search codes": "short",
    "search directions": "directions",
    "search entry points": "entry_points",
    "search indptr": "indptr",
    "search indices": "indices",
}
"""The arrays of a `GraphSearchStructure` by their roles here."""
ALL_ARRAYS = ARRAYS | GRAPH_SEARCH_ARRAYS
FILMS = "films.parquet"
PROBLEMS = "problems.json"
ENCODER = "encoder"

SMALL_FILE = 16 * 2**20
"""Files up to this size are read in full, and their sha256 checked, whenever the index is opened."""
_ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class Generation:
    """A generation whose manifest, sizes, headers and small files have been checked."""

    folder: Path
    manifest: Manifest
    codes: Codes
    lengths: Float64Array
    communities: Int32Array

    @property
    def name(self) -> str:
        """Its folder's name, as in CURRENT."""
        return self.folder.name

    def read_graph(self) -> Graph:
        """Open the graph, after its three files were hashed: the kernels index memory with what they hold.

        Raises
        ------
        DamagedIndexError
            A file is not the one that was written.
        """
        for role in ("indptr", "indices", "weights"):
            self._check_hash(ARRAYS[role])
        indptr, indices, weights = (map_array(self.folder / ARRAYS[role]) for role in ("indptr", "indices", "weights"))
        about = self.manifest["graph"]
        return Graph(indptr, indices, weights, threshold=about["threshold"], n_best_edge_only=about["n_best_edge_only"])

    def read_graph_search(self) -> GraphSearchStructure | None:
        """Open what graph search needs, after its files were hashed; None where queries are compared with every code.

        Raises
        ------
        DamagedIndexError
            A file is not the one that was written.
        """
        about = self.manifest["search"]
        if about["method"] != "graph":
            return None
        for file in GRAPH_SEARCH_ARRAYS.values():
            self._check_hash(file)
        arrays = {
            GRAPH_SEARCH_ATTRIBUTES[role]: map_array(self.folder / file) for role, file in GRAPH_SEARCH_ARRAYS.items()
        }
        # plain arrays, as kernels are compiled for
        made: dict[str, Any] = {name: array.view(np.ndarray) for name, array in arrays.items()}
        return GraphSearchStructure(**made, **{key: about[key] for key in ("beam", "expanded_share", "k", "recall")})

    def read_encoder(self) -> Encoder | None:
        """Load the encoder after its files were hashed; None for an index of codes made elsewhere.

        Raises
        ------
        DamagedIndexError
            A file is not the one that was written.
        """
        from graphret.encoders import load_encoder

        if self.manifest["encoder"] is None:
            return None
        for file in self.manifest["files"]:
            if file.startswith(f"{ENCODER}/"):
                self._check_hash(file)
        return load_encoder(self.folder / ENCODER)

    def check_present(self) -> None:
        """Say so when two newer generations were written meanwhile, and this one was removed.

        Raises
        ------
        StoreError
            Its folder is gone.
        """
        if not self.folder.is_dir() and self.folder.parent.is_dir():
            raise StoreError(f"{self.folder} was replaced by newer generations since it was opened: open it again")

    def _check_hash(self, file: str) -> None:
        self.check_present()
        check_hash(self.folder, self.manifest, file)

    def read_ids(self) -> FilmIds:
        """Read the ids of the films, and nothing else of their table.

        Raises
        ------
        DamagedIndexError
            As `read_films`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._check_hash(FILMS)
        path = self.folder / FILMS
        try:
            # as in read_films: pq.read_table imports too much
            with pq.ParquetFile(path) as file:
                ids = FilmIds.from_arrow(file.read(columns=["id"], use_threads=False).column("id"))
        except (pa.ArrowException, KeyError, OSError, ValueError) as error:
            raise DamagedIndexError(path, str(error)) from error
        pa.default_memory_pool().release_unused()
        if len(ids) != self.codes.shape[0]:
            raise DamagedIndexError(path, f"it has {len(ids)} rows, there are {self.codes.shape[0]} codes")
        return ids

    def read_films(self) -> ImageTable:
        """Read the table of the films.

        Raises
        ------
        DamagedIndexError
            It cannot be read, or has another number of rows than there are codes.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._check_hash(FILMS)
        path = self.folder / FILMS
        try:
            # pq.read_table would import Arrow's datasets, and pandas with them: as long as a small query takes
            with pq.ParquetFile(path) as file:
                table = ImageTable.from_arrow(file.read())
        except (DataError, pa.ArrowException, OSError, ValueError) as error:
            raise DamagedIndexError(path, str(error)) from error
        if len(table) != self.codes.shape[0]:
            raise DamagedIndexError(path, f"it has {len(table)} rows, there are {self.codes.shape[0]} codes")
        return table


def open_generation(root: Path) -> Generation:
    """Open the current generation of an index.

    Checked are the manifest (against its own checksum), the size of every file, the header of every array, and the
    sha256 of every file up to 16 MB. A writer may replace the generation meanwhile; then the new one is opened.

    Raises
    ------
    NotAnIndexError
        The folder holds no index.
    DamagedIndexError
        A file is missing or not what was written; it is named.
    StoreError
        A newer format, or no permission.
    """
    for attempt in range(_ATTEMPTS):
        name = current_name(root)
        try:
            return _open(root, name)
        except DamagedIndexError:
            if attempt == _ATTEMPTS - 1 or current_name(root) == name:
                raise
    raise StoreError(f"{root} was rewritten {_ATTEMPTS} times while it was opened: open it again later")


def _open(root: Path, name: str) -> Generation:
    folder = root / name
    if not folder.is_dir():
        raise DamagedIndexError(root / CURRENT, f"it names {name}, which is not there")
    manifest = read_manifest(folder)
    if manifest["generation"] != name:
        raise DamagedIndexError(folder / MANIFEST, f"it is the manifest of {manifest['generation']}")
    _check_files(folder, manifest)
    searches_graph = manifest["search"]["method"] == "graph"
    arrays = {
        role: _map_checked(folder, manifest, file) for role, file in (ALL_ARRAYS if searches_graph else ARRAYS).items()
    }
    _check_arrays(folder, arrays)
    if searches_graph:
        _check_graph_search(folder, arrays)
    return Generation(folder, manifest, arrays["codes"], arrays["lengths"], arrays["communities"])


def _check_files(folder: Path, manifest: Manifest) -> None:
    expected = {*ARRAYS.values(), FILMS, PROBLEMS}
    if manifest["search"]["method"] == "graph":
        expected |= set(GRAPH_SEARCH_ARRAYS.values())
    if manifest["encoder"] is not None:
        expected |= {f"{ENCODER}/encoder.json", f"{ENCODER}/encoder.safetensors"}
    unlisted = sorted(expected - set(manifest["files"]))
    if unlisted:
        raise DamagedIndexError(folder / MANIFEST, f"it does not list {unlisted[0]}")
    for file, entry in manifest["files"].items():
        path = folder / file
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DamagedIndexError(path, "it is missing") from error
        if size != entry["bytes"]:
            raise DamagedIndexError(path, f"it has {size:,} bytes instead of {entry['bytes']:,}")
        if size <= SMALL_FILE:
            check_hash(folder, manifest, file)


def check_hash(folder: Path, manifest: Manifest, file: str) -> None:
    """Compare a file with its sha256 in the manifest.

    Raises
    ------
    DamagedIndexError
        They differ, or the file cannot be read.
    """
    path = folder / file
    try:
        found = sha256_of(path)
    except OSError as error:
        raise DamagedIndexError(path, f"it cannot be read ({error.strerror})") from error
    stated = manifest["files"][file]["sha256"]
    if found != stated:
        raise DamagedIndexError(path, f"its sha256 is {found[:16]}... and not {str(stated)[:16]}...")


def _map_checked(folder: Path, manifest: Manifest, file: str) -> NDArray[Any]:
    shape, dtype, _ = array_header(folder / file)
    stated = manifest["arrays"].get(file)
    if stated != {"dtype": dtype.str, "shape": list(shape)}:
        raise DamagedIndexError(folder / file, f"it holds {dtype.str} {list(shape)}, the manifest says {stated}")
    return map_array(folder / file)


def _check_arrays(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Compare the arrays with each other: what the manifest says has been checked, now whether it makes an index."""
    codes, indptr, indices = arrays["codes"], arrays["indptr"], arrays["indices"]
    n_films = codes.shape[0]
    for role, shape, dtype in (
        ("codes", (n_films, codes.shape[-1]), "<f4"),
        ("lengths", (n_films,), "<f8"),
        ("communities", (n_films,), "<i4"),
        ("indptr", (n_films + 1,), "<i8"),
        ("indices", indices.shape[:1], "<i4"),
    ):
        if arrays[role].shape != shape or arrays[role].dtype.str != dtype:
            raise DamagedIndexError(folder / ARRAYS[role], f"it has shape {arrays[role].shape}, not {dtype} {shape}")
    if arrays["weights"].shape != indices.shape or arrays["weights"].dtype.kind != "f":
        raise DamagedIndexError(folder / ARRAYS["weights"], f"it has shape {arrays['weights'].shape}")
    if indptr[0] != 0 or indptr[-1] != len(indices) or np.any(np.diff(indptr) < 0):
        raise DamagedIndexError(folder / ARRAYS["indptr"], "its rows do not rise from 0 to the number of indices")


def _check_graph_search(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Compare the arrays of graph search with the codes and with each other."""
    n_films, n_dimensions = arrays["codes"].shape
    width, links = arrays["search codes"].shape[-1], arrays["search indices"].shape
    for role, shape, dtype in (
        ("search codes", (n_films, width), "|i1"),
        ("search directions", (n_dimensions, width), "<f4"),
        ("search entry points", arrays["search entry points"].shape[:1], "<i4"),
        ("search indptr", (n_films + 1,), "<i8"),
        ("search indices", links[:1], "<i4"),
    ):
        if arrays[role].shape != shape or arrays[role].dtype.str != dtype:
            raise DamagedIndexError(
                folder / ALL_ARRAYS[role], f"it has shape {arrays[role].shape}, not {dtype} {shape}"
            )
    indptr = arrays["search indptr"]
    if indptr[0] != 0 or indptr[-1] != links[0] or np.any(np.diff(indptr) < 0):
        raise DamagedIndexError(
            folder / GRAPH_SEARCH_ARRAYS["search indptr"], "its rows do not rise from 0 to the number of links"
        )


def verify_generation(root: Path, name: str, progress: Progress | None = None) -> dict[str, Any]:
    """Open a generation afresh, hash every file of it, and read what can be read.

    Returns
    -------
    dict
        generation, parent, n_files, n_bytes, and ``unused``: generations on disk that are neither current nor among
        those that it came from (an interrupted write; the next one removes them).

    Raises
    ------
    DamagedIndexError
        The first file that is not what was written.
    """
    generation = _open(root, name)
    files: dict[str, Any] = generation.manifest["files"]
    sizes = {file: int(entry["bytes"]) for file, entry in files.items()}
    done, total = 0, sum(sizes.values())
    for file, size in sizes.items():
        check_hash(generation.folder, generation.manifest, file)
        done += size
        if progress is not None:
            progress("verify", done, total)
    graph = generation.read_graph()
    if graph.fingerprint != generation.manifest["graph"]["sha256"]:
        raise DamagedIndexError(generation.folder / MANIFEST, "its graph hash is not that of the graph")
    generation.read_films()
    generation.read_graph_search()
    used = lineage(root, generation.name)
    return {
        "generation": generation.name,
        "parent": generation.manifest["parent"],
        "n_files": len(files) + 1,
        "n_bytes": total,
        "unused": [name for name in generation_names(root) if name not in used],
    }
