"""Draw docs/pictures/contact_sheet.png: test films of `graphret demo` and their hits. The films are generated.

    graphret demo && python docs/pictures/draw_contact_sheet.py graphret-demo

The films depend on the seed alone, the hits on how far the demo's three minutes of training came on the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

import graphret
from graphret.evaluation import contact_sheet

PICTURE = Path(__file__).with_name("contact_sheet.png")
N_QUERIES, N_HITS, TILE, COLOURS = 3, 5, 118, 96


def draw(demo: Path, picture: Path) -> None:
    """Draw queries, chosen at random, and their hits by the default ranking of the index."""
    index = graphret.open(demo / "index")
    films = graphret.read_dataset("phantom", demo / "films").split("test")
    queries = films.select(films.relevance().any(axis=1))
    hits = index.query(list(map(Path, queries.paths)), N_HITS, exclude="patient", patients=list(queries.patients))
    contact_sheet(
        picture,
        queries,
        index.films,
        hits.positions,
        hits.similarities,
        n_queries=N_QUERIES,
        n_hits=N_HITS,
        tile=TILE,
        title=f"generated films, ranking {hits.ranking}",
    )
    with Image.open(picture) as sheet:
        small = sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE)
