"""Codes in whatever form people have them: float32 in the end, or one line that says why not."""

import numpy as np
import pytest
import torch

import graphret
from graphret._checks import as_array, check_codes
from graphret._errors import CodesError
from graphret.hashing import create_hasher, pack_bits
from graphret.neighbors import nearest_neighbors

CODES = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float16)
TENSOR = torch.from_numpy(CODES)
EQUAL = {
    "float16": CODES,
    "float64": CODES.astype(np.float64),
    "big endian": CODES.astype(">f4"),
    "list": CODES.tolist(),
    "list of rows": list(CODES),
    "tensor, float16": TENSOR,
    "tensor with a gradient": TENSOR.float().requires_grad_(),
    "masked nowhere": np.ma.MaskedArray(CODES),
}
BFLOAT16 = TENSOR.bfloat16()


@pytest.mark.parametrize("name", EQUAL)
def test_codes_of_any_real_type_are_float32(name):
    codes = check_codes(EQUAL[name])
    assert codes.dtype == np.float32
    assert type(codes) is np.ndarray
    np.testing.assert_array_equal(codes, CODES.astype(np.float32))


def test_bfloat16_is_widened_wherever_codes_are_taken(tmp_path):
    expected = BFLOAT16.float().numpy()
    np.testing.assert_array_equal(check_codes(BFLOAT16), expected)
    index = graphret.build(BFLOAT16, out=tmp_path / "index", k=5)
    np.testing.assert_array_equal(index.codes, expected)
    whole = index.query(expected, 3).positions
    for queries in (BFLOAT16, list(BFLOAT16)):
        np.testing.assert_array_equal(index.query(queries, 3).positions, whole)
    np.testing.assert_array_equal(index.query(BFLOAT16[4], 3).positions, whole[4:5])
    np.testing.assert_array_equal(nearest_neighbors(BFLOAT16, 3).neighbors, nearest_neighbors(expected, 3).neighbors)
    hasher = create_hasher("lsh", 8).fit(BFLOAT16)
    np.testing.assert_array_equal(hasher.transform(BFLOAT16), hasher.transform(expected))
    np.testing.assert_array_equal(pack_bits(BFLOAT16), pack_bits(expected))


def test_what_is_masked_is_not_taken_for_a_number():
    masked = np.ma.MaskedArray(CODES, mask=np.arange(120).reshape(20, 6) == 7)
    with pytest.raises(CodesError, match="1 rows hold NaN or infinity, first row 1"):
        check_codes(masked)


@pytest.mark.parametrize(("scale", "what"), [(1e60, "too large"), (1e-80, "too small")])
def test_what_float32_cannot_hold_is_called_so(scale, what):
    with pytest.raises(CodesError, match=f"20 rows are {what} for float32, first row 0"):
        check_codes((CODES.astype(np.float64) + 10) * scale)


@pytest.mark.parametrize("wrong", [[[1.0, 2.0], [3.0]], [TENSOR[0].bfloat16()]])
def test_what_numpy_cannot_read_is_one_line(wrong):
    with pytest.raises(
        CodesError, match=r"codes cannot be read as an array: .* \(give one float32 array \(n, d\)\)"
    ) as caught:
        as_array("codes", wrong)
    assert "\n" not in str(caught.value)
