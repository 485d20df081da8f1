"""What commands write beside an index, on a disk that is full: an error that says so, and no half of a file."""

import errno
import os

import pytest

from graphret.cli.entry import main


@pytest.mark.parametrize(
    "command",
    [
        ["export", "{index}", "{out}.graphml"],
        ["query", "{index}", "--id", "film000", "--csv", "{out}.csv"],
        ["query", "{index}", "--id", "film000", "--html", "{out}.html"],
        ["report", "{index}", "--out", "{out}.html"],
        ["audit", "{index}", "--html", "{out}.html"],
        ["audit-phi", "{index}", "--out", "{out}.json"],
        ["plot", "class-balance", "{index}", "--out", "{out}.svg"],
        ["pack", "{index}", "{out}.tar"],
    ],
    ids=lambda command: f"{command[0]} {command[-1].partition('.')[2]}",
)
def test_a_full_disk(whole, tmp_path, monkeypatch, capsys, command):
    folder = tmp_path / "out"
    folder.mkdir()

    def refuse(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    assert main([part.format(index=whole.path, out=folder / "x") for part in command]) == 1
    said = capsys.readouterr().err
    assert f"error: cannot write {folder}/x" in said
    assert "No space left on device" in said
    assert "unexpected" not in said
    assert list(folder.iterdir()) == []
