"""Films from processes apart: the same images and the same problems as from threads, whatever becomes of a process."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from PIL import Image

from graphret._errors import GraphretError, UnknownNameError
from graphret.data import ImageTable
from graphret.data.images import FilmLimits
from graphret.data.isolated import Decoding, IsolatedReader
from graphret.data.isolated_process import IsolatedProcess
from graphret.encoders.inference.resize import prepare_film
from graphret.encoding import encode_films, sources
from graphret.encoding.sources import decodes_in_processes, film_source

PROCESSES = Decoding(decoders="processes")


@pytest.fixture
def films(tmp_path):
    """Films of every stored dtype, and two that cannot be used."""
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (50, 40), dtype=np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(random.integers(0, 65536, (30, 64), dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(random.integers(0, 256, (48, 33, 3), dtype=np.uint8)).save(tmp_path / "colour.jpg")
    Image.fromarray(random.random((20, 25)).astype(np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:700])
    names = ["grey.png", "deep.png", "cut.png", "colour.jpg", "float.tif", "none.png"]
    return ImageTable(ids=names, paths=[str(tmp_path / name) for name in names], labels=[])


@pytest.fixture
def encoder(make_encoder):
    """An encoder without torch that resizes as the real ones do."""
    made = make_encoder()
    made.only_resizes, made.prepare = True, lambda film: prepare_film(film, made.size)
    return made


def resizer(device="cpu"):
    return SimpleNamespace(size=24, device=device, only_resizes=True)


def test_codes_and_problems_are_those_of_threads(films, encoder, tmp_path, monkeypatch):
    """In shards, whose films the same process decodes."""
    started, start = [], IsolatedProcess.__init__
    monkeypatch.setattr(IsolatedProcess, "__init__", lambda *given: started.append(start(*given)))
    how = {"n_workers": 1, "shard_rows": 2}
    threads = encode_films(films, encoder, tmp_path / "threads", decoding=Decoding(decoders="threads"), **how)
    assert not started
    found = encode_films(films, encoder, tmp_path / "processes", decoding=PROCESSES, **how)
    np.testing.assert_array_equal(found.codes, threads.codes)
    assert found.rows.tolist() == threads.rows.tolist() == [0, 1, 3, 4]
    assert found.problems == threads.problems
    assert len(started) == 1  # one process decodes all shards


def test_images_through_a_pipe_are_those_of_this_process_to_the_bit(films, tmp_path, monkeypatch):
    """Where there is no shared memory; the test above is about the other way."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    limited = Decoding(decoders="processes", limits=FilmLimits(pixels=2500))
    Image.new("L", (60, 50)).save(tmp_path / "large.png")
    with (
        film_source(limited, resizer(), 4, 1) as there,
        film_source(Decoding(decoders="threads"), resizer(), 4, 1) as here,
    ):
        assert (there.is_prepared, here.is_prepared) == (True, False)
        for row in (0, 1, 3, 4):
            image = there.read(films.paths[row])
            assert image.dtype == np.float32
            np.testing.assert_array_equal(image, prepare_film(here.read(films.paths[row]), 24))
        with pytest.raises(GraphretError, match="60 x 50 pixels, more than the 2,500"):
            there.read(str(tmp_path / "large.png"))


def test_an_encoder_that_prepares_in_its_own_way_gets_pixels():
    own = SimpleNamespace(size=24, device="cpu", prepare=lambda film: film[:24, :24])
    with film_source(PROCESSES, own, 4, 1) as source:
        assert not source.is_prepared


def test_a_killed_process_loses_no_film_and_is_said(films, caplog):
    before = psutil.Process().children()
    with film_source(PROCESSES, resizer(), 4, 1) as source, caplog.at_level(logging.WARNING):
        first = source.read(films.paths[0])
        (worker,) = (child for child in psutil.Process().children() if child not in before)
        worker.kill()
        np.testing.assert_array_equal(source.read(films.paths[0]), first)
    assert "another one gets its film: the process that decoded it ended by signal SIGKILL" in caplog.text
    assert psutil.Process().children() == before


