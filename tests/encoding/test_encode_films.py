"""Encoding: bad films are reported, batches and shards change nothing, a changed input starts afresh."""

import os
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, EncoderError, StoreError
from graphret.data import ImageTable, write_png
from graphret.encoding import encode_films
from graphret.encoding import films as encode_module


@pytest.fixture
def some_bad(tmp_path):
    """Nine films, of which one is missing, one no picture, and one has no file in the table."""
    rng = np.random.default_rng(0)
    paths = []
    for row in range(9):
        paths.append(str(tmp_path / f"{row}.png"))
        write_png(paths[-1], rng.random((20, 20), dtype=np.float32))
    Path(paths[2]).unlink()
    Path(paths[4]).write_bytes(b"no picture")
    paths[7] = ""
    return ImageTable(ids=[f"f{row}" for row in range(9)], paths=paths, labels=[], label_names=())


def test_bad_films_are_reported_and_skipped(some_bad, make_encoder, tmp_path):
    encoded = encode_films(some_bad, make_encoder(), tmp_path / "out", shard_rows=3, batch_size=2)
    assert encoded.rows.tolist() == [0, 1, 3, 5, 6, 8]
    assert encoded.codes.shape == (6, 12)
    assert [(problem.id, problem.path) for problem in encoded.problems] == [
        (f"f{row}", some_bad.paths[row]) for row in (2, 4, 7)
    ]
    assert "no file for it" in encoded.problems[2].reason
    again = encode_films(some_bad, make_encoder(), tmp_path / "out", shard_rows=3, batch_size=2)
    assert again.problems == encoded.problems


def test_an_index_keeps_the_problems(some_bad, make_encoder, tmp_path):
    index = graphret.build(some_bad, make_encoder(), out=tmp_path / "index", k=2)
    assert len(index) == 6
    assert index.films.ids.tolist() == ["f0", "f1", "f3", "f5", "f6", "f8"]
    assert [problem.id for problem in index.films.problems] == ["f2", "f4", "f7"]
    assert index.manifest["counts"]["problems"] == 3
    assert "f4" in (tmp_path / "index" / "gen-000001" / "problems.json").read_text()


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_codes_that_have_no_cosine(film_table, make_encoder, tmp_path, monkeypatch, bad):
    encoder = make_encoder()
    real = encoder.encode

    def encode(images, **how):
        codes = real(images, **how)
        codes[(images == images[0]).all(axis=(1, 2))] = bad
        return codes

    monkeypatch.setattr(encoder, "encode", encode)
    encoded = encode_films(film_table, encoder, tmp_path, batch_size=10)
    assert encoded.rows.tolist() == [row for row in range(40) if row % 10]
    assert [problem.id for problem in encoded.problems] == ["film00", "film10", "film20", "film30"]
    assert ("all zeros" if bad == 0 else "NaN or infinity") in encoded.problems[0].reason


def test_not_one_film_has_a_code(film_table, make_encoder, tmp_path):
    nothing = ImageTable(ids=["a", "b"], paths=["/nowhere/a.png", "/nowhere/b.png"], labels=[], label_names=())
    with pytest.raises(DataError, match=r"none of the 2 films has a code; the first, a \(/nowhere/a\.png\): "):
        graphret.build(nothing, make_encoder(), out=tmp_path / "index")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("settings", [{"batch_size": 1}, {"batch_size": 7, "shard_rows": 9}, {"n_workers": 3}], ids=str)
