"""One generation, opened and held: cheap checks at once, others when a part is first read; nothing is written."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DamagedIndexError, DataError, EncoderError, StoreError
from graphret._notes import note_once
from graphret.data import ImageTable
from graphret.files import array_of
from graphret.graph import Graph
from graphret.index.arrays import check_arrays, check_graph, check_graph_search, check_values
from graphret.index.film_ids import FilmIds
from graphret.index.held import HeldFiles, hold_files
from graphret.index.layout import (
    ARRAYS,
    CODE_CHECKSUMS,
    ENCODER,
    FILMS,
    GRAPH_SEARCH_ARRAYS,
    GRAPH_SEARCH_ATTRIBUTES,
    PROBLEMS,
)
from graphret.index.manifest import MANIFEST, Manifest, read_manifest
from graphret.index.store import CURRENT, current_name
from graphret.neighbors import GraphSearchStructure, RowChecksums

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Codes, Float64Array, Int32Array
    from graphret.encoders import Encoder

__all__ = ["Generation", "checked_array", "open_folder", "open_generation"]

logger = logging.getLogger(__name__)

_ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class Generation:
    """A generation whose manifest, sizes, headers and small files have been checked.

    Its files are held open, so that it answers for as long as somebody has it: whether newer generations came, its
    folder was moved, or its files were removed.
    """

    folder: Path
    manifest: Manifest
    files: HeldFiles
    arrays: Mapping[str, NDArray[Any]]
    search_damage: DamagedIndexError | None = None

    @property
    def name(self) -> str:
        """Its folder's name, as in CURRENT."""
        return self.folder.name

    @property
    def codes(self) -> Codes:
        """float32 (n, d), as stored."""
        return self.arrays["codes"]

    @property
    def lengths(self) -> Float64Array:
        """float64 (n,), Euclidean length of every code."""
        return self.arrays["lengths"]

    @property
    def communities(self) -> Int32Array:
        """int32 (n,), community of every film."""
        return self.arrays["communities"]

    @property
    def search_in_use(self) -> dict[str, Any]:
        """What the manifest says of the search; or, where its files are damaged, that codes are scanned, and why."""
        if self.search_damage is None:
            stated: dict[str, Any] = self.manifest["search"]
            return stated
        return {"method": "exact", "damaged": str(self.search_damage.file)}

    @property
    def n_films(self) -> int:
        """Number of films."""
        return int(self.codes.shape[0])

    def read_checksums(self) -> RowChecksums | None:
        """Prepare to compare each code with its checksum when it is first read.

        None where the file of the codes was compared as a whole: when it was opened, if it is small, or here, in an
        index without checksums of rows.

        Raises
        ------
        DamagedIndexError
            The codes of an index without checksums of rows, the checksums, lengths or communities are not what was
            written.
        """
        for role in ("lengths", "communities"):
            self.files.check_if_large(ARRAYS[role])
        checksums = self.arrays.get("code checksums")
        if checksums is None or self.files.is_small(ARRAYS["codes"]):
            self.files.check_if_large(ARRAYS["codes"])
            return None
        self.files.check_if_large(CODE_CHECKSUMS["code checksums"])
        path = self.folder / ARRAYS["codes"]
        return RowChecksums(
            self.codes, checksums, lambda row: DamagedIndexError(path, f"its row {row} has not its checksum")
        )

    def check_graph_files(self) -> None:
        """Hash the files of the graph; raises `DamagedIndexError` where one is not what was written."""
        for role in ("indptr", "indices", "weights"):
            self.files.check(ARRAYS[role])

    def read_graph(self) -> Graph:
        """Open the graph, after its files were hashed and its structure was looked at: kernels index memory with it.

        Raises
        ------
        DamagedIndexError
            A file is not the one that was written, or its values are no graph.
        """
        self.check_graph_files()
        check_graph(self.folder, self.arrays)
        about = self.manifest["graph"]
        return Graph(
            self.arrays["indptr"],
            self.arrays["indices"],
            self.arrays["weights"],
            threshold=about["threshold"],
            n_best_edge_only=about["n_best_edge_only"],
        )

    def read_graph_search(self, *, for_queries: bool = True) -> GraphSearchStructure | None:
        """Open what graph search needs, after its files were hashed and their values looked at.

        None where queries are compared with every code. That is also done where a file is damaged, and said: nothing
        of an answer comes from these files alone. Links are only looked at one by one where they are ``for_queries``,
        which follow them; a change makes them anew.
        """
        about = self.manifest["search"]
        if about["method"] != "graph" or self.search_damage is not None:
            return None
        try:
            for file in GRAPH_SEARCH_ARRAYS.values():
                self.files.check(file)
            check_graph_search(self.folder, self.arrays, in_full=for_queries)
        except DamagedIndexError as error:
            _ignore_search(self.folder, error)
            object.__setattr__(self, "search_damage", error)  # the class is frozen for everybody else
            return None
        made: dict[str, Any] = {name: self.arrays[role] for role, name in GRAPH_SEARCH_ATTRIBUTES.items()}
        return GraphSearchStructure(**made, **{key: about[key] for key in ("beam", "expanded_share", "k", "recall")})

    def read_encoder(self) -> Encoder | None:
        """Load the encoder after its files were hashed; None for an index of codes made elsewhere.

        Raises
        ------
        DamagedIndexError
            A file is not the one that was written.
        EncoderError
            The index holds no encoder, only its name; or the files are no encoder that this graphret knows.
        """
        from graphret.encoders import Encoder

        about = self.manifest["encoder"]
        if about is None:
            return None
        if not about.get("kept", True):
            raise EncoderError(
                f"the films of {self.folder.parent} were encoded with {about['name']} {about['fingerprint'][:16]}..., "
                "a model that the index does not hold: give it to graphret.open(path, encoder="
                "graphret.ModelEncoder(model, ...)), or ask by code or id"
            )
        stored = {}
        for file in self.files:
            if file.startswith(f"{ENCODER}/"):
                stored[file.removeprefix(f"{ENCODER}/")] = self.files.read(file)
        return Encoder.load(self.folder / ENCODER, stored=stored)

    def read_ids(self) -> FilmIds:
        """Read the ids of the films, and nothing else of their table.

        Raises
        ------
        DamagedIndexError
            As `read_films`.
        """
        import pyarrow as pa

        def ids(table: Any) -> FilmIds:
            return FilmIds.from_arrow(table.read(columns=["id"], use_threads=False).column("id"))

        found: FilmIds = self._read_table(ids)
        pa.default_memory_pool().release_unused()
        return found

    def read_films(self) -> ImageTable:
        """Read the table of the films.

        Raises
        ------
        DamagedIndexError
            It is not the one that was written, cannot be read, or has another number of rows than there are codes.
        """
        # a thread of Arrow that lets go of Python's memory while the interpreter ends takes the program with it
        found: ImageTable = self._read_table(lambda table: ImageTable.from_arrow(table.read(use_threads=False)))
        return found

    def _read_table(self, read: Any) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / FILMS
        content = pa.BufferReader(self.files.read(FILMS))
        try:
            # pq.read_table would import Arrow's datasets, and pandas with them: as long as a small query takes
            with pq.ParquetFile(content) as table:
                n_rows = table.metadata.num_rows
                if n_rows != self.n_films:  # before anything is made of so many
                    raise DamagedIndexError(path, f"it has {n_rows} rows, there are {self.n_films} codes")
                found = read(table)
        except (DataError, pa.ArrowException, MemoryError, OSError, *_UNREADABLE) as error:
            raise DamagedIndexError(path, f"it cannot be read as a table of films ({error})") from error
        if len(found) != self.n_films:
            raise DamagedIndexError(path, f"it has {len(found)} rows, there are {self.n_films} codes")
        return found


