"""Films that hang, crash or eat memory end their own process, not the work; memory is shared out between threads."""

from __future__ import annotations

import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from PIL import Image

from graphret._errors import FilmError, GraphretError, InvalidParameterError
from graphret.data import ImageTable, generate_phantom, read_dataset
from graphret.data.decoding import budget
from graphret.data.images import FilmLimits, read_pixels
from graphret.data.isolated import Decoding, IsolatedReader
from graphret.encoding import encode_films
from graphret.index import BuildConfig

HARM = """
import os, sys, time
worker = sys.modules["__main__"]
whole = worker.read_pixels

def read_pixels(path, *, limits):
    name = os.path.basename(path)
    if name == "hang.png":
        time.sleep(600)
    if name == "spin.png":
        while True:
            pass
    if name == "eat.png":
        held = [bytearray(2**26) for _ in range(200)]
    if name == "crash.png":
        os.abort()
    if name == "leave.png":
        os._exit(0)
    if name == "write.png":
        with open(path + ".written", "wb") as file:
            file.write(bytes(100))
            file.flush()
    if name == "lie.png":
        worker.json.dumps = lambda value: '{"shape": [99999, 99999], "dtype": "uint8"}'
    return whole(path, limits=limits)

worker.read_pixels = read_pixels
"""