def test_batches_shards_and_threads_change_no_code(film_table, film_index, make_encoder, tmp_path, settings):
    encoder = make_encoder()
    encoded = encode_films(film_table, encoder, tmp_path, **settings)
    assert np.abs(encoded.codes - film_index.codes).max() < 1e-5
    assert max(size for size, _ in encoder.batches) <= settings.get("batch_size", 32)
    shards = len(list(tmp_path.glob("shard-*.npz")))
    assert shards == -(-40 // settings.get("shard_rows", 4096))


def test_the_precision_reaches_the_encoder(film_table, make_encoder, tmp_path):
    encoder = make_encoder()
    graphret.build(film_table, encoder, out=tmp_path / "index", k=3, precision="bfloat16")
    assert {precision for _, precision in encoder.batches} == {"bfloat16"}


def test_workers_decode_at_the_same_time(film_table, make_encoder, tmp_path, monkeypatch):
    encoder = make_encoder()
    barrier = threading.Barrier(3, timeout=20)
    real = encoder.prepare
    waits = iter(range(3))

    def prepare(film):
        if next(waits, None) is not None:
            barrier.wait()  # passes only when three threads are here
        return real(film)

    monkeypatch.setattr(encoder, "prepare", prepare)
    assert len(encode_films(film_table, encoder, tmp_path, n_workers=3).rows) == 40


def test_few_films_wait_in_memory(film_table, make_encoder, tmp_path, monkeypatch):
    encoder = make_encoder()
    prepared, encoded, most = [], [], []
    real_prepare, real_encode = encoder.prepare, encoder.encode
    monkeypatch.setattr(encoder, "prepare", lambda film: prepared.append(1) or real_prepare(film))

    def encode(images, **how):
        encoded.extend([1] * len(images))
        most.append(len(prepared) - len(encoded))
        return real_encode(images, **how)

    monkeypatch.setattr(encoder, "encode", encode)
    encode_films(film_table, encoder, tmp_path, batch_size=2, n_workers=1)
    assert max(most) <= 2 + 2


def half(film_table, encoder, out):
    """Encode until the third shard of five."""

    def progress(_stage, done, _total):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_films(film_table, encoder, out, shard_rows=8, batch_size=4, progress=progress)
    assert len(list(out.glob("shard-*.npz"))) == 2


def test_an_interrupted_run_goes_on(film_table, film_index, make_encoder, tmp_path):
    half(film_table, make_encoder(), tmp_path)
    encoder = make_encoder()
    seen = []
    encoded = encode_films(
        film_table, encoder, tmp_path, shard_rows=8, batch_size=4, progress=lambda *step: seen.append(step)
    )
    assert encoder.n_encoded == 24
    assert seen[0] == ("encode", 20, 40)
    assert np.abs(encoded.codes - film_index.codes).max() < 1e-5


def changed_film(film_table, _):
    path = Path(film_table.paths[0])
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000))
    return film_table, {}


