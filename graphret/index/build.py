"""From films, or codes, to an index: encode, neighbours, graph, communities, write; a killed build goes on."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.communities import Partition, partition
from graphret.data import ImageTable
from graphret.encoding import encode_films
from graphret.files import LOCK, Stage, Stages, digest, make_folder, storage_errors, writer_lock
from graphret.graph import Graph, similarity_graph
from graphret.index.config import BuildConfig
from graphret.index.contents import Coded, Linked, write_contents
from graphret.index.index import Index
from graphret.index.source import check_encoder, check_films, codes_hash, describe_codes
from graphret.index.store import BUILD, check_target, publish
from graphret.neighbors import ExactSearch, GraphSearchStructure, NeighborTable, build_graph_search, nearest_neighbors
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from graphret._types import Progress
    from graphret.encoders import Encoder

__all__ = ["build"]

_ENCODE = "encode"


def build(
    films_or_codes: Any,
    encoder: Encoder | None = None,
    *,
    out: str | os.PathLike[str],
    ids: Any = None,
    labels: Any = None,
    patients: Any = None,
    label_names: Any = None,
    splits: Any = None,
    films: ImageTable | None = None,
    config: BuildConfig | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    **overrides: Any,
) -> Index:
    """Build an index of films, or of codes made elsewhere, and open it.

    Everything that can be wrong with the call is found before anything is written. Finished stages are kept in
    ``out/.build`` until the index is complete, so that the same call goes on after a kill. An index that
    is already in ``out`` serves its readers until the new generation is complete.

    Parameters
    ----------
    films_or_codes
        An `ImageTable`, encoded with ``encoder``; or codes, float32 (n, d), finite, no row of zeros.
    encoder
        Needed for films. With codes it is optional: stored beside them, so that films can be asked for.
    out
        Folder of the index: new, empty, an index, or an unfinished build.
    ids, patients, splits
        Of codes: text (n,), unique (default "0", "1", ...); text (n,); text (n,).
    labels
        Of codes: a class a film (texts or whole numbers (n,), a categorical), the names of each film (n lists or
        sets), a matrix (n, L) of 1, 0, -1, or a data frame whose columns are the labels.
    label_names
        L names, in the order of the labels; when not given those that ``labels`` bring, or "label_0", ... of a matrix.
    films
        Instead of those: the table that describes the codes.
    config
        Parameters; the defaults when not given.
    resume
        False forgets what an unfinished build has left.
    progress
        Called as ``progress(stage, done, total)`` with the stages "encode", "neighbors", "graph", "search",
        "communities", "write".
    **overrides
        Single parameters of `BuildConfig`: ``k=50``, ``threshold="auto"``, ...

    Returns
    -------
    Index
        Equal inputs, parameters and seed give equal graph and partition hashes, also after a kill.

    Raises
    ------
    InvalidParameterError
        A wrong or unknown parameter, or a folder that holds something else.
    CodesError, DataError
        Codes or films that cannot make an index, or not one film that has a code.
    EncoderError
        The encoder does not fit, or fails.
    IndexLockedError
        Another process writes to ``out``.
    StoreError
        The disk is full, or the folder cannot be written to; an index that was there is unchanged.

    Notes
    -----
    O(n^2 d) time for the exact neighbours, see `nearest_neighbors`.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = build(codes, out=f"{folder}/index", k=5)
    ...     len(index), index.query("3", k=2).positions.shape
    (40, (1, 2))
    """
    config = BuildConfig.of(config, overrides)
    root = Path(out)
    described = {"ids": ids, "labels": labels, "patients": patients, "label_names": label_names, "splits": splits}
    if isinstance(films_or_codes, ImageTable):
        table = check_films(films_or_codes, {**described, "films": films})
        if encoder is None:
            raise InvalidParameterError("encoder", None, "an Encoder", "films need one; codes do not")
        check_encoder(encoder)
        given = None
    else:
        codes, table = describe_codes(films_or_codes, films=films, **described)
        if encoder is not None:
            check_encoder(encoder, codes.shape[1])
        given = Coded(codes, table, codes_hash(codes))
    check_target(root)
    _check_backends(config)
    with _claimed(root, resume=resume) as stages:
        coded = _encode(table, encoder, stages, config, progress) if given is None else given
        linked = _link(coded, stages, config, progress)
        structure = _prepare_search(coded, stages, config, progress)
        communities = _divide(linked.graph, stages, config, progress)
        _report(progress, "write", 0)
        publish(root, lambda folder: write_contents(folder, coded, linked, communities, structure, encoder, config))
        with storage_errors(root):
            shutil.rmtree(stages.folder)
        _report(progress, "write", 1)
        return Index(root, encoder=encoder)


def _check_backends(config: BuildConfig) -> None:
    """Run both libraries on three nodes: one that is missing is reported before hours of encoding, not after."""
    tiny = nearest_neighbors(np.eye(3, dtype=np.float32) + 0.1, 2, backend=config.backend)
    partition(similarity_graph(tiny), method=config.communities)


@contextmanager
def _claimed(root: Path, *, resume: bool) -> Iterator[Stages]:
    """Hold the folder as its only writer; when nothing has come of it, leave nothing behind."""
    created = not root.exists()
    make_folder(root)
    with writer_lock(root):
        if not resume:
            shutil.rmtree(root / BUILD, ignore_errors=True)
        stages = Stages(root / BUILD)
        try:
            yield stages
        except BaseException:
            if not any(stages.folder.rglob("*.npz")):
                shutil.rmtree(stages.folder, ignore_errors=True)
                if created:
                    with suppress(OSError):
                        (root / LOCK).unlink()
                        root.rmdir()
            raise


def _encode(
    table: ImageTable, encoder: Encoder | None, stages: Stages, config: BuildConfig, progress: Progress | None
) -> Coded:
    if encoder is None:
        raise InvalidParameterError("encoder", None, "an Encoder", "films need one")
    encoded = encode_films(
        table,
        encoder,
        stages.folder / _ENCODE,
        batch_size=config.batch_size,
        precision=config.precision,
        n_workers=config.n_workers,
        shard_rows=config.shard_rows,
        progress=progress,
    )
    films = table.select(encoded.rows)
    films = replace(films, problems=(*table.problems, *encoded.problems))
    return Coded(encoded.codes, films, codes_hash(encoded.codes), encoded.file)


def _link(coded: Coded, stages: Stages, config: BuildConfig, progress: Progress | None) -> Linked:
    """Find the neighbours and make the graph of them."""
    key = _neighbors_key(coded, config)
    found = stages.load("neighbors", key)
    if found is None:
        table = nearest_neighbors(
            coded.codes,
            config.k,
            backend=config.backend,
            method=config.method,
            seed=config.seed,
            n_threads=config.n_threads,
            max_memory=config.max_memory,
            progress=progress,
        )
        search = {name: getattr(table, name) for name in ("method", "recall", "n_proven", "n_scanned")}
        found = Stage(search, {"neighbors": table.neighbors, "similarities": table.similarities})
        stages.save("neighbors", key, *found)
    _report(progress, "graph", 0)
    table = NeighborTable(found.arrays["neighbors"], found.arrays["similarities"], **found.record)
    graph = similarity_graph(table, threshold=config.threshold, weights=config.edge_weights)
    _report(progress, "graph", 1)
    novelty = Novelty.of(ExactSearch(coded.codes), coded.films.patients, coded.films.splits, table, seed=config.seed)
    return Linked(graph, found.record, novelty)


def _neighbors_key(coded: Coded, config: BuildConfig) -> str:
    return digest("neighbors", coded.sha256, config.k, config.method, config.backend, config.seed)


def _prepare_search(
    coded: Coded, stages: Stages, config: BuildConfig, progress: Progress | None
) -> GraphSearchStructure | None:
    """Make what graph search needs, or None where queries shall scan the codes."""
    if config.search == "exact":
        return None
    _report(progress, "search", 0)
    neighbors = _neighbors_key(coded, config)
    key = digest("search", neighbors, config.search, config.search_recall)
    found = stages.load("search", key)
    if found is None:
        structure = build_graph_search(
            ExactSearch(coded.codes),
            stages.read("neighbors", neighbors, ["neighbors"]).arrays["neighbors"],
            config.k,
            recall=config.search_recall,
            always=config.search == "graph",
            seed=config.seed,
            n_threads=config.n_threads,
        )
        found = Stage({}, {})
        for entry in () if structure is None else fields(structure):
            value = getattr(structure, entry.name)
            (found.arrays if isinstance(value, np.ndarray) else found.record)[entry.name] = value
        stages.save("search", key, *found)
    _report(progress, "search", 1)
    values: dict[str, Any] = found.arrays | found.record
    return GraphSearchStructure(**values) if values else None


def _divide(graph: Graph, stages: Stages, config: BuildConfig, progress: Progress | None) -> Partition:
    _report(progress, "communities", 0)
    settings = {
        "method": config.communities,
        "objective": config.objective,
        "resolution": config.resolution,
        "seed": config.seed,
        "n_starts": config.n_starts,
    }
    key = digest("communities", graph.fingerprint, settings)
    found = stages.load("communities", key)
    if found is None:
        made = partition(graph, **settings, n_threads=config.n_threads)  # type: ignore[arg-type]
        about = {name: getattr(made, name) for name in ("quality", "n_communities", "start_qualities")}
        stages.save("communities", key, about, {"labels": made.labels})
    else:
        reached = tuple(found.record.pop("start_qualities"))
        made = Partition(found.arrays["labels"], **found.record, start_qualities=reached)
    _report(progress, "communities", 1)
    return made


def _report(progress: Progress | None, stage: str, done: int) -> None:
    if progress is not None:
        progress(stage, done, 1)
