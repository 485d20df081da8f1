"""Who encodes the films and joins the neighbours of a build: this process, or workers of Ray."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.cluster.join import OnThisMachine, StoredJoin, Workers
from graphret.files import Stages, open_stages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ENGINES", "Engine", "check_engine", "open_engine"]

ENGINES = ("local", "ray")
JOIN, ENCODE = "join", "encode"


@dataclass(frozen=True)
class Engine:
    """Those who work on one build.

    Parameters
    ----------
    workers
        Who does the pieces of a join.
    place
        Folder or URL that all of them see.
    is_cluster
        They are many, and every piece has one thread.
    spread
        Encodes shards elsewhere, see `graphret.encoding.encode_films`; ``None``: this process encodes them.
    """

    workers: Workers
    place: str
    is_cluster: bool = False
    spread: Any = None

    @classmethod
    def local(cls, folder: Path) -> Engine:
        """Return one process; what is kept lies in ``folder``."""
        return cls(OnThisMachine(), str(folder))

    def join(self, codes_sha256: str) -> StoredJoin:
        """Return a join whose pieces are kept."""
        return StoredJoin(f"{self.place}/{JOIN}", codes_sha256, self.workers, self.is_cluster)

    def shards(self) -> Stages:
        """Return where the shards of codes are kept."""
        return open_stages(f"{self.place}/{ENCODE}")

    def forget(self) -> None:
        """Remove what is kept, where it does not lie in the folder of the build, which removes its own."""
        if "://" in self.place:
            for name in (JOIN, ENCODE):
                open_stages(f"{self.place}/{name}").keep_only("")


def check_engine(engine: str, address: str | None, storage: str | None) -> None:
    """Look at the words of a call before anything is done.

    Raises
    ------
    UnknownNameError
        Another engine.
    InvalidParameterError
        An address or a storage with the engine that has none.
    MissingDependencyError
        Ray is not installed.

    Examples
    --------
    >>> check_engine("local", None, None)
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    if engine == "local":
        for name, value in (("address", address), ("storage", storage)):
            if value is not None:
                raise InvalidParameterError(name, value, "nothing with engine='local'", "engine='ray' has workers")
        return
    from graphret.cluster.ray_session import load_ray

    load_ray()


@contextmanager
def open_engine(
    engine: str,
    folder: Path,
    *,
    address: str | None = None,
    storage: str | None = None,
    n_threads: int | None = None,
) -> Iterator[Engine]:
    """Open an engine for the time of a build, which goes on while a cluster is being connected.

    Parameters
    ----------
    engine
        "local" or "ray".
    folder
        Of the build: what is kept lies there.
    address
        Of a running Ray cluster, as ``ray.init`` takes it; ``None``: Ray is started on this machine, and stopped again.
    storage
        Folder or URL for what workers read and write, in place of ``folder``, which all of them have to see otherwise.
    n_threads
        Workers of a Ray that is started here; ``None``: one for each processor.

    Notes
    -----
    That the cluster cannot be reached, or that its machines do not see the storage, is a `ClusterError` of the first
    call that needs them, before it writes anything.
    """
    if engine == "local":
        yield Engine.local(folder)
        return
    from graphret.cluster.ray_encoding import spread_shards
    from graphret.cluster.ray_session import RayWorkers, session

    place = str(folder.absolute()) if storage is None else storage.rstrip("/")
    with session(address, n_threads) as connected:
        workers = RayWorkers(connected, place)
        yield Engine(workers, place, is_cluster=True, spread=spread_shards(workers, place))
