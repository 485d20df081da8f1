"""TOML of strangers: what is no plain, small file of plain TOML is refused with a reason, and not read first."""

import os

import pytest

from graphret._errors import GraphretError
from graphret.comparison.experiment_file import read_toml as read_experiment_toml
from graphret.data import read_dataset_spec
from graphret.files import read_toml


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"a = "), "not TOML"),
        (lambda path: path.write_bytes(b"a = '\xff'"), "not TOML"),
        (lambda path: path.write_bytes(b"a = " + b"[" * 100_000), "nested too deeply"),
        (lambda path: path.write_bytes(b"# " + b"x" * 2**20), "1,048,578 bytes, at most 1,048,576"),
        (lambda path: path.touch() or os.truncate(path, 8 * 2**30), "at most 1,048,576"),
        (os.mkfifo, "a named pipe"),
        (lambda path: path.mkdir(), "a folder"),
    ],
)
def test_what_is_refused(tmp_path, make, reason):
    path = tmp_path / "a.toml"
    make(path)
    with pytest.raises(ValueError, match=reason):
        read_toml(path)
    with pytest.raises(GraphretError, match=rf"{path}.*{reason}"):
        read_experiment_toml(path)
    if path.is_file():
        with pytest.raises(GraphretError, match=rf"{path}.*{reason}"):
            read_dataset_spec(path)


def test_a_link_that_the_user_names_is_followed(tmp_path):
    (tmp_path / "a.toml").write_text("k = 3", encoding="utf-8")
    (tmp_path / "b.toml").symlink_to(tmp_path / "a.toml")
    assert read_toml(tmp_path / "b.toml") == {"k": 3}
