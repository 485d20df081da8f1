"""Films encoded by actors of Ray, shard by shard: a shard has the batches that one machine gives it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graphret._version import __version__
from graphret.cluster.ray_session import RETRIES, guarded, result_of
from graphret.files import open_stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret.cluster.ray_session import RayWorkers
    from graphret.encoding import EncodingJob
    from graphret.files import Stages

__all__ = ["spread_shards"]


class ShardEncoder:
    """An actor: holds encoder and table, and encodes shards."""

    def __init__(self, version: str, job: EncodingJob, place: str, key: str, torch_threads: int | None) -> None:
        self._version, self._job, self._place, self._key = version, job, place, key
        if torch_threads is not None:  # codes are the same to the bit with the same number of threads
            import torch

            torch.set_num_threads(torch_threads)

    def encode(self, first: int, stop: int) -> tuple[bool, Any]:
        """Encode the films of some rows, and keep them as a shard."""
        return guarded(self._version, lambda: self._encode(range(first, stop)))

    def _encode(self, rows: range) -> None:
        with self._job.source(0) as source:  # 0: "auto" takes threads, an actor has few processors
            self._job.keep(rows, open_stages(self._place), self._key, source)


def spread_shards(workers: RayWorkers, place: str) -> Callable[..., None]:
    """Return a function that encodes shards by actors, as many as the cluster has room for.

    An actor takes a GPU where the encoder is on one and the cluster has some; else as many processors as torch has
    threads here, so that it rounds as this machine would. A lost actor is started again, and its shard with it.
    """

    def spread(job: EncodingJob, _: Stages, key: str, missing: tuple[range, ...], say: Callable[[int], None]) -> None:
        if not missing:
            return
        ray = workers.ray
        has = ray.cluster_resources()
        torch = sys.modules.get("torch")
        threads = None if torch is None else int(torch.get_num_threads())
        on_gpu = getattr(job.encoder, "device", "cpu") == "cuda" and has.get("GPU", 0) >= 1
        processors = max(1, min(threads or 1, *(int(node["Resources"].get("CPU", 1)) for node in ray.nodes())))
        room = int(has["GPU"]) if on_gpu else int(has.get("CPU", 1)) // processors
        kind = ray.remote(max_restarts=RETRIES, max_task_retries=RETRIES)(ShardEncoder)
        needs = {"num_gpus": 1, "num_cpus": 1} if on_gpu else {"num_cpus": processors}
        sent = ray.put(replace(job, progress=None))
        actors = [
            kind.options(**needs).remote(__version__, sent, f"{place}/encode", key, threads)
            for _ in range(max(1, min(room, len(missing))))
        ]
        waiting = list(missing[::-1])
        running: dict[Any, tuple[Any, range]] = {}
        try:
            for actor in actors:
                _next(actor, waiting, running)
            while running:
                (done,), _ = ray.wait(list(running), num_returns=1)
                actor, rows = running.pop(done)
                result_of(ray, done)
                say(len(rows))
                _next(actor, waiting, running)
        finally:
            for actor in actors:
                ray.kill(actor)

    return spread


def _next(actor: Any, waiting: list[range], running: dict[Any, tuple[Any, range]]) -> None:
    """Give an actor the next shard, if there is one."""
    if waiting:
        rows = waiting.pop()
        running[actor.encode.remote(rows.start, rows.stop)] = actor, rows
