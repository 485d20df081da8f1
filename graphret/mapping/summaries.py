"""What the communities of an archive are: sizes, findings that stand out, films in their middle, neighbours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.files import digest
from graphret.index import as_index
from graphret.index.derived import derived_array
from graphret.mapping.middle import medoids

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from graphret._types import Float64Array, Int32Array, Int64Array
    from graphret.data import ImageTable
    from graphret.graph import Graph
    from graphret.index import Index

__all__ = ["NO_FINDING", "CommunityLink", "CommunitySummary", "FindingLift", "community_summaries"]

NO_FINDING = "no finding"
"""Stands for films of which every label is known and none is positive."""
_MEDOIDS = 1
"""Version of `medoids`."""
_FEWEST = 3
"""Films with a finding below which it does not stand out."""
_DEVIATIONS = 3.0
"""Standard deviations above chance from which a finding stands out."""
_LINKS = 5


@dataclass(frozen=True)
class FindingLift:
    """A finding that is more frequent in a community than in the archive.

    Parameters
    ----------
    name
        The finding, or "no finding".
    n
        Films of the community with it.
    share
        Of the films of the community of which it is known, in [0, 1].
    lift
        That share over the share in the archive, > 1.
    """

    name: str
    n: int
    share: float
    lift: float


@dataclass(frozen=True)
class CommunityLink:
    """Another community, and its share of the weight of all edges that leave this one, in (0, 1]."""

    community: int
    share: float


@dataclass(frozen=True)
class CommunitySummary:
    """One community of an archive.

    Parameters
    ----------
    community
        Its number, 0 the largest.
    name
        The finding that says most about it, with its lift, as "Effusion x3.1"; "community 4" where none stands out.
    size
        Its films.
    purity
        Share of its films with its most frequent finding, "no finding" counted as one; None where nothing is known.
    findings
        Those that stand out, the one that says most first: by share times log lift, ties by the order of the labels.
    medoid, medoid_id
        The film whose cosines to the others have the largest sum: position and id.
    neighbors
        Up to 5 communities that it has most edges to, by weight, ties by number.
    """

    community: int
    name: str
    size: int
    purity: float | None
    findings: tuple[FindingLift, ...]
    medoid: int
    medoid_id: str
    neighbors: tuple[CommunityLink, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def community_summaries(
    index: Index | str | PathLike[str], *, n_threads: int | None = None
) -> tuple[CommunitySummary, ...]:
    """Describe every community of an archive.

    A finding stands out where at least 3 films of the community have it, and more than chance would give by 3 standard
    deviations (of the number in a sample of this size without replacement).

    Parameters
    ----------
    index
        The archive, or its folder.
    n_threads
        ``None`` for all processors; the result does not depend on it.

    Returns
    -------
    tuple of CommunitySummary
        By number, without those whose films have all gone; after a build the largest comes first.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`.

    Notes
    -----
    O(n d + edges + n L) for L labels; medoids are kept in the folder ``derived`` of the index, as the map is.

    Examples
    --------
    >>> import graphret, numpy as np, tempfile
    >>> generator = np.random.default_rng(0)
    >>> kind = np.repeat([0, 1], 60)
    >>> codes = (generator.normal(size=(120, 8)) + 4 * np.eye(8)[kind]).astype(np.float32)
    >>> labels = {"Effusion": kind == 0, "Edema": kind == 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = graphret.build(codes, labels=labels, out=f"{folder}/index", k=10, tune=False)
    ...     sorted({summary.name for summary in community_summaries(made)})
    ['Edema x2.0', 'Effusion x2.0']
    """
    index = as_index(index)
    manifest, films, labels = index.manifest, index.films, index.communities.view(np.ndarray)
    sizes = np.bincount(labels)
    middle = derived_array(
        index.path,
        "medoids",
        digest("medoids", _MEDOIDS, manifest["codes"]["sha256"], manifest["communities"]["sha256"]),
        lambda: medoids(index.codes, labels, n_threads=n_threads),
        shape=sizes.shape,
        dtype="int32",
    )
    findings, purity = _findings(films, labels, sizes)
    links = _links(index.graph, labels, len(sizes))
    return tuple(
        CommunitySummary(
            community=number,
            name=f"{found[0].name} x{found[0].lift:.1f}" if found else f"community {number}",
            size=int(sizes[number]),
            purity=purity[number],
            findings=found,
            medoid=int(middle[number]),
            medoid_id=str(films.ids[middle[number]]),
            neighbors=links[number],
        )
        for number, found in enumerate(findings)
        if sizes[number]  # the number of a community whose films have all gone is not given again
    )


def _findings(
    films: ImageTable, labels: Int32Array, sizes: Int64Array
) -> tuple[list[tuple[FindingLift, ...]], list[float | None]]:
    names, given = list(films.label_names), films.labels
    none = (given == 0).all(axis=1)
    if names and none.any() and NO_FINDING not in (name.lower().replace("_", " ") for name in names):
        without = np.where((given < 0).any(axis=1) & ~(given == 1).any(axis=1), -1, none).astype(np.int8)
        names, given = [*names, NO_FINDING], np.column_stack([given, without])
    m, n_labels = len(sizes), len(names)
    having, known = np.zeros((m, n_labels)), np.zeros((m, n_labels))
    for label in range(n_labels):
        having[:, label] = np.bincount(labels, weights=given[:, label] == 1, minlength=m)
        known[:, label] = np.bincount(labels, weights=given[:, label] >= 0, minlength=m)
    shares = having / np.maximum(known, 1)
    lifts, deviations = _beyond_chance(having, known)
    standing_out = (having >= _FEWEST) & (deviations >= _DEVIATIONS)
    worth = np.where(standing_out, shares * np.log(np.maximum(lifts, 1)), -1)
    order = np.argsort(-worth, axis=1, kind="stable")
    found = [
        tuple(
            FindingLift(names[label], int(having[row, label]), float(shares[row, label]), float(lifts[row, label]))
            for label in order[row].tolist()
            if standing_out[row, label]
        )
        for row in range(m)
    ]
    is_known = known.sum(axis=1) > 0
    purity = [float(shares[row].max()) if is_known[row] else None for row in range(m)]
    return found, purity


def _beyond_chance(having: Float64Array, known: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Lift of every share, and by how many standard deviations of a hypergeometric number it is above chance."""
    n_having, n_known = having.sum(axis=0), known.sum(axis=0)
    share = n_having / np.maximum(n_known, 1)
    expected = known * share
    left = (n_known - known) / np.maximum(n_known - 1, 1)
    deviation = np.sqrt(np.maximum(expected * (1 - share) * left, 1e-30))
    return having / np.maximum(expected, 1e-30), (having - expected) / deviation


def _links(graph: Graph, labels: NDArray[np.int32], m: int) -> list[tuple[CommunityLink, ...]]:
    import scipy.sparse

    between = scipy.sparse.csr_array((m, m), dtype=np.float64)
    for nodes, edges in graph.row_blocks():
        rows = np.repeat(labels[nodes], np.diff(graph.indptr[nodes.start : nodes.stop + 1]))
        columns = labels[graph.indices[edges]]
        leaving = rows != columns
        entries = graph.weights[edges][leaving].astype(np.float64), (rows[leaving], columns[leaving])
        between = between + scipy.sparse.coo_array(entries, shape=(m, m)).tocsr()
    between.sort_indices()
    found = []
    for row in range(m):
        here = slice(between.indptr[row], between.indptr[row + 1])
        weights, others = between.data[here], between.indices[here]
        best = np.argsort(-weights, kind="stable")[:_LINKS]
        total = float(weights.sum())
        found.append(tuple(CommunityLink(int(others[place]), float(weights[place]) / total) for place in best))
    return found
