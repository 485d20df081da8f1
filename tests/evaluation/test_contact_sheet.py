"""The sheet shows films, what is relevant, and what is missing, and no ids unless asked."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from graphret._errors import InvalidParameterError
from graphret.data import ImageTable
from graphret.evaluation import contact_sheet as draw
from graphret.evaluation.contact_sheet import _CAPTION_LINES, _FRAME, _GAP, _GREY, _HEADER, _LINE

TILE = 64
GREEN, RED = (0, 128, 60), (196, 40, 30)


@pytest.fixture
def tables(film_folder):
    labels = np.zeros((12, 2), dtype=np.int8)
    labels[::2, 0] = 1
    labels[5] = [0, -1]
    table = ImageTable(
        ids=np.array([f"0000{i:04}_000.png" for i in range(12)]),
        paths=np.array(film_folder),
        labels=labels,
        label_names=("Edema", "Pleural_Thickening"),
    )
    return table.select([0, 2]), table


def tile_at(picture, line, column, tile=TILE):
    side = tile + 2 * _FRAME
    left, top = _GAP + column * (side + _GAP), _HEADER + line * (side + _CAPTION_LINES * _LINE + _GAP)
    return picture[top : top + side, left : left + side]


def test_tiles_frames_marks_and_missing_films(tables, tmp_path):
    queries, archive = tables
    positions = np.array([[6, 7, 3], [4, 8, -1]])  # 3 is missing, 4 is broken, -1 is a pad
    draw(tmp_path / "a.png", queries, archive, positions, np.full((2, 3), 0.5), tile=TILE)
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    side = TILE + 2 * _FRAME
    assert picture.shape == (
        _HEADER + 2 * (side + _CAPTION_LINES * _LINE + _GAP),
        _GAP + 4 * (side + _GAP),
        3,
    )
    bottom = (side - 1, side // 2)
    for (line, column), colour in {(0, 1): GREEN, (0, 2): RED, (0, 3): RED, (1, 1): GREEN, (1, 2): GREEN}.items():
        tile = tile_at(picture, line, column)
        assert tuple(tile[bottom]) == colour
        assert (tile[3:13, 3:13] == 255).all(axis=2).any()  # the mark's strokes
    assert not np.array_equal(tile_at(picture, 0, 1)[:16, :16] == 255, tile_at(picture, 0, 2)[:16, :16] == 255)
    middle = (side // 2 + 20, side // 2)
    assert tuple(tile_at(picture, 0, 0)[middle]) != tuple(tile_at(picture, 1, 0)[middle])
    for line, column in ((0, 3), (1, 1), (1, 3)):
        assert tuple(tile_at(picture, line, column)[middle]) == _GREY
        assert (tile_at(picture, line, column)[20:-20] < 100).any()  # it says so
    assert tuple(tile_at(picture, 1, 3)[bottom]) == _GREY  # a pad is neither right nor wrong


def test_film_keeps_its_proportions(tables, tmp_path):
    queries, archive = tables
    draw(tmp_path / "a.png", queries, archive, [[8], [8]], tile=TILE)
    inside = tile_at(np.asarray(Image.open(tmp_path / "a.png")), 0, 1)[_FRAME:-_FRAME, _FRAME:-_FRAME]
    lit = np.flatnonzero(inside[30:].any(axis=(0, 2)))
    assert lit.size == TILE * 30 // 40  # the films are 40 high and 30 wide


def test_every_parameter_changes_the_sheet(tables, tmp_path):
    queries, archive = tables
    positions, similarities = [[6, 7], [8, 9]], [[0.9, 0.8], [0.7, 0.6]]

    def picture(**changes):
        arguments = {"similarities": similarities, "tile": TILE} | changes
        draw(tmp_path / "a.png", queries, archive, positions, **arguments)
        return Image.open(tmp_path / "a.png").convert("RGB")

    plain = picture()
    assert picture() == plain
    for changes in (
        {"similarities": None},
        {"rows": [1, 0]},
        {"n_queries": 1},
        {"n_hits": 1},
        {"tile": 80},
        {"title": "nearest"},
        {"show_ids": True},
    ):
        assert picture(**changes) != plain, changes
    one_row = {picture(n_queries=1, seed=seed).tobytes() for seed in range(8)}
    assert len(one_row) == 2


def test_ids_are_drawn_only_when_asked(tables, tmp_path, monkeypatch):
    from PIL import ImageDraw

    written = []
    original = ImageDraw.ImageDraw.text

    def text(self, place, words, *rest, **options):
        written.append(words)
        return original(self, place, words, *rest, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    queries, archive = tables
    draw(tmp_path / "a.png", queries, archive, [[5], [8]], [[0.25], [0.5]], tile=200)
    assert not any(str(one) in words for one in archive.ids for words in written)
    assert "Pleural Thickening?" in written  # uncertain
    assert "1.  0.250" in written
    written.clear()
    draw(tmp_path / "a.png", queries, archive, [[5], [8]], tile=200, show_ids=True)
    assert str(archive.ids[5]) in written


def test_long_label_lists_end_in_dots(tmp_path, film_folder, monkeypatch):
    from PIL import ImageDraw

    written = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, place, words, *rest, **options: written.append(words))
    names = (*(f"Finding_number_{i}" for i in range(9)), "x" * 200)
    table = ImageTable(ids=["a"], paths=film_folder[:1], labels=np.ones((1, 10)), label_names=names)
    draw(tmp_path / "a.png", table, table, [[-1]], tile=TILE)
    assert any(words.endswith("...") for words in written)
    one_word = ImageTable(ids=["a"], paths=film_folder[:1], labels=[[1]], label_names=("x" * 200,))
    draw(tmp_path / "a.png", one_word, one_word, [[-1]], tile=TILE)
    assert any(words.startswith("xxx") and len(words) < 30 for words in written)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": 20}, "tile=20"),
        ({"n_queries": 0}, "n_queries=0"),
        ({"n_hits": 0}, "n_hits=0"),
        ({"rows": [2]}, r"rows=\[2\].*0 ... 1"),
        ({"rows": []}, r"rows=\[\]"),
        ({"positions": [[0]]}, r"positions=\(1, 1\).*2 queries"),
        ({"positions": [[12], [0]]}, "positions"),
    ],
)
def test_wrong_input_is_named_and_leaves_no_file(changes, message, tables, tmp_path):
    queries, archive = tables
    call = {"queries": queries, "archive": archive, "positions": [[0], [1]]} | changes
    with pytest.raises(InvalidParameterError, match=message):
        draw(tmp_path / "sheet.png", **call)
    assert not (tmp_path / "sheet.png").exists()
