"""The one loop from films to codes, whoever calls it: a build, an evaluation, a query of one file or many."""

import threading
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret._errors import CodesError, FilmError, InvalidParameterError
from graphret.data import read_pixels
from graphret.encoding import CODE_OF_ZEROS, encode_each, encode_films


def literal(encoder, table):
    return np.concatenate([encoder.encode(encoder.prepare(table.read_pixels(row))[None]) for row in range(len(table))])


def never(number, error):
    raise AssertionError((number, error))


def zero_one_code(monkeypatch, encoder, place):
    """Let an encoder give a code of zeros at one place of every batch."""
    real = encoder.encode

    def encode(images, **how):
        codes = real(images, **how)
        codes[place] = 0
        return codes

    monkeypatch.setattr(encoder, "encode", encode)


@pytest.mark.parametrize("numbers", [[7], [3, 1], range(39, -1, -1), []], ids=str)
@pytest.mark.parametrize("settings", [{}, {"batch_size": 3, "n_workers": 2}], ids=str)
def test_codes_come_in_the_order_of_the_numbers(film_table, make_encoder, numbers, settings):
    done = []
    kept, codes = encode_each(
        make_encoder(), film_table.read_pixels, numbers, on_problem=never, on_batch=done.append, **settings
    )
    assert kept.tolist() == list(numbers)
    np.testing.assert_allclose(codes, literal(make_encoder(), film_table)[list(numbers)].reshape(-1, 12), atol=1e-5)
    assert sorted(set(done)) == done
    assert done[-1:] == [len(numbers)][: len(numbers)]


def test_in_memory_the_films_get_the_codes_of_a_folder(film_table, make_encoder, tmp_path, monkeypatch):
    in_folder = encode_films(film_table, make_encoder(), tmp_path / "out", batch_size=7)
    monkeypatch.chdir(tmp_path)
    seen = []
    encoded = encode_films(film_table, make_encoder(), batch_size=7, progress=lambda *step: seen.append(step))
    assert np.array_equal(encoded.codes, in_folder.codes)
    assert np.array_equal(encoded.rows, in_folder.rows)
    assert encoded.file is None
    assert seen == [("encode", min(done, 40), 40) for done in range(7, 43, 7)]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_caller_that_refuses_a_problem_ends_the_work_at_once(film_table, make_encoder):
    read = []

    def broken_third(row):
        read.append(row)
        if row == 2:
            raise FilmError("film02", "it is broken")
        return film_table.read_pixels(row)

    def refuse(number, error):
        assert number == 2
        raise error

    with pytest.raises(FilmError, match="it is broken"):
        encode_each(make_encoder(), broken_third, range(40), on_problem=refuse, batch_size=2, n_workers=1)
    assert len(read) < 12


def test_problems_are_handed_over_and_the_others_go_on(film_table, make_encoder, monkeypatch):
    encoder, found = make_encoder(), []
    zero_one_code(monkeypatch, encoder, 0)
    kept, codes = encode_each(
        encoder,
        lambda row: film_table.read_pixels(row) if row != 5 else read_pixels("/nowhere.png"),
        range(12),
        on_problem=lambda number, error: found.append((number, type(error), str(error))),
        batch_size=4,
    )
    assert kept.tolist() == [1, 2, 3, 6, 7, 9, 10, 11]
    assert codes.shape == (8, 12)
    assert [(number, text) for number, kind, text in found if kind is CodesError] == [
        (row, CODE_OF_ZEROS) for row in (0, 4, 8)
    ]
    assert [number for number, kind, _ in found if issubclass(kind, FilmError)] == [5]


@pytest.mark.parametrize("name", ["batch_size", "n_workers"])
def test_wrong_numbers(film_table, make_encoder, name):
    with pytest.raises(InvalidParameterError, match=f"{name}=0 "):
        encode_each(make_encoder(), film_table.read_pixels, [1], on_problem=never, **{name: 0})


def test_a_query_of_many_files_is_decoded_in_threads(film_table, film_index, make_encoder, monkeypatch):
    encoder = make_encoder()
    index = graphret.open(film_index.path, encoder=encoder)
    together, waits, real = threading.Barrier(2, timeout=20), iter(range(2)), encoder.prepare

    def prepare(film):
        if next(waits, None) is not None:
            together.wait()  # passes only when two threads are here
        return real(film)

    monkeypatch.setattr(encoder, "prepare", prepare)
    paths = film_table.paths[10:16].tolist()
    hits = index.query([*paths[:3], "film20", *paths[3:]], 1, n_threads=2)
    assert hits.ids[:, 0].tolist()[:3] == ["film10", "film11", "film12"]
    assert hits.ids[:, 0].tolist()[4:] == ["film13", "film14", "film15"]
    names = []
    monkeypatch.setattr(encoder, "prepare", lambda film: names.append(threading.current_thread().name) or real(film))
    index.query(paths, 1, n_threads=1)
    assert len(set(names)) == 1
    names.clear()
    index.query(paths[0], 1)
    assert names == [threading.current_thread().name]  # no thread begins for one film


def test_a_query_of_many_files_names_the_bad_one(film_table, film_index, make_encoder, tmp_path, monkeypatch):
    encoder = make_encoder()
    index = graphret.open(film_index.path, encoder=encoder)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(FilmError, match=r"bad\.png"):
        index.query([*film_table.paths[:3].tolist(), str(bad)], 1)
    zero_one_code(monkeypatch, encoder, 1)
    with pytest.raises(CodesError, match=rf"the code of .*{Path(film_table.paths[1]).name} is all zeros or not finite"):
        index.query(film_table.paths[:3].tolist(), 1)
