"""Draw docs/pictures/ranking.png: how a list is made, every step computed by the package on generated points.

Run as ``python docs/pictures/draw_ranking.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphret.retrieval import Archive, Contextual, QueryBatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

PICTURE = Path(__file__).with_name("ranking.png")
INK, GREY, FINDING, OTHER = "#222222", "#c4c4c4", "#e08e45", "#3b75af"
HEIGHT = 2.5
"""Of the plane over the origin: the cosine of two points then falls with their distance."""
POOL, N, CONTEXT, N_HITS = 16, 6, 0.9, 5
N_FILMS, SEED = 34, 27
STEPS = (
    ("pool", "the films that are most\nsimilar to the query (star)"),
    ("expansion", "the query moves towards\nits nearest films"),
    ("context", "a film is seen with its\nneighbours in the graph"),
    ("list", "alone by similarity, and\nafter all steps"),
)


def example() -> tuple[NDArray[np.float64], NDArray[np.bool_], Archive, QueryBatch]:
    """Two findings as clouds of points that touch, a query between them, and the archive of the points."""
    generator = np.random.default_rng(SEED)
    points: list[NDArray[np.float64]] = []
    while len(points) < 2 * N_FILMS:
        centre = (-0.5, 0.0) if len(points) < N_FILMS else (0.5, 0.0)
        point = centre + generator.normal(0, (0.34, 0.36), 2)
        if all(np.hypot(*(point - other)) > 0.09 for other in points) and np.abs(point).max() < 1.1:
            points.append(point)
    query = np.array([[-0.08, 0.0]])
    placed = np.array(points)
    archive = Archive.from_codes(lifted(placed), k=5)
    shows = np.arange(len(placed)) < N_FILMS
    return np.vstack([placed, query]), shows, archive, QueryBatch.of(archive, lifted(query), POOL)


def lifted(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Points of the plane as codes."""
    return np.hstack([points, np.full((len(points), 1), HEIGHT)]).astype(np.float32)


def films(axes: Axes, points: NDArray[np.float64], shows: NDArray[np.bool_], strength: float = 1.0) -> None:
    """Draw the films, coloured by what they show."""
    colours = [FINDING if finding else OTHER for finding in shows]
    axes.scatter(*points[:-1].T, c=colours, s=26, alpha=strength, edgecolors="white", linewidths=0.4, zorder=2)


def star(axes: Axes, place: NDArray[np.float64], colour: str = "#ffd21f") -> None:
    """Draw the query."""
    axes.scatter(*place, marker="*", s=190, color=colour, edgecolors=INK, linewidths=0.9, zorder=6)


def draw_list(axes: Axes, rows: list[tuple[str, NDArray[np.int32]]], shows: NDArray[np.bool_]) -> None:
    """Draw the first hits of rankings as squares in a row, coloured by what they show."""
    from matplotlib.patches import Rectangle

    for line, (name, hits) in enumerate(rows):
        top = 0.66 - 0.42 * line
        axes.text(0.02, top + 0.24, name, fontsize=8.5, color=INK, va="bottom")
        for rank, film in enumerate(hits):
            left = 0.02 + 0.195 * rank
            colour = FINDING if shows[film] else OTHER
            axes.add_patch(Rectangle((left, top), 0.17, 0.2, facecolor=colour, edgecolor=INK, linewidth=0.7))
            axes.text(left + 0.085, top + 0.1, str(rank + 1), color="white", fontsize=9, ha="center", va="center")
    axes.set(xlim=(0, 1), ylim=(0, 1.05))


def draw(picture: Path) -> None:
    """Draw the four steps side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    points, shows, archive, batch = example()
    query, pool = points[-1], batch.neighbors[0]
    ranker = Contextual(archive, pool=POOL, n=N, context=CONTEXT)
    moved = (lifted(query[None]) + lifted(points[pool[:N]]).sum(axis=0)).mean(axis=0)
    moved = HEIGHT * moved[:2] / moved[2]
    best = int(ranker.rank(batch, 1).positions[0, 0])
    graph = archive.graph
    figure, panels = plt.subplots(1, 4, figsize=(11.5, 3.2), gridspec_kw={"wspace": 0.12})
    films(panels[0], points, shows, 0.35)
    panels[0].scatter(*points[pool].T, s=62, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=3)
    star(panels[0], query)
    films(panels[1], points, shows, 0.35)
    for film in pool[:N]:
        panels[1].plot(*np.stack([query, points[film]]).T, color=INK, linewidth=0.8, zorder=1)
    star(panels[1], query, "white")
    star(panels[1], moved)
    panels[1].annotate("", moved, query, arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.3}, zorder=7)
    films(panels[2], points, shows)
    for row in range(graph.n_nodes):
        for other in graph.indices[graph.indptr[row] : graph.indptr[row + 1]]:
            near = best in {row, other}
            panels[2].plot(
                *points[[row, other]].T, color=INK if near else GREY, linewidth=1.1 if near else 0.5, zorder=1
            )
    panels[2].scatter(*points[best], s=80, facecolors="none", edgecolors=INK, linewidths=1.3, zorder=4)
    plain = Contextual(archive, pool=POOL, n=0, context=0.0).rank(batch, N_HITS).positions[0]
    rows = [("similarity alone", plain), ("all steps", ranker.rank(batch, N_HITS).positions[0])]
    draw_list(panels[3], rows, shows)
    for axes, (title, words), reach in zip(panels, STEPS, (1.15, 0.5, 0.8, None), strict=True):
        if reach is not None:
            axes.set(xlim=(query[0] - reach, query[0] + reach), ylim=(query[1] - reach, query[1] + reach))
        axes.set_aspect("equal")
        axes.axis("off")
        axes.set_title(title, fontsize=12, color=INK, fontweight="bold")
        axes.text(0.5, -0.03, words, transform=axes.transAxes, ha="center", va="top", fontsize=8.5, color=INK)
    figure.savefig(picture, dpi=110, bbox_inches="tight", facecolor="white", metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
