"""Draw docs/pictures/pipeline.png: from films to hits, every step computed by the package on generated data.

Run as ``python docs/pictures/draw_pipeline.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.communities import louvain
from graphret.data import phantom_films
from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Archive, QueryBatch, create_ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

PICTURE = Path(__file__).with_name("pipeline.png")
STEPS = (
    ("films", "decoded, split by patient\ndata/"),
    ("codes", "a network turns each film\ninto a vector\nencoders/, training/"),
    ("similarity graph", "each film linked to its\nnearest by cosine\nneighbors/, graph/"),
    ("communities", "Louvain divides the graph\ncommunities/"),
    ("hits", "a query (star) is linked, and\na region grows around it\nretrieval/"),
)
COLOURS = ("#3b75af", "#e08e45", "#519e3e", "#8d69b8", "#c0504d", "#84584e")
GREY = "#9a9a9a"
INK = "#222222"
N_HITS = 6


def example_archive() -> tuple[NDArray[np.float64], Archive, QueryBatch]:
    """Points in the plane as an archive: lifted to unit height, their cosine falls with their distance."""
    generator = np.random.default_rng(5)
    centres = np.array([(-0.62, 0.45), (0.55, 0.6), (0.05, -0.1), (0.72, -0.5), (-0.55, -0.6)])
    points = np.vstack([spread(centre, generator) for centre in centres])
    query = np.array([[0.3, -0.2]])
    codes = np.hstack([points, np.full((len(points), 1), 1.2)]).astype(np.float32)
    table = nearest_neighbors(codes, 4)
    graph = similarity_graph(table, threshold=None)
    parts = louvain(graph, seed=0)
    archive = Archive(codes, graph, parts.labels, search=ExactSearch(codes), k=4)
    asked = np.hstack([query, [[1.2]]]).astype(np.float32)
    return np.vstack([points, query]), archive, QueryBatch.of(archive, asked, 4)


def spread(centre: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Nine points around a centre, none so near to another that their discs would overlap."""
    points: list[NDArray[np.float64]] = []
    while len(points) < 9:
        point = centre + generator.normal(0, 0.24, 2)
        if all(np.hypot(*(point - other)) > 0.19 for other in points) and np.abs(point).max() < 1.0:
            points.append(point)
    return np.array(points)


def draw_films(axes: Axes) -> None:
    """Draw six generated films as a stack."""
    films, _ = phantom_films(6, size=96, seed=3)
    for number, film in enumerate(films):
        left, top = 0.04 + 0.1 * number, 0.54 - 0.09 * number
        axes.imshow(film, cmap="gray", vmin=0, vmax=1, extent=(left, left + 0.46, top, top + 0.46), zorder=number)
        axes.add_patch(frame(left, top, 0.46, 0.46, zorder=number + 0.5))
    axes.set(xlim=(0, 1), ylim=(0, 1))


def draw_codes(axes: Axes) -> None:
    """Draw six codes as strips: never negative, few values large, as those of DenseNet-121."""
    generator = np.random.default_rng(1)
    for row in range(6):
        values = generator.gamma(0.5, 1.0, (1, 26))
        bottom = 0.86 - 0.155 * row
        axes.imshow(values, cmap="Blues", vmax=2.5, extent=(0.02, 0.98, bottom, bottom + 0.1), aspect="auto")
        axes.add_patch(frame(0.02, bottom, 0.96, 0.1))
    axes.set(xlim=(0, 1), ylim=(0, 1))


def frame(left: float, bottom: float, width: float, height: float, **options: Any) -> Any:
    """Make the outline of a box."""
    from matplotlib.patches import Rectangle

    return Rectangle((left, bottom), width, height, fill=False, edgecolor=INK, linewidth=0.6, **options)


def draw_graph(axes: Axes, points: NDArray[np.float64], archive: Archive, colours: list[str]) -> None:
    """Draw the edges and nodes of the archive's graph."""
    graph = archive.graph
    for row in range(graph.n_nodes):
        for other in graph.indices[graph.indptr[row] : graph.indptr[row + 1]]:
            if other > row:
                axes.plot(*points[[row, other]].T, color="#c4c4c4", linewidth=0.8, zorder=1)
    axes.scatter(*points[: graph.n_nodes].T, c=colours, s=34, edgecolors="white", linewidths=0.5, zorder=2)
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08))


def draw_hits(axes: Axes, points: NDArray[np.float64], archive: Archive, batch: QueryBatch, colours: list[str]) -> None:
    """Draw the query, its edges, and its hits in the order in which region growing took them in."""
    draw_graph(axes, points, archive, colours)
    query = points[-1]
    for film in batch.neighbors[0]:
        axes.plot(*np.stack([query, points[film]]).T, color=INK, linewidth=1.0, zorder=3)
    axes.scatter(*query, marker="*", s=210, color="#ffd21f", edgecolors=INK, linewidths=0.9, zorder=6)
    hits = create_ranking("region_growing", archive).rank(batch, N_HITS).positions[0]
    for rank, film in enumerate(hits, start=1):
        axes.scatter(*points[film], s=120, color=colours[film], edgecolors=INK, linewidths=0.9, zorder=4)
        axes.text(*points[film], str(rank), color="white", fontsize=7, ha="center", va="center_baseline", zorder=5)


def draw(picture: Path) -> None:
    """Draw the five steps side by side, with arrows between them."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    points, archive, batch = example_archive()
    grey = [GREY] * len(archive.codes)
    coloured = [COLOURS[label % len(COLOURS)] for label in archive.communities]
    figure, panels = plt.subplots(1, 5, figsize=(13, 3.5), gridspec_kw={"wspace": 0.22})
    draw_films(panels[0])
    draw_codes(panels[1])
    draw_graph(panels[2], points, archive, grey)
    draw_graph(panels[3], points, archive, coloured)
    draw_hits(panels[4], points, archive, batch, coloured)
    for number, (axes, (title, words)) in enumerate(zip(panels, STEPS, strict=True)):
        axes.set_aspect("equal")
        axes.axis("off")
        axes.set_title(title, fontsize=13, color=INK, fontweight="bold")
        axes.text(0.5, -0.04, words, transform=axes.transAxes, ha="center", va="top", fontsize=8.5, color=INK)
        if number:
            arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.4}
            axes.annotate(
                "",
                xy=(-0.02, 0.5),
                xytext=(-0.2, 0.5),
                xycoords="axes fraction",
                textcoords="axes fraction",
                arrowprops=arrow,
            )
    figure.savefig(picture, dpi=110, bbox_inches="tight", facecolor="white", metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
