"""One public path of the engine in a process of its own; prints a hash of its answer.

python numba_steps.py STEP FOLDER
"""

import hashlib
import sys

import numpy as np


def codes():
    random = np.random.default_rng(0)
    centres = random.normal(size=(6, 16))
    return (centres[random.integers(0, 6, 500)] + 0.5 * random.normal(size=(500, 16))).astype(np.float32)


def build(folder):
    import graphret

    labels = np.eye(3, dtype=np.int8)[np.arange(500) % 3]
    patients = [f"p{film // 2}" for film in range(500)]
    index = graphret.build(codes(), out=folder, k=10, labels=labels, patients=patients, tune=False)
    return [index.archive.graph.indices, index.archive.graph.weights, index.archive.communities]


def ranked(folder, **options):
    import graphret

    hits = graphret.open(folder).query(codes()[::50] + 0.1, k=20, **options)
    return [hits.positions, hits.similarities]


def join(folder):
    from graphret.neighbors import ExactSearch, build_graph_search, nearest_neighbors

    table = nearest_neighbors(np.tile(codes(), (10, 1)) + np.arange(5000)[:, None].astype(np.float32) % 7, 5)
    structure = build_graph_search(ExactSearch(codes()), nearest_neighbors(codes(), 10).neighbors, 10, always=True)
    return [table.neighbors, table.similarities, structure.short, structure.entry_points]


def searched(folder):
    from graphret.neighbors import ExactSearch, GraphSearch, build_graph_search, nearest_neighbors

    exact = ExactSearch(codes())
    structure = build_graph_search(exact, nearest_neighbors(codes(), 10).neighbors, 10, always=True)
    found = GraphSearch(exact, structure, always=True).search(codes()[:20] + 0.1, 10)
    return [found.neighbors, found.similarities]


def communities(folder):
    from graphret.communities import louvain
    from graphret.graph import similarity_graph
    from graphret.neighbors import nearest_neighbors

    graph = similarity_graph(nearest_neighbors(codes(), 10))
    return [louvain(graph, objective=objective).labels for objective in ("modularity", "weighted_modularity")]


def hashed(folder):
    from graphret import hashing

    labels, supervised = np.arange(500) % 3, hashing.list_hashers(supervised=True)
    bits = []
    for name in hashing.list_hashers():
        hasher = hashing.create_hasher(name, 16)
        bits.append(hasher.fit(codes(), labels if name in supervised else None).transform(codes()))
    return [*bits, *hashing.hamming_search(bits[0][:20], bits[0], 10)]


STEPS = {
    "build": build,
    "join": join,
    "graph_search": searched,
    "communities": communities,
    "hashing": hashed,
    "one_thread": lambda folder: ranked(folder, n_threads=1),
    "scan": lambda folder: ranked(folder, search="exact"),
    "filtered": lambda folder: ranked(folder, exclude={"patient": {"p3", "p9"}}),
}
RANKINGS = ("nearest", "region_growing", "alpha_qe", "diffusion", "contextual", "hamming", "label_aware")
STEPS |= {name: (lambda folder, name=name: ranked(folder, ranking=name)) for name in RANKINGS}
STEPS |= {
    f"{name} in one thread": (lambda folder, name=name: ranked(folder, ranking=name, search="exact", n_threads=1))
    for name in RANKINGS
}


def fingerprint(arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    print(fingerprint(STEPS[sys.argv[1]](sys.argv[2])))  # noqa: T201 - its answer