@pytest.mark.parametrize(
    "change",
    [
        lambda table, make: (table, {"encoder": make(seed=1)}),
        lambda table, _: (table.select(list(range(39))), {}),
        lambda table, _: (table, {"precision": "bfloat16"}),
        lambda table, _: (table, {"shard_rows": 9}),
        changed_film,
    ],
    ids=["encoder", "table", "precision", "shard_rows", "a film"],
)
def test_a_changed_input_starts_afresh(film_table, make_encoder, tmp_path, change):
    half(film_table, make_encoder(), tmp_path)
    table, settings = change(film_table, make_encoder)
    encoder = settings.pop("encoder", make_encoder())
    encode_films(table, encoder, tmp_path, **{"shard_rows": 8, "batch_size": 4, **settings})
    assert encoder.n_encoded == len(table)
    shard_rows = settings.get("shard_rows", 8)
    assert len(list(tmp_path.glob("*.npz"))) == -(-len(table) // shard_rows)


def test_shards_of_another_arithmetic_are_not_gone_on_with(film_table, make_encoder, tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(encode_module, "ARITHMETIC", encode_module.ARITHMETIC - 1)
        half(film_table, make_encoder(), tmp_path)
    encoder = make_encoder()
    encode_films(film_table, encoder, tmp_path, shard_rows=8, batch_size=4)
    assert encoder.n_encoded == 40
    assert len(list(tmp_path.glob("shard-*.npz"))) == 5


def test_a_batch_begins_before_the_last_one_is_asked_for(film_table, film_index, make_encoder, tmp_path, monkeypatch):
    encoder = make_encoder()
    steps = []
    real = encoder.encode

    class Late:
        def __init__(self, images, number):
            self.images, self.number = images, number

        def result(self):
            steps.append(("end", self.number))
            return real(self.images)

    @contextmanager
    def encoding(**how):
        assert how == {"precision": "float32", "batch_size": 10}
        numbers = iter(range(4))

        def begin(images):
            number = next(numbers)
            steps.append(("begin", number))
            return Late(images, number)

        yield begin

    monkeypatch.setattr(encoder, "encoding", encoding)
    seen = []
    encoded = encode_films(film_table, encoder, tmp_path, batch_size=10, progress=lambda *step: seen.append(step[1]))
    assert steps == [
        ("begin", 0), ("begin", 1), ("end", 0), ("begin", 2), ("end", 1), ("begin", 3), ("end", 2), ("end", 3)
    ]  # fmt: skip
    assert seen == [10, 20, 30, 40, 40]
    assert np.abs(encoded.codes - film_index.codes).max() < 1e-5


def test_an_error_that_comes_late_reaches_the_caller(film_table, make_encoder, tmp_path, monkeypatch):
    encoder = make_encoder()

    class Failing:
        def result(self):
            raise RuntimeError("out of memory")

    monkeypatch.setattr(encoder, "encoding", lambda **_: nullcontext(lambda _: Failing()))
    with pytest.raises(EncoderError, match="fake failed on a batch of 8 films: out of memory"):
        encode_films(film_table, encoder, tmp_path, batch_size=8)
    assert not list(tmp_path.glob("shard-*"))


def test_codes_of_films_on_disk_are_those_of_the_prepared_films(film_table, tmp_path):
    pytest.importorskip("torch")
    from graphret.encoders import Encoder

    encoder = Encoder.untrained("resnet18", ["Edema"], size=32, seed=0, device="cpu")
    encoded = encode_films(film_table, encoder, tmp_path, batch_size=16)
    batches = [range(16), range(16, 32), range(32, 40)]
    images = [np.stack([encoder.prepare(film_table.read_pixels(row)) for row in batch]) for batch in batches]
    expected = np.concatenate([encoder.encode(part, batch_size=16) for part in images])
    np.testing.assert_array_equal(encoded.codes, expected)


def test_a_damaged_shard_is_encoded_again(film_table, film_index, make_encoder, tmp_path):
    encode_films(film_table, make_encoder(), tmp_path, shard_rows=8)
    shards = sorted(tmp_path.glob("shard-*.npz"))
    shards[1].write_bytes(shards[1].read_bytes()[:-40])
    content = bytearray(shards[3].read_bytes())
    content[200] ^= 1
    shards[3].write_bytes(bytes(content))
    encoder = make_encoder()
    encoded = encode_films(film_table, encoder, tmp_path, shard_rows=8)
    assert encoder.n_encoded == 16
    assert np.abs(encoded.codes - film_index.codes).max() < 1e-5


def test_an_encoder_that_fails(film_table, make_encoder, tmp_path, monkeypatch):
    encoder = make_encoder()

    def out_of_memory(images, **_):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(encoder, "encode", out_of_memory)
    with pytest.raises(EncoderError, match=r"fake failed on a batch of 32 films: CUDA out of memory .*batch_size"):
        encode_films(film_table, encoder, tmp_path)
    monkeypatch.setattr(encoder, "encode", lambda images, **_: np.ones((len(images), 5), np.float32))
    with pytest.raises(EncoderError, match=r"returned shape \(32, 5\) for 32 films: it must be \(32, 12\)"):
        encode_films(film_table, encoder, tmp_path)


def test_shards_that_vanish(film_table, make_encoder, tmp_path):
    def progress(_stage, done, total):
        if done == total:
            for path in tmp_path.glob("shard-*"):
                path.unlink()

    with pytest.raises(StoreError, match="run the same command again"):
        encode_films(film_table, make_encoder(), tmp_path, shard_rows=8, progress=progress)


def test_a_real_encoder_is_stored_and_found_again(film_table, tmp_path):
    """The one test of this folder that needs torch."""
    pytest.importorskip("torch")
    from graphret.encoders import Encoder

    encoder = Encoder.untrained("resnet18", ["Edema"], size=32, seed=0, device="cpu")
    index = graphret.build(film_table.select(list(range(12))), encoder, out=tmp_path / "index", k=3)
    opened = graphret.open(index.path)
    assert opened.encoder.fingerprint == encoder.fingerprint
    hits = opened.query(film_table.paths[4], 1)
    assert hits.ids.tolist() == [["film04"]]
    assert hits.similarities[0, 0] == pytest.approx(1.0, abs=1e-5)
