"""A session of Ray, and the pieces of a join done by its tasks.

Tasks and actors, not Ray Data: a dataset chooses by itself which rows make a batch, and codes depend on their batch in
the last bits; nor does it keep what a killed run has finished.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import ClusterError, GraphretError, MissingDependencyError
from graphret._notes import note_once
from graphret._threads import available_threads
from graphret._version import __version__
from graphret.files import open_stages
from graphret.neighbors.exact_search import row_lengths
from graphret.neighbors.join import join_in_memory
from graphret.neighbors.join_plan import JoinPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from graphret.cluster.stored_join import Pieces

__all__ = ["RETRIES", "RayWorkers", "check_place", "guarded", "load_ray", "result_of", "session"]

logger = logging.getLogger(__name__)

RETRIES = 20
"""Times that a piece is begun again after its worker was lost."""
WAITING = 4
"""Pieces that are submitted at a time, for each processor: a cluster need not know a million of them at once."""
_PROBE = "probe"


def load_ray() -> Any:
    """Import Ray, without the report of its use that it would send to its makers.

    Raises
    ------
    MissingDependencyError
        It is not installed, or does not load.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "ray"
        raise MissingDependencyError("ray", "ray", "engine='ray'", "" if missing else str(error)) from error


@contextmanager
def session(address: str | None, n_workers: int | None = None) -> Iterator[Callable[[], Any]]:
    """Connect to a cluster, or start Ray on this machine for the time of the block, while the caller goes on.

    A program that has connected already stays connected.

    Parameters
    ----------
    address
        As ``ray.init`` takes it; ``None`` starts Ray on this machine.
    n_workers
        Of the Ray that is started here; ``None``: one for each processor.

    Yields
    ------
    callable
        Waits for the connection and returns the module, or raises a `ClusterError`: the cluster cannot be reached.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield lambda: ray
        return
    with ThreadPoolExecutor(1, thread_name_prefix="graphret-ray") as thread:
        connection = thread.submit(_connect, ray, address, n_workers)
        try:
            yield connection.result
        finally:
            if connection.exception() is None:
                ray.shutdown()
    if (error := connection.exception()) is not None:
        note_once(logger, f"{error} (what was asked for was done without it: it is small, or was finished before)")


def _connect(ray: Any, address: str | None, n_workers: int | None) -> Any:
    """Connect, or start Ray here, whose workers then load what pieces of a join need."""
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "configure_logging": False}
    n_here = n_workers or available_threads()
    if address is None:
        # seen by this machine only
        here = {"address": "local", "num_cpus": n_here, "_node_ip_address": "127.0.0.1"}
        options |= {**here, "include_dashboard": False}
    logging.getLogger("ray._private.worker").addFilter(_not_of_sigterm)
    try:
        ray.init(**options)
    except Exception as error:  # Ray raises no class of its own where it does not start in time
        where = "Ray on this machine" if address is None else f"the cluster at {address}"
        raise ClusterError(f"{where} cannot be reached: {error}") from error
    if address is None:
        load = ray.remote(num_cpus=1, max_retries=0)(_load_kernels)
        for _ in range(n_here):
            load.remote()
    return ray


class RayWorkers:
    """Tasks of Ray, one processor each. A task whose worker is lost is begun again, somewhere else.

    Parameters
    ----------
    connected
        Waits for the connection and returns the module, as `session` gives it.
    place
        Folder or URL that workers shall see, which is looked at before the first piece.
    """

    def __init__(self, connected: Callable[[], Any], place: str) -> None:
        self._connected, self._place = connected, place

    @cached_property
    def ray(self) -> Any:
        """The module, connected to machines that all see the place.

        Raises
        ------
        ClusterError
            The cluster cannot be reached, or one of its machines does not see the place or has another graphret.
        """
        ray = self._connected()
        check_place(ray, self._place)
        return ray

    @cached_property
    def _piece(self) -> Any:
        return self.ray.remote(num_cpus=1, max_retries=RETRIES)(_do_piece)

    def do(self, pieces: Pieces, what: str, numbers: Iterable[tuple[int, ...]], say: Callable[[], None]) -> None:
        """Do a method of ``pieces`` with every tuple of numbers, a bounded number of them submitted at a time.

        Raises
        ------
        ClusterError
            One failed, or was lost too often; or there is no cluster to work on.
        """
        most = max(1, int(WAITING * self.ray.cluster_resources().get("CPU", 1)))
        running: list[Any] = []
        for number in numbers:
            if len(running) >= most:
                running = self._first_done(running, say)
            running.append(self._piece.options(name=f"graphret {what}").remote(__version__, pieces, what, number))
        while running:
            running = self._first_done(running, say)

    def _first_done(self, running: list[Any], say: Callable[[], None]) -> list[Any]:
        done, left = self.ray.wait(running, num_returns=1)
        for task in done:
            result_of(self.ray, task)
            say()
        return list(left)


def check_place(ray: Any, place: str) -> None:
    """Let a task on every machine read what this one writes: half an hour later is too late to learn of it.

    Raises
    ------
    ClusterError
        One of them does not see it, or has another graphret.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    key, where = secrets.token_hex(16), f"{place}/{_PROBE}"
    stages = open_stages(where)
    stages.save(_PROBE, key)
    read = ray.remote(num_cpus=0, max_retries=RETRIES)(_read_probe)
    try:
        for node in ray.nodes():
            if node["Alive"]:
                here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                if not result_of(ray, read.options(scheduling_strategy=here).remote(__version__, where, key)):
                    raise ClusterError(
                        f"the machine {node['NodeManagerAddress']} of the cluster does not see {place}: "
                        "give a storage that all machines see (a network folder, or a URL such as s3://...)"
                    )
    finally:
        stages.keep_only("")


def result_of(ray: Any, task: Any) -> Any:
    """Wait for a task and return its result.

    Raises
    ------
    ClusterError
        It failed, or its worker was lost more often than it is begun again.
    """
    try:
        good, value = ray.get(task)
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[-600:]
        raise ClusterError(
            f"a piece of the work failed on every worker that tried it: {reason} (what is finished is kept: "
            "run the same command again)"
        ) from error
    if not good:
        raise ClusterError(value)
    return value


def guarded(version: str, work: Callable[[], Any]) -> tuple[bool, Any]:
    """Return (True, result), or (False, what was wrong): our errors do not travel between processes as they are."""
    if version != __version__:
        return False, f"a worker has graphret {__version__}, this build {version}: install the same on all machines"
    try:
        return True, work()
    except GraphretError as error:
        return False, str(error)


def _do_piece(version: str, pieces: Pieces, what: str, number: tuple[int, ...]) -> tuple[bool, Any]:
    return guarded(version, lambda: getattr(pieces, what)(*number))


def _read_probe(version: str, where: str, key: str) -> tuple[bool, Any]:
    return guarded(version, lambda: open_stages(where).load(_PROBE, key) is not None)


def _not_of_sigterm(record: logging.LogRecord) -> bool:
    """Leave out that Ray, connected by a further thread, sets no handler of SIGTERM: it ends the program as ever."""
    return "SIGTERM handler is not set" not in str(record.msg)


def _load_kernels() -> None:
    """Join a few rows with themselves and forget them: a worker loads its kernels while the build still plans."""
    codes = np.random.default_rng(0).standard_normal((1024, 16)).astype(np.float32)
    plan = JoinPlan.of(codes, lengths := row_lengths(codes), 4, 1.0, np.random.default_rng(0))
    lists = np.empty((1024, 4), np.int32), np.empty((1024, 4), np.float32)
    join_in_memory(codes, lengths, plan, *lists, n_threads=1)
