"""What a command says of the films that it reads."""

from __future__ import annotations

import numpy as np

from graphret.cli.films import read_films
from graphret.data import write_png


class Notes:
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def test_films_left_out_and_other_files_are_said_apart(tmp_path):
    for name in ("A/0.png", "A/1.png", "B/0.png", "loose.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_png(tmp_path / name, np.zeros((8, 8), dtype=np.float32))
    (tmp_path / "A/gone.png").symlink_to("nowhere")
    for number in range(120):
        (tmp_path / f"B/{number:03}.txt").write_text("text", encoding="utf-8")
    notes = Notes()
    assert len(read_films("folder", tmp_path, None, notes)) == 3
    left_out, others, summary = notes.said
    assert left_out == "2 films were left out, first loose.png: it lies beside the class folders: it has no class"
    assert others.startswith("120 other files are no films, first B/000.txt: not a film: its content is no picture")
    assert summary.startswith("3 films")
