"""Ids packed as UTF-8: the same texts out as in, from Python and from Arrow's chunks and slices."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphret.index.film_ids import FEW, FilmIds

TEXTS = st.lists(st.text(max_size=6), max_size=12)


@given(TEXTS)
def test_every_text_comes_back(texts):
    ids = FilmIds.of(texts)
    assert len(ids) == len(texts)
    assert [ids[film] for film in range(len(texts))] == texts


@given(st.lists(TEXTS, max_size=4), st.sampled_from([pa.string(), pa.large_string()]), st.integers(0, 3))
def test_from_the_chunks_of_a_column(chunks, kind, first):
    column = pa.chunked_array([pa.array(chunk, kind) for chunk in chunks], type=kind).slice(first)
    ids = FilmIds.from_arrow(column)
    assert [ids[film] for film in range(len(ids))] == column.to_pylist()


def test_take_keeps_the_shape_and_pads():
    ids = FilmIds.of(["a", "bc", "dé"])
    assert ids.take(np.array([[2, 1, -1], [0, -1, -1]], np.int32)).tolist() == [["dé", "bc", ""], ["a", "", ""]]
    assert ids.take(np.empty((2, 0), np.int32)).shape == (2, 0)


ASCII = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=6)


@given(st.lists(ASCII, min_size=1, max_size=12), st.booleans())
def test_many_ids_are_taken_like_few(texts, some):
    films = np.array([*range(len(texts)), *[-1] * some, 0], np.int32)
    expected = [*texts, *[""] * some, texts[0]]
    ids, times = FilmIds.of(texts), FEW // len(films) + 1
    assert ids.take(films).tolist() == expected
    assert ids.take(np.tile(films, (times, 1))).tolist() == [expected] * times


@pytest.mark.parametrize("column", [pa.chunked_array([[1, 2]]), pa.chunked_array([pa.array(["a", None])])])
def test_other_columns_are_refused(column):
    with pytest.raises(ValueError, match="not text"):
        FilmIds.from_arrow(column)
