"""What `graphret encode` leaves when it is stopped, and that two of them never mix."""

import json

import numpy as np
import pytest

from graphret._errors import DataError
from graphret.cli.entry import main
from graphret.encoding import read_encoded
from graphret.files import atomic, writer_lock


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    from graphret.data import write_png

    root = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (root / label).mkdir()
        for number in range(3):
            write_png(root / label / f"{label}{number}.png", rng.random((40, 40)).astype(np.float32))
    return root


def encode(films, out, *more):
    call = ["encode", "--data", "folder", "--root", str(films), "--encoder", "resnet18", "--size", "32"]
    return main([*call, "--out", str(out), "--device", "cpu", "--quiet", *more])


def test_a_second_encoding_is_refused(films, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with writer_lock(tmp_path / "out"):
        assert encode(films, tmp_path / "out") == 1
    assert "is being written by process" in capsys.readouterr().err


def test_stopped_between_its_two_files(films, tmp_path, capsys, monkeypatch):
    """The table is new and the codes are old: that is said, and the same call makes both whole."""
    out = tmp_path / "out"
    assert encode(films, out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_films"] == 6
    codes, table = read_encoded(out)
    assert (codes.shape[0], len(table), sorted(path.name for path in out.iterdir())) == (
        6,
        6,
        ["codes.npy", "films.parquet"],
    )
    kept = (out / "codes.npy").read_bytes()
    (films / "b" / "b2.png").rename(tmp_path / "b2.png")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "move", stop)
        patch.setattr("graphret.encoding.encoded_files.move", stop)
        assert encode(films, out) == 130
    assert (out / "codes.npy").read_bytes() == kept
    with pytest.raises(DataError, match="stopped between the two; run the same `graphret encode` again"):
        read_encoded(out)
    assert encode(films, out) == 0
    codes, table = read_encoded(out)
    assert (codes.shape[0], len(table), sorted(path.name for path in out.iterdir())) == (
        5,
        5,
        ["codes.npy", "films.parquet"],
    )


def test_a_folder_of_work_that_is_a_link(films, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".encode").symlink_to(tmp_path / "elsewhere")
    assert encode(films, tmp_path / "out") == 1
    assert ".encode is a link, which is not followed" in capsys.readouterr().err
    assert list((tmp_path / "elsewhere").iterdir()) == []