@pytest.fixture
def harmful(tmp_path, monkeypatch):
    """A decoder that does harm for some names: in the workers only, loaded in the place of a library of theirs."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "jpeg_ls.py").write_text(HARM)
    monkeypatch.syspath_prepend(plugins)
    names = ("hang", "spin", "eat", "crash", "leave", "write", "lie", "good")
    for name in names:
        Image.new("L", (6, 4), 51).save(tmp_path / f"{name}.png")
    return tmp_path


def test_the_same_pixels_and_reasons(tmp_path):
    generate_phantom(tmp_path, 3, size=48)
    table = read_dataset("phantom", tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with IsolatedReader() as reader:
        for path in table.paths.tolist():
            np.testing.assert_array_equal(reader.read_pixels(path), read_pixels(path))
        for path in (str(tmp_path / "broken.png"), str(tmp_path / "none.png"), str(tmp_path)):
            with pytest.raises(FilmError) as here, IsolatedReader():
                read_pixels(path)
            with pytest.raises(FilmError) as there:
                reader.read_pixels(path)
            assert there.value.reason == here.value.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hang", "it took too long to decode, and was ended"),
        ("eat", "more memory to decode than it may"),
        pytest.param("crash", "the process that decoded it ended by signal SIGABRT", marks=pytest.mark.slow),
        pytest.param("leave", "the process that decoded it ended by itself", marks=pytest.mark.slow),
        pytest.param("lie", "its decoder gave no picture", marks=pytest.mark.slow),
    ],
)
def test_each_harm_is_one_film(harmful, name, reason):
    before = psutil.Process().children()
    with IsolatedReader(limits=FilmLimits(memory=2**27), seconds=20 if name != "hang" else 2) as reader:
        assert reader.read_pixels(str(harmful / "good.png")).shape == (4, 6)
        with pytest.raises(FilmError, match=reason):
            reader.read_pixels(str(harmful / f"{name}.png"))
        assert reader.read_pixels(str(harmful / "good.png")).shape == (4, 6)
    assert psutil.Process().children() == before


@pytest.mark.slow
def test_a_worker_writes_no_file_and_ends_by_itself(harmful):
    with IsolatedReader() as reader, pytest.raises(FilmError):
        reader.read_pixels(str(harmful / "write.png"))
    written = harmful / "write.png.written"
    assert not written.exists() or written.stat().st_size == 0
    with IsolatedReader(seconds=1) as reader, pytest.raises(FilmError, match="took too long"):
        reader.read_pixels(str(harmful / "spin.png"))


def test_a_real_film_that_would_take_minutes(tmp_path):
    """A progressive JPEG of 60 kB in which the last scan comes again and again: each goes over all blocks."""
    stream = io.BytesIO()
    Image.new("L", (6000, 6000), 90).save(stream, "JPEG", progressive=True, quality=30)
    data = stream.getvalue()
    scan = data.rindex(b"\xff\xda")
    (tmp_path / "slow.jpg").write_bytes(data[:-2] + data[scan:-2] * 6000 + data[-2:])
    with IsolatedReader(seconds=3) as reader:
        began = time.monotonic()
        with pytest.raises(FilmError, match="took too long"):
            reader.read_pixels(str(tmp_path / "slow.jpg"))
        assert time.monotonic() - began < 30


class Means:
    """An encoder without a network."""

    name, size, code_length, fingerprint = "means", 2, 4, "0" * 64

    def prepare(self, film):
        white = np.iinfo(film.dtype).max if film.dtype.kind == "u" else 1
        return film[:2, :2].astype(np.float32) / white + 0.5

    def encode(self, images, **_):
        return images.reshape(len(images), -1)

    def encoding(self, **_):
        from contextlib import nullcontext

        class Done:
            def __init__(self, codes):
                self.codes = codes

            def result(self):
                return self.codes

        return nullcontext(lambda images: Done(self.encode(images)))


def test_a_build_goes_on(harmful):
    names = ["good", "crash", "hang", "good2", "eat"]
    Image.new("L", (6, 4), 80).save(harmful / "good2.png")
    table = ImageTable(ids=names, paths=[str(harmful / f"{name}.png") for name in names], labels=[])
    limits = FilmLimits(memory=2**27)
    found = encode_films(table, Means(), n_workers=2, decoding=Decoding(isolate=True, limits=limits, seconds=5))
    assert found.rows.tolist() == [0, 3]
    assert sorted(problem.id for problem in found.problems) == ["crash", "eat", "hang"]


def test_limits_of_a_build(tmp_path):
    generate_phantom(tmp_path, 4, size=48)
    table = read_dataset("phantom", tmp_path)
    with pytest.raises(GraphretError, match=r"48 x 48 pixels, more than the 100 .*FilmLimits.pixels"):
        encode_films(table, Means(), decoding=BuildConfig(film_pixels=100).decoding)
    with pytest.raises(InvalidParameterError, match="decode_seconds=0"):
        BuildConfig(decode_seconds=0)
    with pytest.raises(InvalidParameterError, match="isolate='yes'"):
        BuildConfig(isolate="yes")


def test_threads_wait_for_memory(tmp_path, monkeypatch):
    """Eight threads, room for two films: never more is reserved, and all are read."""
    for number in range(16):
        Image.new("L", (300, 300), number).save(tmp_path / f"{number}.png")
    seen, lock = [], threading.Lock()
    counted = budget.DecodingBudget()
    change = counted.change

    def watch(held, needed, at_most):
        change(held, needed, at_most)
        with lock:
            seen.append(counted.in_use)
        time.sleep(0.005)

    monkeypatch.setattr(counted, "change", watch)
    monkeypatch.setattr(budget, "_budget", counted)
    limits = FilmLimits(at_once=2 * 300 * 300 * 9 + 10)
    with ThreadPoolExecutor(8) as pool:
        films = list(pool.map(lambda n: read_pixels(tmp_path / f"{n}.png", limits=limits), range(16)))
    assert [int(film[0, 0]) for film in films] == list(range(16))
    assert 300 * 300 * 9 < max(seen) <= limits.at_once
    assert counted.in_use == 0


def test_a_film_larger_than_the_room_is_read_alone(tmp_path):
    Image.new("L", (300, 300), 7).save(tmp_path / "film.png")
    limits = FilmLimits(at_once=1000)
    with ThreadPoolExecutor(4) as pool:
        films = list(pool.map(lambda _: read_pixels(tmp_path / "film.png", limits=limits), range(8)))
    assert all((film == 7).all() for film in films)


def test_nothing_stays_reserved_after_errors(tmp_path):
    Image.new("L", (300, 300), 7).save(tmp_path / "film.png")
    data = (tmp_path / "film.png").read_bytes()
    (tmp_path / "film.png").write_bytes(data[: len(data) // 2])
    for _ in range(3):
        with pytest.raises(FilmError):
            read_pixels(tmp_path / "film.png")
    assert budget._budget.in_use == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_begins_without_reservations():
    budget._budget.change(0, 100, 1000)
    child = os.fork()
    if child == 0:
        os._exit(budget._budget.in_use)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    budget._budget.change(100, 0, 1000)


def test_memory_that_one_film_lacks_ends_no_work(tmp_path):
    """Neither where it is decoded nor where it is made ready for the encoder."""

    class Hungry(Means):
        def prepare(self, film):
            if film.max() == 66:
                raise MemoryError
            return super().prepare(film)

    for number in range(4):
        Image.new("L", (6, 4), 64 + number).save(tmp_path / f"{number}.png")
    table = ImageTable(ids=list("abcd"), paths=[str(tmp_path / f"{n}.png") for n in range(4)], labels=[])
    found = encode_films(table, Hungry())
    assert found.rows.tolist() == [0, 1, 3]
    ((name, reason),) = [(problem.id, problem.reason) for problem in found.problems]
    assert name == "c"
    assert "not enough memory" in reason
