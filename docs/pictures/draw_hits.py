"""Draw docs/pictures/hits.png: what `graphret query --html` shows of one test film of `graphret demo`.

    graphret demo && python docs/pictures/draw_hits.py graphret-demo

The picture holds the content of the page: the same document, thumbnails and words. The films are generated.
"""

from __future__ import annotations

import io
import sys
import textwrap
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

import graphret
from graphret.data.thumbnails import read_thumbnails
from graphret.index import describe_hits
from graphret.index.answers import legend_of, why_in_words

PICTURE = Path(__file__).with_name("hits.png")
N_HITS, SIDE, GAP, LINE, COLOURS = 5, 150, 12, 15, 96
WORDS = 27  # letters of a line under a film
INK, GREY, PAPER, EDGE = (28, 33, 38), (75, 86, 96), (255, 255, 255), (200, 206, 212)


def draw(demo: Path, picture: Path) -> None:
    """Draw the first test film with findings, and its hits by region growing, one film of each patient."""
    index = graphret.open(demo / "index")
    films = graphret.read_dataset("phantom", demo / "films").split("test")
    row = int(films.relevance().any(axis=1).argmax())
    hits = index.query(Path(films.paths[row]), N_HITS, ranking="region_growing", group_by="patient")
    document = describe_hits(index, hits)
    answer = document["queries"][0]
    call = f"graphret query graphret-demo/index {Path(answer['path']).name} -k {N_HITS}"
    heads = [
        f"$ {call} --ranking region_growing --group-by patient --html hits.html",
        *(f"source {name}: {meaning}" for name, meaning in legend_of(document).items()),
    ]
    tiles = [(answer["path"], ["query"]), *((hit["path"], _lines(hit)) for hit in answer["hits"])]
    n_lines = max(len(lines) for _, lines in tiles)
    top = GAP + len(heads) * (LINE + 2) + GAP
    size = (GAP + len(tiles) * (SIDE + 2 * GAP), top + SIDE + 2 * GAP + n_lines * LINE + GAP)
    sheet = Image.new("RGB", size, PAPER)
    brush, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, line in enumerate(heads):
        brush.text((GAP, GAP + number * (LINE + 2)), line, INK if number == 0 else GREY, font)
    thumbnails = read_thumbnails([path for path, _ in tiles], SIDE)
    for number, (path, lines) in enumerate(tiles):
        left = GAP + number * (SIDE + 2 * GAP)
        box = (left, top, left + SIDE + GAP, size[1] - GAP)
        brush.rectangle(box, outline=INK if number == 0 else EDGE, width=2 if number == 0 else 1)
        with Image.open(io.BytesIO(thumbnails.pictures[path])) as film:
            sheet.paste(film.convert("RGB"), (left + GAP // 2, top + GAP // 2))
        for place, line in enumerate(lines):
            ink = INK if place < 1 else GREY
            brush.text((left + GAP // 2, top + SIDE + GAP + place * LINE), line, ink, font)
    sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(picture, optimize=True)


def _lines(hit: dict[str, Any]) -> list[str]:
    texts = [
        f"{hit['rank']}. {hit['id']}",
        ", ".join(hit["labels"]).replace("_", " ") or "no positive label",
        f"similarity {hit['similarity']:.4f}",
        f"score {hit['score']:.4f}",
        f"community {hit['community']}",
        f"source {hit['source']}",
        f"patient {hit['group']}",
        why_in_words(hit),
    ]
    return [line for text in texts for line in textwrap.wrap(text, WORDS)]


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE)
