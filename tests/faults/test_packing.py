"""A whole index as one file, and back: nothing of the file is believed, and no half index ever appears."""

import io
import json
import tarfile

import numpy as np
import pytest

import graphret
from graphret._errors import (
    DamagedIndexError,
    GraphretError,
    InvalidParameterError,
    MissingFileError,
    StoreError,
)
from graphret.cli.entry import main


@pytest.fixture(scope="module")
def packed(whole, tmp_path_factory):
    file = tmp_path_factory.mktemp("packed") / "index.tar"
    graphret.pack(whole, file)
    return file


def rewritten(packed, target, change):
    """A tar with other members: ``change`` maps (TarInfo, bytes) to a list of such."""
    with tarfile.open(packed) as source, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as out:
        for member in source.getmembers():
            for about, content in change(member, source.extractfile(member).read()):
                about.size = len(content) if about.isreg() else 0
                out.addfile(about, io.BytesIO(content) if about.isreg() else None)
    return target


def test_there_and_back(whole, codes, packed, tmp_path):
    again = graphret.unpack(packed, tmp_path / "again")
    assert again.manifest == whole.manifest
    assert again.tuning == whole.tuning
    assert again.query(codes[:9], 5).ids.tolist() == whole.query(codes[:9], 5).ids.tolist()
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["CURRENT", "gen-000001", "ranking.json"]
    graphret.pack(again, tmp_path / "twice.tar")
    assert (tmp_path / "twice.tar").read_bytes() == packed.read_bytes()


def test_any_tar_reads_it(whole, packed, tmp_path):
    with tarfile.open(packed) as file:
        file.extractall(tmp_path, filter="data")
    assert graphret.open(tmp_path).verify()["generation"] == whole.manifest["generation"]


def test_an_index_is_packed_while_it_is_replaced(root, codes, tmp_path):
    index = graphret.open(root)
    for k in (3, 4):
        graphret.build(codes, out=root, k=k, tune=False)
    assert not (root / "gen-000001").exists()
    graphret.pack(index, tmp_path / "old.tar")
    assert graphret.unpack(tmp_path / "old.tar", tmp_path / "old").manifest == index.manifest


def test_damage_is_not_packed(root, tmp_path):
    path = root / "gen-000001" / "codes.npy"
    content = bytearray(path.read_bytes())
    index = graphret.open(root)
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedIndexError, match=r"codes\.npy"):
        graphret.pack(index, tmp_path / "index.tar")
    assert list(tmp_path.glob("*tar*")) == []


def test_every_changed_byte_is_found(packed, tmp_path):
    content = packed.read_bytes()
    rng = np.random.default_rng(3)
    n_harmless = 0
    for number in range(60):
        damaged = bytearray(content)
        damaged[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        (tmp_path / "a.tar").write_bytes(damaged)
        try:
            graphret.unpack(tmp_path / "a.tar", tmp_path / f"out{number}")
        except StoreError:
            assert not (tmp_path / f"out{number}").exists()
        else:
            n_harmless += 1  # in what fills a block up
    assert n_harmless < 12
    assert [path for path in tmp_path.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("length", [0, 1, 511, 512, 700, 5_000, -1_025, -1])
def test_a_file_that_ends_early(packed, tmp_path, length):
    (tmp_path / "a.tar").write_bytes(packed.read_bytes()[:length])
    with pytest.raises(StoreError, match="damaged pack"):
        graphret.unpack(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def renamed(name):
    def change(member, content):
        if member.name == "gen-000001/codes.npy":
            member.name = name
        return [(member, content)]

    return change


def linked(kind):
    def change(member, content):
        if member.name == "gen-000001/codes.npy":
            member.type, member.linkname = kind, "/etc/passwd"
        return [(member, content)]

    return change


def twice(member, content):
    return [(member, content)] * (2 if member.name == "CURRENT" else 1)


def left_out(member, content):
    return [] if member.name == "gen-000001/communities.npy" else [(member, content)]


CHANGES = {
    "a path that leads out": renamed("../codes.npy"),
    "an absolute path": renamed("/codes.npy"),
    "another name": renamed("gen-000001/other.npy"),
    "a hard link": linked(tarfile.LNKTYPE),
    "a symbolic link": linked(tarfile.SYMTYPE),
    "a device": linked(tarfile.CHRTYPE),
    "a pipe": linked(tarfile.FIFOTYPE),
    "a folder": linked(tarfile.DIRTYPE),
    "a member twice": twice,
    "a member is left out": left_out,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_members_that_are_not_those_listed(packed, tmp_path, change):
    rewritten(packed, tmp_path / "a.tar", change)
    with pytest.raises(StoreError, match="damaged pack"):
        graphret.unpack(tmp_path / "a.tar", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/x",
        "gen-000001/../../x",
        "gen-000002/x",
        "x",
        "gen-000001/a/b/c",
        "gen-000001//x",
        "gen-000001/x\\n",
        ".",
    ],
)
def test_a_signed_list_with_names_that_lead_out(packed, tmp_path, name):
    """Its checksum is right, and still no such file is made."""
    from graphret.index.manifest import serialise

    def change(member, content):
        if member.name == "graphret-pack.json":
            listed = json.loads(content)
            listed["members"][name] = listed["members"].pop("gen-000001/codes.npy")
            content = serialise(listed)
        elif member.name == "gen-000001/codes.npy":
            member.name = name
        return [(member, content)]

    rewritten(packed, tmp_path / "a.tar", change)
    with pytest.raises(StoreError, match="is no file of an index"):
        graphret.unpack(tmp_path / "a.tar", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]


def test_targets_and_sources_that_do_not_do(whole, packed, tmp_path):
    with pytest.raises(MissingFileError, match="graphret pack"):
        graphret.unpack(tmp_path / "none.tar", tmp_path / "out")
    with pytest.raises(InvalidParameterError, match="not there yet"):
        graphret.unpack(packed, tmp_path)
    with pytest.raises(MissingFileError, match="make it first"):
        graphret.unpack(packed, tmp_path / "no" / "out")
    with pytest.raises(StoreError, match="it is a folder"):
        graphret.unpack(tmp_path, tmp_path / "out")
    with pytest.raises(GraphretError):
        graphret.pack(whole, tmp_path / "no" / "out.tar")
    with pytest.raises(InvalidParameterError, match="255 bytes"):
        graphret.unpack(packed, tmp_path / ("x" * 300))


def test_the_command_line(whole, tmp_path, capsys):
    file, out = tmp_path / "a.tar", tmp_path / "out"
    assert main(["pack", str(whole.path), str(file), "--quiet", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["generation"], about["n_bytes"] < file.stat().st_size) == ("gen-000001", True)
    assert main(["unpack", str(file), str(out), "--quiet"]) == 0
    assert "300 films, all verified" in capsys.readouterr().out
    assert main(["verify", str(out), "--deep", "--quiet"]) == 0
    assert "entries of the graph fit the codes" in capsys.readouterr().out
    assert main(["unpack", str(file), str(out), "--quiet"]) == 2