@pytest.mark.slow
def test_a_film_that_ends_every_process_is_one_problem(films, encoder, tmp_path, monkeypatch):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    # loaded by each worker in the place of a decoder: its films named deep.png end it
    (plugins / "jpeg_ls.py").write_text(
        "import os\nfrom graphret.data import isolated_worker as worker\nwhole = worker.read_pixels\n"
        "worker.read_pixels = lambda path, **how: os.abort() if 'deep' in path else whole(path, **how)\n"
    )
    monkeypatch.syspath_prepend(plugins)
    found = encode_films(films, encoder, n_workers=1, decoding=PROCESSES)
    assert found.rows.tolist() == [0, 3, 4]
    reasons = {problem.id: problem.reason for problem in found.problems}
    assert "the process that decoded it ended by signal SIGABRT" in reasons["deep.png"]


def test_processes_that_cannot_start_end_the_work(films, encoder, monkeypatch):
    monkeypatch.setattr(sources, "WORKER", "graphret.no_such_module")
    with pytest.raises(GraphretError, match=r"no process can be started .* decoders='threads'"):
        encode_films(films, encoder, n_workers=1, decoding=PROCESSES)


CALLER = """
import signal, sys, time
from graphret.data.isolated import IsolatedReader
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs in the background ignore it
with IsolatedReader() as reader:
    reader.read_pixels(sys.argv[1])
    try:
        print("ready", flush=True)  # from here on a signal may come
        time.sleep(60)
    except KeyboardInterrupt:
        print(reader.read_pixels(sys.argv[1]).shape, flush=True)
        raise
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signals of a group of processes")
def test_ctrl_c_is_the_callers_and_no_process_stays(films):
    """The terminal sends it to all of them: the worker goes on until its caller ends it, and then is gone."""
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", CALLER, films.paths[0]],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root, start_new_session=True,
    ) as caller:  # fmt: skip
        assert caller.stdout.readline() == "ready\n"
        workers = psutil.Process(caller.pid).children()
        os.killpg(caller.pid, signal.SIGINT)
        out, said = caller.communicate(timeout=60)
    assert out == "(50, 40)\n"
    assert "KeyboardInterrupt" in said
    deadline = time.monotonic() + 20
    while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_shape_is_checked(films):
    with IsolatedReader(shape=(24, 24)) as reader, pytest.raises(GraphretError, match="gave no picture"):
        reader.read_pixels(films.paths[0])  # the worker does not resize


@pytest.mark.parametrize(
    ("decoders", "encoder", "n_films", "n_workers", "expected"),
    [
        ("auto", resizer("cuda"), 2048, 4, True),
        ("auto", resizer("cuda"), 2047, 4, False),
        ("auto", resizer("cuda"), 2048, 3, False),
        ("auto", resizer("cpu"), 10**6, 64, False),
        ("auto", SimpleNamespace(device="cuda"), 10**6, 64, False),
        ("threads", resizer("cuda"), 10**6, 64, False),
        ("processes", resizer("cpu"), 1, 1, True),
    ],
)
def test_what_auto_chooses(decoders, encoder, n_films, n_workers, expected):
    assert decodes_in_processes(decoders, encoder, n_films, n_workers) is expected


def test_unknown_decoders():
    with pytest.raises(UnknownNameError, match=r"decoders='fork' .* auto, processes, threads"):
        Decoding(decoders="fork")


def test_a_large_film_leaves_no_memory_behind(tmp_path, monkeypatch):
    from graphret.data import shared_block

    if not shared_block.SharedBlock.is_possible():
        pytest.skip("this system has no such memory")
    monkeypatch.setattr(shared_block, "_KEPT", 10_000)
    block = shared_block.SharedBlock(10**6)
    block._bytes[:20_000] = b"x" * 20_000
    target = bytearray(20_000)
    block.copy_to(memoryview(target))
    assert bytes(target) == b"x" * 20_000
    assert os.fstat(block.descriptor).st_blocks == 0
    with pytest.raises(PermissionError):
        os.ftruncate(block.descriptor, 10)  # a worker cannot make reading it fail
    block.close()
