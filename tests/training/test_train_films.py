import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from graphret._errors import FilmError
from graphret.data import ImageTable
from graphret.encoders.inference.resize import prepare_film
from graphret.training.films import PreparedFilms

MEMORY, FILES = 10**9, 0


@pytest.fixture(params=[MEMORY, FILES], ids=["memory", "files"])
def cache_bytes(request):
    return request.param


def groups(*rows):
    return [np.array(group, dtype=np.int64) for group in rows]


def test_batches_hold_the_films_in_the_asked_order(table, cache_bytes):
    with PreparedFilms(table, np.arange(10), 16, cache_bytes=cache_bytes, n_workers=2) as films:
        assert films.in_memory == (cache_bytes == MEMORY)
        for _ in range(2):
            seen = list(films.batches(groups([3, 1, 9], [0, 2], [3])))
            assert [rows.tolist() for rows, _, _ in seen] == [[3, 1, 9], [0, 2], [3]]
            for rows, images, readable in seen:
                assert readable.all()
                expected = np.stack([prepare_film(table.read_pixels(row), 16) for row in rows])
                np.testing.assert_array_equal(images, expected)
        assert films.problems == {}


def test_the_cache_is_used_only_if_it_is_large_enough(table):
    rows = np.arange(10)
    need = 10 * 16 * 16 * 4
    for allowed, in_memory in ((need, True), (need - 1, False)):
        with PreparedFilms(table, rows, 16, cache_bytes=allowed) as films:
            assert films.in_memory is in_memory


def test_in_memory_every_film_is_decoded_once(table, monkeypatch):
    read, rows_read = ImageTable.read_pixels, []
    monkeypatch.setattr(ImageTable, "read_pixels", lambda self, row, **_: (rows_read.append(row), read(self, row))[1])
    with PreparedFilms(table, np.arange(6), 16, cache_bytes=MEMORY) as films:
        for _ in range(3):
            list(films.batches(groups(range(6))))
    assert sorted(rows_read) == list(range(6))


def test_a_film_that_cannot_be_read_is_noted_and_replaced_by_one_of_its_batch(table, cache_bytes):
    for row, content in ((1, b"no image"), (4, b"")):
        Path(table.paths[row]).write_bytes(content)
    with PreparedFilms(table, np.arange(6), 16, cache_bytes=cache_bytes) as films:
        (_, images, readable), (_, lost, none) = films.batches(groups([4, 0, 1], [1, 4]))
        assert readable.tolist() == [False, True, False]
        np.testing.assert_array_equal(images, np.repeat(images[1:2], 3, axis=0))
        assert not none.any()
        assert not lost.any()
        assert {row: problem.id for row, problem in films.problems.items()} == {1: "film01", 4: "film04"}
        assert films.problems[1].path == str(table.paths[1])
        assert "image" in films.problems[1].reason


def test_a_bad_film_is_opened_once(table, monkeypatch):
    opened = []

    def fail(self, row, **_):
        opened.append(row)
        raise FilmError("x.png", "broken")

    monkeypatch.setattr(ImageTable, "read_pixels", fail)
    with PreparedFilms(table, np.arange(2), 16, cache_bytes=FILES, n_workers=1) as films:
        for _ in range(3):
            list(films.batches(groups([0])))
        assert films.problems[0].reason == "broken"
    assert opened == [0]


def test_progress_counts_the_films(table):
    calls = []
    with PreparedFilms(table, np.arange(6), 16, cache_bytes=MEMORY, progress=lambda *call: calls.append(call)):
        assert calls == [("reading films", 6, 6)]


def test_the_threads_end(table):
    with PreparedFilms(table, np.arange(6), 16, cache_bytes=FILES, n_workers=3) as films:
        next(films.batches(groups([0, 1, 2], [3, 4, 5])))
        assert any(thread.name.startswith("graphret-film") for thread in threading.enumerate())
    assert not any(thread.name.startswith("graphret-film") for thread in threading.enumerate())


def test_the_threads_end_when_reading_is_interrupted(table):
    def interrupt(*call):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PreparedFilms(table, np.arange(6), 16, cache_bytes=MEMORY, progress=interrupt)
    assert not any(thread.name.startswith("graphret-film") for thread in threading.enumerate())


def test_films_of_uint8_need_a_quarter_and_are_rounded(table):
    rows = np.arange(10)
    need = 10 * 16 * 16
    with PreparedFilms(table, rows, 16, cache_bytes=need) as films:
        assert not films.in_memory
    seen = []
    for allowed, in_memory in ((need, True), (need - 1, False)):
        with PreparedFilms(table, rows, 16, cache_bytes=allowed, stored_as="uint8") as films:
            assert films.in_memory is in_memory
            ((_, images, _),) = films.batches(groups(rows))
        assert images.dtype == np.float32
        seen.append(images)
    np.testing.assert_array_equal(*seen)
    exact = np.stack([prepare_film(table.read_pixels(row), 16) for row in rows])
    np.testing.assert_array_equal(seen[0], (np.rint(exact * 255) / 255).astype(np.float32))
    assert not np.array_equal(seen[0], exact)


@pytest.mark.parametrize("stored_as", ["float32", "uint8"])
@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")],
        ),
    ],
)
def test_films_on_a_device_are_those_in_memory(table, stored_as, device):
    Path(table.paths[4]).write_bytes(b"no image")
    asked = groups([3, 4, 9], [4], [0, 2])
    with PreparedFilms(table, np.arange(10), 16, cache_bytes=MEMORY, stored_as=stored_as) as films:
        expected = list(films.batches(asked))
        films.place_on(torch.device(device), 10**6)
        if device == "cpu":  # where films stay as they are: the same lines, on tensors
            assert films._on_device is None
            films._on_device = torch.from_numpy(films._cache)
        for (rows, images, readable), (_, of_memory, in_memory) in zip(films.batches(asked), expected, strict=True):
            assert isinstance(images, torch.Tensor)
            assert images.device.type == device
            assert images.dtype == torch.float32
            np.testing.assert_array_equal(images.cpu().numpy(), of_memory)
            np.testing.assert_array_equal(readable, in_memory)
            assert rows.tolist() != [4] or not readable.any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_keeps_no_more_than_it_may(table):
    with PreparedFilms(table, np.arange(10), 16, cache_bytes=MEMORY) as films:
        films.place_on(torch.device("cuda"), 10 * 16 * 16 * 4 - 1)
        assert films._on_device is None
        films.place_on(torch.device("cuda"), 10 * 16 * 16 * 4)
        assert films._on_device is not None
