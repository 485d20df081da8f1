"""What the fault campaign does to an index, with seeds: the same in the short run and in the whole one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import threading

import numpy as np

import graphret
from graphret._errors import GraphretError, StoreError
from graphret.files import atomic
from graphret.index.manifest import serialise

RANKINGS = ("nearest", "region_growing", "alpha_qe", "diffusion")
WRITES = ("fsync", "replace", "rename", "link", "ftruncate")
"""Calls of the system that a writer makes on its way; Python's pathlib and our own code reach them by these names."""


def answers(index, codes):
    """What an index says to some queries, to the last bit."""
    found = []
    for ranking in RANKINGS:
        for search in ("exact", "graph"):
            hits = index.query(codes, 5, ranking=ranking, search=search)
            found.append((hits.ids.tolist(), hits.similarities.tobytes()))
    return found


def damage(root, rng):
    """Flip a bit, cut, lengthen, blank or lose a file, or swap two; returns what was done, and how to undo it."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "LOCK")
    path = files[rng.integers(len(files))]
    content = path.read_bytes()
    kind = ("flip", "flip", "flip", "cut", "lengthen", "blank", "lose", "swap")[rng.integers(8)]
    if kind == "lose" and path.name == "ranking.json":
        kind = "blank"  # an index without a tuning is whole: that is what `graphret tune --reset` leaves
    undo = {path: content}
    if kind == "flip":
        changed = bytearray(content)
        changed[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
    elif kind == "cut":
        path.write_bytes(content[: rng.integers(len(content))])
    elif kind == "lengthen":
        path.write_bytes(content + bytes(int(rng.integers(1, 5000))))
    elif kind == "blank":
        path.write_bytes(bytes(len(content)))
    elif kind == "lose":
        path.unlink()
    else:
        other = files[rng.integers(len(files))]
        undo[other] = other.read_bytes()
        path.write_bytes(undo[other])
        other.write_bytes(content)
    return f"{kind} {path.relative_to(root)}", undo


def run_damages(root, codes, n, seed):
    """Damage an index n times; count what was refused, and what changed no answer. Everything else is an error."""
    expected = answers(graphret.open(root), codes)
    rng = np.random.default_rng(seed)
    counts = {"refused when opened": 0, "refused when asked": 0, "found by verify": 0, "without effect": 0}
    for _ in range(n):
        what, undo = damage(root, rng)
        same = all(path.is_file() and path.read_bytes() == content for path, content in undo.items())
        try:
            index = graphret.open(root)
        except StoreError:
            counts["refused when opened"] += 1
        else:
            try:
                assert answers(index, codes) == expected, what
            except StoreError:
                counts["refused when asked"] += 1
            else:
                try:
                    index.verify()
                except StoreError:
                    counts["found by verify"] += 1
                else:
                    harmless = same or what.endswith("CURRENT") or "ranking.json" in what
                    assert harmless, what
                    counts["without effect"] += 1
        for path, content in undo.items():
            path.write_bytes(content)
    return counts


HOSTILE = [
    None,
    True,
    -1,
    0,
    2**31 - 1,
    2**63,
    10**30,
    0.5,
    -0.0,
    1e308,
    "",
    "x" * 5000,
    "../x",
    "\u0000",
    [],
    {},
    [[]],
]


def mutate(value, rng):
    """Change one place of a JSON value: a leaf to something hostile, a key lost, added or of another name."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = sorted(value)[rng.integers(len(value))]
        if rng.random() < 0.15:
            return {name: inner for name, inner in value.items() if name != key}
        if rng.random() < 0.1:
            return {**value, f"{key}x": value[key]}
        return {**value, key: mutate(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = int(rng.integers(len(value)))
        return [mutate(inner, rng) if number == place else inner for number, inner in enumerate(value)]
    return HOSTILE[rng.integers(len(HOSTILE))]


HEADERS = [
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }",
    b"{'descr': '<f4', 'fortran_order': True, 'shape': (300, 12), }",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (300,), }",
    b"{'descr': '<i4', 'fortran_order': False, 'shape': (), }",
    b"{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (3,), }",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 99999999999), }",
    b"{" * 200,
]


def hostile_npy(content, rng):
    """Give the bytes of an array another header, of any kind, or a few other bytes."""
    if rng.random() < 0.5:
        changed = bytearray(content)
        for place in rng.integers(0, min(130, len(content)), int(rng.integers(1, 6))):
            changed[place] = int(rng.integers(256))
        return bytes(changed)
    header = HEADERS[rng.integers(len(HEADERS))]
    if b"%d" in header:
        header %= (int(rng.integers(0, 2**40)), int(rng.integers(0, 2**20)))
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content[128:]


