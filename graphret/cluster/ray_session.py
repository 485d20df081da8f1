"""A session of Ray, and the pieces of a join done by its tasks.

Tasks and actors, not Ray Data: a dataset chooses by itself which rows make a batch, and codes depend on their batch in
the last bits; nor does it keep what a killed run has finished.
"""

from __future__ import annotations

import importlib
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphret._errors import ClusterError, GraphretError, MissingDependencyError
from graphret._threads import available_threads
from graphret._version import __version__
from graphret.files import open_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from graphret.cluster.stored_join import Pieces

__all__ = ["RETRIES", "RayWorkers", "load_ray", "result_of", "session"]

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
def session(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or start Ray on this machine for the time of the block; yields the module.

    A program that has connected already stays connected.

    Raises
    ------
    ClusterError
        The cluster cannot be reached.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "include_dashboard": False}
    if address is None:
        # seen by this machine only
        options |= {"address": "local", "num_cpus": available_threads(), "_node_ip_address": "127.0.0.1"}
    else:
        options = {"address": address, "log_to_driver": False, "configure_logging": False}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        where = "Ray on this machine" if address is None else f"the cluster at {address}"
        raise ClusterError(f"{where} cannot be reached: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


class RayWorkers:
    """Tasks of Ray, one processor each. A task whose worker is lost is begun again, somewhere else.

    Parameters
    ----------
    ray
        The module, connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._piece = ray.remote(num_cpus=1, max_retries=RETRIES)(_do_piece)

    def do(self, pieces: Pieces, what: str, numbers: Sequence[tuple[int, ...]], say: Callable[[], None]) -> None:
        """Do a method of ``pieces`` with every tuple of numbers, a bounded number of them submitted at a time.

        Raises
        ------
        ClusterError
            One failed, or was lost too often.
        """
        most = max(1, int(WAITING * self._ray.cluster_resources().get("CPU", 1)))
        running: list[Any] = []
        for number in numbers:
            if len(running) >= most:
                running = self._first_done(running, say)
            running.append(self._piece.options(name=f"graphret {what}").remote(__version__, pieces, what, number))
        while running:
            running = self._first_done(running, say)

    def _first_done(self, running: list[Any], say: Callable[[], None]) -> list[Any]:
        done, left = self._ray.wait(running, num_returns=1)
        for task in done:
            result_of(self._ray, task)
            say()
        return list(left)

    def check_place(self, place: str) -> None:
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
        read = self._ray.remote(num_cpus=0, max_retries=RETRIES)(_read_probe)
        try:
            for node in self._ray.nodes():
                if node["Alive"]:
                    here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                    if not result_of(self._ray, read.options(scheduling_strategy=here).remote(__version__, where, key)):
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
