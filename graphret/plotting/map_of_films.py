"""The films of an archive on its map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.index import as_index
from graphret.mapping import archive_map
from graphret.plotting.groups import draw_points, groups_of

if TYPE_CHECKING:
    from graphret.plotting.drawn import Plot

__all__ = ["map_of_films"]


def map_of_films(source: Any, *, colour: str = "community") -> Plot:
    """Every film at its place on the archive map, coloured by community, split, view or a finding."""
    index = as_index(source)
    groups = groups_of(index, colour)
    return draw_points("archive-map", np.arange(len(index.films)), archive_map(index), groups, colour)
