"""Finished stages: found again under their key, never half of one, never of another key."""

import tracemalloc

import numpy as np
import pytest

from graphret._errors import StoreError
from graphret.files import Stages, digest


@pytest.fixture
def stages(tmp_path):
    return Stages(tmp_path / "deep" / "stages")


def test_stages_are_kept_by_their_key(stages):
    stages.save("graph", digest(1), {"n": 1}, {"a": np.arange(3), "b": np.ones(2, np.float32)})
    stages.save("graph", digest(2), {"n": 2}, {"a": np.arange(4)})
    stages.save("nothing", digest(2))
    record, arrays = stages.load("graph", digest(1))
    assert record == {"n": 1}
    assert {name: values.tolist() for name, values in arrays.items()} == {"a": [0, 1, 2], "b": [1.0, 1.0]}
    assert arrays["b"].dtype == np.float32
    assert set(stages.load("graph", digest(1), ["b"]).arrays) == {"b"}
    assert stages.load("graph", digest(1), []) == ({"n": 1}, {})
    assert stages.load("graph", digest(1), ["c"]) is None
    assert stages.load("graph", digest(3)) is None
    assert stages.load("codes", digest(1)) is None
    assert stages.load("nothing", digest(2)) == ({}, {})


def test_only_one_key_is_kept(stages):
    stages.save("graph", digest(1))
    stages.save("graph", digest(2), {"n": 2})
    (stages.folder / f".graph-{digest(2)[:32]}.npz.partial-1-0f3a51c2").write_bytes(b"half")
    (stages.folder / "inner").mkdir()
    stages.keep_only(digest(2))
    assert stages.load("graph", digest(1)) is None
    assert stages.read("graph", digest(2)).record == {"n": 2}
    assert len(list(stages.folder.iterdir())) == 2


def test_keys_that_only_begin_the_same(stages):
    key = digest(1)
    stages.save("graph", key)
    assert stages.load("graph", key[:-1] + ("0" if key[-1] != "0" else "1")) is None


@pytest.mark.parametrize("position", ["end", "array", "record", "all"])
def test_a_damaged_stage_is_not_done(stages, position):
    stages.save("codes", "key", {"text": "a record"}, {"x": np.full(1000, 7.0)})
    (path,) = stages.folder.iterdir()
    content = bytearray(path.read_bytes())
    if position == "end":
        del content[-40:]
    elif position == "all":
        content = bytearray(b"half")
    else:
        content[content.index(np.full(9, 7.0).tobytes() if position == "array" else b"a record")] ^= 1
    path.write_bytes(bytes(content))
    assert stages.load("codes", "key") is None
    with pytest.raises(StoreError, match=r"codes-key\.npz cannot be read any more: run the same command again"):
        stages.read("codes", "key")


def test_a_kill_while_saving_leaves_the_stage_before(stages, monkeypatch):
    stages.save("codes", "key", {"n": 1}, {"x": np.zeros(3)})

    def killed(file, **entries):
        file.write(b"PK")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.save("codes", "key", {"n": 2}, {"x": np.ones(3)})
    record, arrays = stages.load("codes", "key")
    assert record == {"n": 1}
    assert arrays["x"].tolist() == [0, 0, 0]


def test_arrays_are_not_gathered_in_memory(stages):
    arrays = {f"a{number}": np.zeros(2**21) for number in range(4)}
    tracemalloc.start()
    try:
        stages.save("codes", "key", {}, arrays)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24 + 2**23  # a fraction of the 64 MB, whatever their number


def test_digests_are_of_the_values():
    assert digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1}) != digest({"a": 1, "b": [2, 4]})
    assert digest(np.array(["ab", "c"])) != digest(np.array(["a", "bc"]))
    assert digest(np.zeros((2, 3))) != digest(np.zeros((3, 2)))
    assert digest("a", "b") != digest("ab")
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.ascontiguousarray(np.arange(6).reshape(2, 3).T))
