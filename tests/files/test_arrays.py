"""Arrays on disk: numpy reads them, other files are refused, and no array is held twice."""

import hashlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from graphret._errors import DamagedIndexError
from graphret.files import map_array, npy_digest, sha256_of, write_array, write_rows
from graphret.files.atomic import BLOCK_BYTES

STORED = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|u1", "|b1", ">f4", "<i2"])


@settings(max_examples=40, deadline=None)
@given(
    array=STORED.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=3, min_side=0, max_side=5)))
)
def test_arrays_round_trip_and_numpy_reads_them(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("array") / "a.npy"
    write_array(path, array)
    for read in (map_array(path), np.load(path, allow_pickle=False)):
        assert read.shape == array.shape
        assert read.dtype == array.dtype.newbyteorder("<")
        assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")
    if array.size:
        assert not map_array(path).flags.writeable


def test_a_digest_is_told_all_bytes_of_the_file(tmp_path):
    array = np.arange(3 * BLOCK_BYTES // 8).reshape(-1, 2)
    total = hashlib.sha256()
    write_array(tmp_path / "a.npy", array, digest=total)
    assert total.hexdigest() == sha256_of(tmp_path / "a.npy") == npy_digest(array)
    assert npy_digest(array[::2]) != npy_digest(array[1::2])


def test_rows_are_written_part_by_part(tmp_path):
    whole = np.arange(3 * BLOCK_BYTES // 8, dtype=np.float32).reshape(-1, 4)
    parts = np.array_split(whole, 7)
    write_rows(tmp_path / "a.npy", whole.shape, whole.dtype, iter(parts))
    assert np.array_equal(map_array(tmp_path / "a.npy"), whole)
    write_rows(tmp_path / "a.npy", whole.shape, whole.dtype, (-part for part in parts))
    assert np.array_equal(map_array(tmp_path / "a.npy"), -whole)


@pytest.mark.parametrize(
    "array", [np.asfortranarray(np.ones((3, 4))), np.array(["text"]), np.zeros(3, [("a", "<f4")]), np.zeros(2, ">f4")]
)
def test_other_npy_files_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DamagedIndexError, match=r"not an \.npy array"):
        map_array(tmp_path / "a.npy")


def test_a_large_array_is_not_held_twice(tmp_path):
    array = np.ones((4 * BLOCK_BYTES // 8, 2), np.float32)
    tracemalloc.start()
    try:
        write_array(tmp_path / "a.npy", array[::-1])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * BLOCK_BYTES < array.nbytes