_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What comes of a table, or of the JSON in it, that somebody made up."""


def _ignore_search(folder: Path, error: DamagedIndexError) -> None:
    note_once(logger, f"{folder}: its search structure is ignored, every query is compared with every code: {error}")


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
            return open_folder(root, name)
        except DamagedIndexError:
            if attempt == _ATTEMPTS - 1 or current_name(root) == name:
                raise
    raise StoreError(f"{root} was rewritten {_ATTEMPTS} times while it was opened: open it again later")


def open_folder(root: Path, name: str, *, strict: bool = False) -> Generation:
    """Open a generation by its name; ``strict`` refuses it where only its search structure is damaged."""
    folder = root / name
    if folder.is_symlink() or not folder.is_dir():
        reason = "which is a link, and is not followed" if folder.is_symlink() else "which is not there"
        raise DamagedIndexError(root / CURRENT, f"it names {name}, {reason}")
    manifest = read_manifest(folder)
    if manifest["generation"] != name:
        raise DamagedIndexError(folder / MANIFEST, f"it is the manifest of {manifest['generation']}")
    _check_listed(folder, manifest)
    searched = set(GRAPH_SEARCH_ARRAYS.values())
    files = hold_files(folder, manifest, [file for file in manifest["files"] if file not in searched])
    roles = {role: file for role, file in (ARRAYS | CODE_CHECKSUMS).items() if file in files}
    arrays = {role: checked_array(files, manifest, file) for role, file in roles.items()}
    check_arrays(folder, manifest, arrays)
    check_values(folder, manifest, arrays)
    damage = None
    if manifest["search"]["method"] == "graph":
        try:
            more = hold_files(folder, manifest, list(GRAPH_SEARCH_ARRAYS.values()))
            links = {role: checked_array(more, manifest, file) for role, file in GRAPH_SEARCH_ARRAYS.items()}
            check_graph_search(folder, arrays | links, in_full=False)
            files, arrays = files.with_others(more), arrays | links
        except DamagedIndexError as error:
            if strict:
                raise
            damage = error
            _ignore_search(folder, error)
    return Generation(folder, manifest, files, arrays, damage)


def _check_listed(folder: Path, manifest: Manifest) -> None:
    expected = {*ARRAYS.values(), FILMS, PROBLEMS}
    if manifest["search"]["method"] == "graph":
        expected |= set(GRAPH_SEARCH_ARRAYS.values())
    if manifest["encoder"] is not None and manifest["encoder"].get("kept", True):
        expected |= {f"{ENCODER}/encoder.json", f"{ENCODER}/encoder.safetensors"}
    unlisted = sorted(expected - set(manifest["files"]))
    if unlisted:
        raise DamagedIndexError(folder / MANIFEST, f"it does not list {unlisted[0]}")


def checked_array(files: HeldFiles, manifest: Manifest, file: str) -> NDArray[Any]:
    """Return the array of a file, or raise `DamagedIndexError` where the manifest says another dtype or shape."""
    array = array_of(files[file])
    found, stated = {"dtype": array.dtype.str, "shape": list(array.shape)}, manifest["arrays"].get(file)
    if stated != found:
        raise DamagedIndexError(
            files[file].path, f"it holds {found['dtype']} {found['shape']}, the manifest says {stated}"
        )
    return array.view(np.ndarray)