def run_forgeries(root, codes, n, seed):
    """Forge manifests, tunings and arrays n times, every checksum right; count what was refused. None may crash."""
    rng = np.random.default_rng(seed)
    folder = root / "gen-000001"
    arrays = sorted(path.name for path in folder.glob("*.npy"))
    counts = {"refused": 0, "answered": 0}
    for _ in range(n):
        kind = ("manifest", "tuning", "array")[rng.integers(3)]
        path = {"manifest": folder / "manifest.json", "tuning": root / "ranking.json"}.get(kind)
        manifest = (folder / "manifest.json").read_bytes()
        if path is None:
            path = folder / arrays[rng.integers(len(arrays))]
        before = path.read_bytes()
        if kind == "array":
            path.write_bytes(hostile_npy(before, rng))
            content = json.loads(manifest)
            raw = path.read_bytes()
            content["files"][path.name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
            (folder / "manifest.json").write_bytes(serialise(content))
        else:
            changed = mutate(json.loads(before), rng)
            with contextlib.suppress(ValueError):  # some of it is no JSON
                path.write_bytes(serialise(changed) if isinstance(changed, dict) else json.dumps(changed).encode())
        try:
            answers(graphret.open(root), codes)
        except GraphretError:
            counts["refused"] += 1
        else:
            counts["answered"] += 1
        path.write_bytes(before)
        (folder / "manifest.json").write_bytes(manifest)
    return counts


@contextlib.contextmanager
def failing(number, how):
    """Let the n-th of the writing calls fail or end the process: ``how`` is an errno, "kill before" or "kill after"."""
    left, real = [number], {name: getattr(os, name) for name in WRITES}
    one_at_a_time = threading.Lock()  # several files are written at once: each call has a number of its own

    def wrap(name):
        def call(*arguments, **options):
            with one_at_a_time:
                left[0] -= 1
                its_turn = left[0] == 0
            if its_turn and how == "kill before":
                os.kill(os.getpid(), signal.SIGKILL)
            if its_turn and isinstance(how, int):
                raise OSError(how, os.strerror(how))
            result = real[name](*arguments, **options)
            if its_turn:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in WRITES:
        setattr(os, name, wrap(name))
    try:
        yield left
    finally:
        for name, function in real.items():
            setattr(os, name, function)


@contextlib.contextmanager
def counting_large_files(number=0, how=None):
    """Meet every moment of a file that is reserved and flushed while it is written, and end at the n-th of them.

    Yields the moments as they come, (what, its number among all): "reserve" before the room is asked for, "block" when
    a part of the file is there and the next is not, "flush" when a flush beside the writing has begun. ``how`` is an
    errno, which the n-th of them fails with, or "kill".
    """
    one_at_a_time, moments = threading.Lock(), []

    def meet(what):
        with one_at_a_time:
            moments.append((what, len(moments) + 1))
            its_turn = len(moments) == number
        if its_turn and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if its_turn:
            raise OSError(how, os.strerror(how))

    def before(what, function):
        def call(*arguments):
            meet(what)
            return function(*arguments)

        return call

    def write_and_flush(file, blocks):
        def met():
            for block in blocks:
                yield block
                file.flush()
                meet("block")

        real["_write_and_flush"](file, met())

    real = {name: getattr(atomic, name) for name in ("_write_and_flush", "_reserve")}
    flush = os.fdatasync
    atomic._reserve, atomic._write_and_flush = before("reserve", real["_reserve"]), write_and_flush
    os.fdatasync = before("flush", flush)
    try:
        yield moments
    finally:
        os.fdatasync = flush
        for name, function in real.items():
            setattr(atomic, name, function)


def count_calls(work):
    """How many writing calls some work makes."""
    with failing(10**9, errno.EIO) as left:
        work()
    return 10**9 - left[0]


def in_child(work):
    """Run work in a forked process; returns its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except GraphretError:
            status = 3
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def restore(before, root):
    """Put an index back as it was."""
    shutil.rmtree(root)
    shutil.copytree(before, root)


def said(root, queries):
    index = graphret.open(root)
    index.verify()
    return [index.query(queries, 4).ids.tolist(), index.query(queries, 4, ranking="region_growing").ids.tolist()]


def rebuild(root, codes):
    graphret.build(codes, out=root, k=4, n_threads=1, tune=False)


def record(root, _):
    graphret.open(root).record_tuning({"ranking": "diffusion", "options": {}})


def forget(root, _):
    graphret.open(root).forget_tuning()


def pack_it(root, _):
    graphret.pack(root, root.parent / "packed.tar")


def add(root, codes):
    """Add films; where they are there already, there is nothing to do but to clean up."""
    index = graphret.open(root)
    index.add(codes[:5] * np.float32(1.1) + np.float32(0.01), ids=[f"new{number}" for number in range(5)])


def remove(root, _):
    """Remove films that are still there; without any, there is nothing to do but to clean up."""
    index = graphret.open(root)
    index.remove(np.intersect1d(index.films.ids, ["3", "8"]))


def anew(root, _):
    graphret.open(root).rebuild()


OPERATIONS = [rebuild, record, forget, pack_it, add, remove, anew]
