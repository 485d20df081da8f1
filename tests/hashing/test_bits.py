"""Packed bits: order, sign of zero, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphret._errors import CodesError, InvalidParameterError
from graphret.hashing import pack_bits, unpack_bits


@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 70)), elements=st.floats(-2, 2, width=32)))
def test_packed_and_unpacked_are_the_signs(values):
    packed = pack_bits(values)
    assert packed.shape == (len(values), -(-values.shape[1] // 8))
    assert packed.dtype == np.uint8
    signs = unpack_bits(packed, values.shape[1])
    assert signs.dtype == np.float32
    np.testing.assert_array_equal(signs, np.where(values >= 0, 1, -1))
    np.testing.assert_array_equal(pack_bits(signs), packed)


def test_bit_j_is_bit_j_modulo_8_of_byte_j_over_8():
    for bit in range(20):
        values = np.full((1, 20), -1.0)
        values[0, bit] = 1.0
        expected = [0, 0, 0]
        expected[bit // 8] = 1 << bit % 8
        assert pack_bits(values).tolist() == [expected]


def test_both_zeros_are_positive_and_unused_bits_are_0():
    assert pack_bits([[0.0, -0.0, np.inf, -np.inf]]).tolist() == [[7]]
    assert pack_bits([[0, -1, 5]]).tolist() == [[5]]


def test_the_order_is_that_of_faiss():
    faiss = pytest.importorskip("faiss")
    values = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    index = faiss.IndexLSH(32, 32, False)  # signs of the values themselves
    index.add(values)
    np.testing.assert_array_equal(faiss.vector_to_array(index.codes).reshape(50, 4), pack_bits(values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((4, 0)), "one column per bit"),
        (np.zeros((2, 2), bool), "dtype bool"),
        ([[1.0, 2.0], [np.nan, 1.0]], "first row 1: NaN has no sign"),
    ],
)
def test_what_has_no_signs_is_refused(values, message):
    with pytest.raises(CodesError, match=message):
        pack_bits(values)


def test_unpacking_needs_packed_codes_of_as_many_bits():
    with pytest.raises(CodesError, match="2 bytes a code, expected 1"):
        unpack_bits(np.zeros((3, 2), np.uint8), 8)
    with pytest.raises(CodesError, match="packed is int64"):
        unpack_bits(np.zeros((3, 1), np.int64), 8)
    with pytest.raises(InvalidParameterError, match="n_bits=0"):
        unpack_bits(np.zeros((3, 1), np.uint8), 0)
