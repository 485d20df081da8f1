"""A program that asks an index from several threads and from forked children; prints what it found, as JSON.

python threads_steps.py STEP FOLDER
"""

import json
import logging
import multiprocessing
import pickle
import sys
import threading
from pathlib import Path

import numba
import numpy as np

import graphret
from graphret.neighbors import nearest_neighbors

RANKINGS = ("nearest", "region_growing", "diffusion", "contextual", "hamming", "label_aware")


def codes():
    random = np.random.default_rng(0)
    centres = random.normal(size=(6, 16))
    return (centres[random.integers(0, 6, 500)] + 0.5 * random.normal(size=(500, 16))).astype(np.float32)


def layer():
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def asked(index, rows, n_threads, rankings=RANKINGS):
    return [index.query(codes()[rows], 5, ranking=name, n_threads=n_threads).positions.tolist() for name in rankings]


def in_fork(function):
    """What a function returns in a forked child, or how the child ended."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(function()))
    child.start()
    child.join(60)
    if child.exitcode is None:
        child.kill()
        return "it hangs"
    return receiver.recv() if child.exitcode == 0 else f"exit code {child.exitcode}"


def logged():
    """Lines that graphret logs from now on."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("graphret").addHandler(handler)
    return lines


def threads(folder):
    """One thread starts nothing; then many threads of the program, each asking with one thread and with two."""
    index = graphret.open(folder)
    expected = asked(index, slice(0, 20), 1)
    single = layer()
    same = []

    def ask(n_threads):
        same.extend(asked(index, slice(0, 20), n_threads) == expected for _ in range(3))

    running = [threading.Thread(target=ask, args=(1 + number % 2,)) for number in range(6)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return {"one thread": single, "several": layer(), "same": sum(same)}


def forks(folder):
    """A child of a process that has asked with two threads, and its own child."""
    index = graphret.open(folder)
    expected = asked(index, slice(0, 20), 2)
    table = nearest_neighbors(codes(), 5, n_threads=2)

    def child():
        lines = logged()
        same = [asked(index, slice(0, 20), number) == expected for number in (1, 2, None)]
        same.append(bool(np.array_equal(nearest_neighbors(codes(), 5, n_threads=2).neighbors, table.neighbors)))
        same.append(in_fork(lambda: asked(index, slice(0, 20), 2)) == expected)
        same.append(len(pickle.loads(pickle.dumps(index))) == len(index))  # noqa: S301 - made a moment ago
        return {"same": same, "said": lines}

    return in_fork(child)


def early_fork(folder):
    """A child of a process that has used no threads starts its own."""
    index = graphret.open(folder)
    expected = asked(index, slice(0, 20), 1, ["region_growing"])
    return in_fork(lambda: [asked(index, slice(0, 20), 2, ["region_growing"]) == expected, layer()])


def films(folder):
    """Films are encoded in a child although torch has run two threads in the parent."""
    import torch

    torch.set_num_threads(2)
    encoder = graphret.load_encoder("resnet18", size=64)
    images = np.random.default_rng(0).random((4, 64, 64), dtype=np.float32)
    expected = [encoder.encode(images[:1]), encoder.encode(images)]

    def child():
        found = [encoder.encode(images[:1]), encoder.encode(images)]
        return all(np.allclose(mine, other, atol=1e-5) for mine, other in zip(found, expected, strict=True))

    return in_fork(child)


def build(folder):
    labels = np.eye(3, dtype=np.int8)[np.arange(500) % 3]
    graphret.build(
        codes(), out=folder, k=10, labels=labels, patients=[f"p{film // 2}" for film in range(500)], tune=False
    )


STEPS = {step.__name__: step for step in (threads, forks, early_fork, films)}

if __name__ == "__main__":
    if not (Path(sys.argv[2]) / "CURRENT").exists():
        in_fork(lambda: build(sys.argv[2]))
    print(json.dumps(STEPS[sys.argv[1]](sys.argv[2])))  # noqa: T201 - its answer
