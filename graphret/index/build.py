"""From films, or codes, to an index: encode, neighbours, graph, communities, write; a killed build goes on."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret.cluster import Engine, check_engine, open_engine
from graphret.cluster.engine import ENCODE
from graphret.data import ImageTable
from graphret.encoding import encode_films
from graphret.files import Stages, check_own_folder, check_path, make_folder, remove_folder, remove_lock, writer_lock
from graphret.index.build_stages import check_backends, divide_films, link_films, prepare_search, report
from graphret.index.config import BuildConfig
from graphret.index.contents import Coded, Contents, write_contents
from graphret.index.index import Index
from graphret.index.left_out import say_left_out
from graphret.index.neighbor_files import file_states
from graphret.index.source import check_encoder, check_films, codes_hash, describe_codes
from graphret.index.store import BUILD, check_target, publish

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from graphret._types import Progress
    from graphret.encoders import Encoder, ModelEncoder

__all__ = ["build", "claimed"]


def build(
    films_or_codes: Any,
    encoder: Encoder | ModelEncoder | None = None,
    *,
    out: str | os.PathLike[str],
    ids: Any = None,
    labels: Any = None,
    patients: Any = None,
    label_names: Any = None,
    splits: Any = None,
    films: ImageTable | None = None,
    config: BuildConfig | None = None,
    engine: str = "local",
    address: str | None = None,
    storage: str | None = None,
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
        Needed for films. With codes it is optional: stored beside them, so that films can be asked for. A model of
        your own comes as a `ModelEncoder`; the index does not hold it.
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
    engine
        "local", or "ray": films are encoded, and neighbours found, by workers of Ray (extra ``ray``). The index is the
        same to the byte on machines of one kind, with any number of workers, also where some are lost.
    address
        With "ray": a running cluster, as ``ray.init`` takes it; ``None`` starts Ray on this machine, with ``n_threads``
        workers.
    storage
        With "ray": folder or URL (fsspec) that all machines see, for what the workers read and write; ``None``: ``out``
        is such a folder. Films are read under their paths.
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
    ClusterError, MissingDependencyError
        The cluster cannot be reached, or a piece of the work fails there; Ray is not installed.
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
    root = check_path("out", out)
    described = {"ids": ids, "labels": labels, "patients": patients, "label_names": label_names, "splits": splits}
    if isinstance(films_or_codes, ImageTable):
        table = check_films(films_or_codes, {**described, "films": films})
        if encoder is None:
            raise InvalidParameterError("encoder", None, "an Encoder", "films need one; codes do not")
        used: Encoder | None = check_encoder(encoder)
        given = None
    else:
        codes, table = describe_codes(films_or_codes, films=films, **described)
        used = None if encoder is None else check_encoder(encoder, codes.shape[1])
        given = Coded(codes, table, codes_hash(codes))
    check_target(root)
    check_engine(engine, address, storage)
    check_backends(config)
    with (
        claimed(root, resume=resume) as stages,
        open_engine(engine, stages.folder, address=address, storage=storage, n_threads=config.n_threads) as workers,
    ):
        coded = _encode(table, used, stages, config, workers, progress) if given is None else given
        linked = link_films(coded, stages, config, workers, progress)
        structure = prepare_search(coded, linked, stages, config, progress)
        communities = divide_films(coded, linked.graph, stages, config, progress)
        report(progress, "write", 0)
        contents = Contents(coded, linked, communities, structure, config, used)
        publish(root, lambda folder: write_contents(folder, contents), work=stages.folder)
        workers.forget()
        report(progress, "write", 1)
        return Index(root, encoder=used)


@contextmanager
def claimed(root: Path, *, resume: bool) -> Iterator[Stages]:
    """Hold the folder as its only writer; when nothing has come of it, leave nothing behind."""
    created = not root.exists()
    make_folder(root)
    with writer_lock(root):
        check_own_folder(root / BUILD)
        if not resume and (root / BUILD).exists():
            remove_folder(root / BUILD)
        stages = Stages(root / BUILD)
        try:
            yield stages
        except BaseException:
            if not any(stages.folder.rglob("*.npz")):
                shutil.rmtree(stages.folder, ignore_errors=True)
                if created:
                    with suppress(OSError):
                        remove_lock(root)
                        root.rmdir()
            raise


def _encode(
    table: ImageTable,
    encoder: Encoder | None,
    stages: Stages,
    config: BuildConfig,
    engine: Engine,
    progress: Progress | None,
) -> Coded:
    if encoder is None:
        raise InvalidParameterError("encoder", None, "an Encoder", "films need one")
    states = file_states(table.paths.tolist())
    encoded = encode_films(
        table,
        encoder,
        make_folder(stages.folder / ENCODE),
        batch_size=config.batch_size,
        precision=config.precision,
        n_workers=config.n_workers,
        shard_rows=config.shard_rows,
        decoding=config.decoding,
        spread=engine.spread,
        shards=engine.shards(),
        progress=progress,
    )
    say_left_out(encoded.problems)  # those of the table were said, or are at hand, where it was read
    films = table.select(encoded.rows)
    films = replace(films, problems=(*table.problems, *encoded.problems))
    return Coded(encoded.codes, films, codes_hash(encoded.codes), encoded.file, states[encoded.rows])
