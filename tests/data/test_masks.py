"""Masks with several classes, in pictures and in MAT-files."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from graphret._errors import DataError, FilmError
from graphret.data.decoding.limits import FilmLimits
from graphret.data.decoding.matlab import read_mat_mask
from graphret.data.masks import MaskPart, mask_column, n_mask_classes, read_mask

DISC_AND_CUP = np.zeros((6, 8), np.uint8)
DISC_AND_CUP[1:5, 1:7] = 1
DISC_AND_CUP[2:4, 3:5] = 2


def put(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "float64", "int32", "bool"])
def test_a_mat_file_of_the_authors(tmp_path, compressed, dtype):
    values = DISC_AND_CUP.astype(dtype)
    savemat(tmp_path / "a.mat", {"mask": values, "other": np.ones((2, 2)), "text": "abc"}, do_compression=compressed)
    found = read_mat_mask(tmp_path / "a.mat")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, loadmat(tmp_path / "a.mat")["mask"])
    savemat(tmp_path / "b.mat", {"anything": DISC_AND_CUP * 300.0, "s": {"mask": values}}, do_compression=compressed)
    assert read_mat_mask(tmp_path / "b.mat").dtype == np.uint16
    np.testing.assert_array_equal(read_mask(tmp_path, "b.mat#classes=0,300,600"), DISC_AND_CUP)


def test_mat_files_that_are_refused(tmp_path):
    path = tmp_path / "a.mat"

    def refused(match, **variables):
        savemat(path, variables)
        with pytest.raises(FilmError, match=match):
            read_mat_mask(path)

    refused("no array", a=DISC_AND_CUP, b=DISC_AND_CUP)
    refused(r"no array .*arrays of numbers: none", mask={"field": DISC_AND_CUP})
    refused("no array", mask=np.array([DISC_AND_CUP, "x"], dtype=object))
    refused("whole numbers", mask=DISC_AND_CUP + 0.5)
    refused("whole numbers", mask=DISC_AND_CUP - 1.0)
    refused("whole numbers", mask=DISC_AND_CUP * np.nan)
    with pytest.raises(FilmError, match="no such file"):
        read_mat_mask(tmp_path / "none.mat")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM" + b"\x89HDF")
    with pytest.raises(FilmError, match=r"-v7\.3 is HDF5"):
        read_mat_mask(path)
    path.write_bytes(b"")
    with pytest.raises(FilmError, match="no MAT-file"):
        read_mat_mask(path)


def test_a_mat_file_that_unpacks_to_more_than_is_allowed(tmp_path):
    path = tmp_path / "bomb.mat"
    savemat(path, {"mask": np.zeros((3000, 3000), np.uint8)}, do_compression=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(FilmError, match=r"FilmLimits\.memory"):
        read_mat_mask(path, limits=FilmLimits(memory=1_000_000))
    with pytest.raises(FilmError, match=r"FilmLimits\.pixels"):
        read_mat_mask(path, limits=FilmLimits(pixels=1_000_000))
    assert read_mat_mask(path).shape == (3000, 3000)


def test_damaged_mat_files_end_in_an_error_of_films(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"mask": DISC_AND_CUP}, do_compression=True)
    whole = path.read_bytes()
    _, length = struct.unpack("<II", whole[128:136])
    plain = zlib.decompress(whole[136 : 136 + length])
    rng = np.random.default_rng(0)
    n_refused = 0
    for content in (whole, whole[:128] + plain):
        for number in range(150):
            damaged = bytearray(content)
            if number % 3 == 0:
                del damaged[rng.integers(1, len(damaged)) :]
            else:
                damaged[rng.integers(124, len(damaged))] = rng.integers(256)
            path.write_bytes(bytes(damaged))
            try:
                found = read_mat_mask(path)
            except FilmError:
                n_refused += 1
            else:
                assert found.dtype in (np.uint8, np.uint16)
                assert found.ndim == 2
    assert n_refused > 100


def test_a_mask_without_classes_is_every_pixel_that_is_not_zero(tmp_path):
    put(tmp_path / "a.png", DISC_AND_CUP * 7)
    np.testing.assert_array_equal(read_mask(tmp_path, "a.png"), DISC_AND_CUP > 0)


def test_classes_by_value_and_parts_over_each_other(tmp_path):
    put(tmp_path / "a.png", DISC_AND_CUP * 100)
    np.testing.assert_array_equal(read_mask(tmp_path, "a.png#classes=0,100,200"), DISC_AND_CUP)
    np.testing.assert_array_equal(read_mask(tmp_path, "a.png#classes=0,200,100"), (3 - DISC_AND_CUP) % 3)
    put(tmp_path / "disc.png", (DISC_AND_CUP > 0).astype(np.uint8) * 255)
    put(tmp_path / "cup.png", (DISC_AND_CUP == 2).astype(np.uint8) * 255)
    np.testing.assert_array_equal(read_mask(tmp_path, "disc.png|cup.png#class=2"), DISC_AND_CUP)
    np.testing.assert_array_equal(read_mask(tmp_path, "cup.png#class=2|disc.png"), DISC_AND_CUP)


def test_masks_that_are_refused(tmp_path):
    put(tmp_path / "a.png", DISC_AND_CUP)
    put(tmp_path / "colour.png", np.stack([DISC_AND_CUP * 90] * 2 + [DISC_AND_CUP], axis=2))
    put(tmp_path / "small.png", DISC_AND_CUP[:3])
    for name, match in (
        ("a.png#classes=0,1", r"has the values \[2.0\]: its classes are \(0, 1\)"),
        ("colour.png#classes=0,1,2", "its classes are"),
        ("a.png|small.png", "equal sizes"),
        ("a.png#classes=0", "#class=N"),
        ("a.png#classes=0,1,1", "all different"),
        ("a.png#class=0", "#class=N"),
        ("a.png#class=17", "from 1 to 16"),
    ):
        with pytest.raises(DataError, match=match):
            read_mask(tmp_path, name)
    with pytest.raises(FilmError):
        read_mask(tmp_path, "none.png")


def test_the_classes_of_folders_stand_behind_every_path(tmp_path):
    for folder in ("disc", "cup"):
        put(tmp_path / folder / "001.png", DISC_AND_CUP)
    savemat(tmp_path / "cup" / "002.mat", {"mask": DISC_AND_CUP})
    column = mask_column(tmp_path, ["disc + cup#class=2"], ["001", "002", "003"])
    assert column.tolist() == [
        f"{tmp_path}/disc/001.png|{tmp_path}/cup/001.png#class=2",
        f"{tmp_path}/cup/002.mat#class=2",
        "",
    ]
    assert n_mask_classes(column) == 2
    assert n_mask_classes(["", "a.png"]) == 1
    assert n_mask_classes([""]) == 0
    assert MaskPart.of("a#b.png").path == "a#b.png"
    with pytest.raises(DataError, match="#classes="):
        mask_column(tmp_path, ["cup#classes=1"], ["001"])
