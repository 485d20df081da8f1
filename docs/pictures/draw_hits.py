"""Draw docs/pictures/hits.png and examples.png: what `graphret query --html` shows of films of `graphret demo`.

    graphret demo && python docs/pictures/draw_hits.py graphret-demo

The pictures hold the content of the page: the same document, thumbnails and words. The films are generated.
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

FOLDER = Path(__file__).parent
N_HITS, SIDE, GAP, LINE, COLOURS = 5, 150, 12, 15, 96
WORDS = 27  # letters of a line under a film
INK, GREY, PAPER, EDGE = (28, 33, 38), (75, 86, 96), (255, 255, 255), (200, 206, 212)


def draw(demo: Path, picture: Path) -> None:
    """Draw the first test film with findings, and its hits by region growing, one film of each patient."""
    index = graphret.open(demo / "index")
    films = _test_films(demo)
    asked = films.paths[int(films.relevance().any(axis=1).argmax())]
    document = describe_hits(index, index.query(Path(asked), N_HITS, ranking="region_growing", group_by="patient"))
    call = f"graphret query graphret-demo/index {Path(asked).name} -k {N_HITS}"
    heads = [
        f"$ {call} --ranking region_growing --group-by patient --html hits.html",
        *(f"source {name}: {meaning}" for name, meaning in legend_of(document).items()),
    ]
    _sheet(heads, [(asked, ["query"])], document, picture)


def draw_examples(demo: Path, picture: Path) -> None:
    """Draw two test films with one finding in common, one without it, and what is like those and unlike this."""
    index = graphret.open(demo / "index")
    films = _test_films(demo)
    has = films.relevance()
    label = int(has.sum(axis=0).argmax())
    like = [str(path) for path in films.paths[has[:, label]][:2]]
    unlike = str(films.paths[~has[:, label]][0])
    document = describe_hits(index, index.query_examples([*map(Path, like)], Path(unlike), N_HITS - 1))
    names = [Path(path).name for path in (*like, unlike)]
    heads = [f"$ graphret query graphret-demo/index --like {names[0]} --like {names[1]} --unlike {names[2]}"]
    heads.append(f"ranking {document['ranking']}")
    asked = [(path, ["like", films.label_names[label].replace("_", " ")]) for path in like]
    _sheet(heads, [*asked, (unlike, ["unlike"])], document, picture)


def _test_films(demo: Path) -> Any:
    return graphret.read_dataset("phantom", demo / "films").split("test")


def _sheet(heads: list[str], asked: list[tuple[str, list[str]]], document: dict[str, Any], picture: Path) -> None:
    """Draw the films that ask, framed, and their hits."""
    tiles = [*asked, *((hit["path"], _lines(hit)) for hit in document["queries"][0]["hits"])]
    n_lines = max(len(lines) for _, lines in tiles)
    top = GAP + len(heads) * (LINE + 2) + GAP
    size = (GAP + len(tiles) * (SIDE + 2 * GAP), top + SIDE + 2 * GAP + n_lines * LINE + GAP)
    sheet = Image.new("RGB", size, PAPER)
    brush, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, line in enumerate(heads):
        brush.text((GAP, GAP + number * (LINE + 2)), line, INK if number == 0 else GREY, font)
    thumbnails = read_thumbnails([path for path, _ in tiles], SIDE)
    for number, (path, lines) in enumerate(tiles):
        left, asks = GAP + number * (SIDE + 2 * GAP), number < len(asked)
        box = (left, top, left + SIDE + GAP, size[1] - GAP)
        brush.rectangle(box, outline=INK if asks else EDGE, width=2 if asks else 1)
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
        *([f"patient {hit['group']}"] if "group" in hit else []),
        why_in_words(hit),
    ]
    return [line for text in texts for line in textwrap.wrap(text, WORDS)]


if __name__ == "__main__":
    draw(Path(sys.argv[1]), FOLDER / "hits.png")
    draw_examples(Path(sys.argv[1]), FOLDER / "examples.png")
