"""Candidates of NVIDIA's cuVS: its all-neighbors graph by NN-descent, of which nothing is believed unseen.

NN-descent (Dong et al. 2011) is approximate, and cuVS's was seen to lose most neighbours in silence at some numbers of
rows. So candidates only are taken from it: they are scored canonically, and the recall is measured on a sample of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graphret._types import Codes, Int32Array

__all__ = ["DEGREES", "cuvs_candidates"]

DEGREES = (1.5, 3.0, 6.0)
"""Links of a row that NN-descent works with, in candidates that are asked for: more, where the recall falls short."""
ITERATIONS = 50


def cuvs_candidates(unit: Codes, size: int, degree: float, device: str = "cuda") -> Int32Array:
    """Ask cuVS for the nearest rows of every row.

    Parameters
    ----------
    unit
        float32 (n, d), unit rows, whose squared distances order as cosines do.
    size
        Candidates of a row, less than n.
    degree
        Links of a row while the graph is made, as a multiple of ``size``; at least 1.
    device
        Of torch.

    Returns
    -------
    ndarray
        int32 (n, size), in no order, a row perhaps among its own; -1 in the place of an id that came twice or is none.
    """
    import torch
    from cuvs.neighbors import all_neighbors, nn_descent

    n_rows = unit.shape[0]
    links = min(n_rows - 1, int(degree * size))
    descent = nn_descent.IndexParams(
        metric="sqeuclidean", graph_degree=size, intermediate_graph_degree=links, max_iterations=ITERATIONS
    )
    params = all_neighbors.AllNeighborsParams(algo="nn_descent", metric="sqeuclidean", nn_descent_params=descent)
    ids = torch.empty((n_rows, size), dtype=torch.int64, device=device)
    all_neighbors.build(torch.from_numpy(unit).to(device), size, params, indices=ids)
    found = np.sort(ids.cpu().numpy(), axis=1)
    found[:, 1:][found[:, 1:] == found[:, :-1]] = -1
    found[(found < 0) | (found >= n_rows)] = -1
    return found.astype(np.int32)
