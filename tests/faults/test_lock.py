"""Two writers never hold one lock, whatever becomes of its file; who is refused is told by whom."""

import errno
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, IndexLockedError, StoreError
from graphret.cli.entry import main
from graphret.comparison.experiment_file import read_experiment
from graphret.data import ImageTable, read_dataset, read_film_rows, read_unlabelled
from graphret.encoding import read_encoded, write_encoded
from graphret.files import claimed_folder, lock, remove_lock, write_array, writer_lock


def test_a_lock_whose_file_was_removed_is_not_held(tmp_path, monkeypatch):
    """The first writer removes LOCK while the second one has it open: the second locks the file that is there then."""
    first = writer_lock(tmp_path)
    first.__enter__()
    real, asked = fcntl.flock, []

    def flock(descriptor, how):
        if not asked:
            asked.append(descriptor)
            remove_lock(tmp_path)
            first.__exit__(None, None, None)
        return real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with writer_lock(tmp_path), pytest.raises(IndexLockedError), writer_lock(tmp_path):
        pass


def test_writers_that_come_and_go_never_meet(tmp_path):
    """Threads that make, lock, remove and leave the same folder, 300 times each."""
    inside, met, held = threading.Lock(), [], []

    def work(_):
        for _ in range(300):
            try:
                with claimed_folder(tmp_path / "out"):
                    if not inside.acquire(blocking=False):
                        met.append(1)
                        continue
                    held.append(1)
                    inside.release()
            except (IndexLockedError, StoreError):
                pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert not met
    assert held


def test_threads_keep_each_other_out(tmp_path):
    with writer_lock(tmp_path), ThreadPoolExecutor(1) as pool, pytest.raises(IndexLockedError):
        pool.submit(lambda: writer_lock(tmp_path).__enter__()).result()


def test_a_stale_text_keeps_nobody_out(tmp_path):
    (tmp_path / "LOCK").write_text(json.dumps({"pid": 1, "host": "gone", "since": "2020"}))
    with writer_lock(tmp_path):
        assert json.loads((tmp_path / "LOCK").read_bytes())["pid"] == os.getpid()


def test_a_child_that_holds_the_lock_of_a_dead_process_is_explained(tmp_path):
    script = f"""
import os, sys, time
from pathlib import Path
from graphret.files import writer_lock
lock = writer_lock(Path({str(tmp_path)!r}))
lock.__enter__()
child = os.fork()
if child:
    print(child, flush=True)
    os._exit(0)
os.close(1)
os.close(2)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(graphret.__file__).parents[1])}
    child = int(subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True).stdout)
    try:
        with (
            pytest.raises(IndexLockedError, match=r"locked by a child of process \d+ on .*fuser"),
            writer_lock(tmp_path),
        ):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("text", [b"", b"\xff", b"[" * 100_000, b"[1]", b'{"pid": "x"}', b'{"pid": 1e999}'])
def test_a_holder_whose_name_cannot_be_read(tmp_path, text):
    with writer_lock(tmp_path):
        (tmp_path / "LOCK").write_bytes(text)
        with pytest.raises(IndexLockedError, match="written by another process"), writer_lock(tmp_path):
            pass


@pytest.mark.parametrize("pid", [0, -1, 10**30])
def test_a_holder_with_a_strange_number(tmp_path, pid):
    with writer_lock(tmp_path):
        (tmp_path / "LOCK").write_text(json.dumps({"pid": pid, "host": platform.node(), "since": ""}))
        with pytest.raises(IndexLockedError), writer_lock(tmp_path):
            pass


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_that_is_no_file(tmp_path, kind):
    """What a link leads to keeps its content."""
    (tmp_path / "mine").write_text("important")
    path = tmp_path / "LOCK"
    make = {"link": lambda: path.symlink_to("mine"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}
    make[kind]()
    with pytest.raises(StoreError, match="LOCK"), writer_lock(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "important"


def test_a_disk_that_is_full_while_the_lock_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(lock, "_write", full)
        with pytest.raises(StoreError, match=r"LOCK: No space left.*bytes are free"), writer_lock(tmp_path):
            pass
    with writer_lock(tmp_path):
        pass


def test_a_build_folder_that_is_a_link(codes, tmp_path):
    """Nothing is published, and nothing that the link leads to is touched."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("important")
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / ".build").symlink_to(tmp_path / "elsewhere")
    for resume in (True, False):
        with pytest.raises(StoreError, match=r"\.build is a link, which is not followed"):
            graphret.build(codes, out=tmp_path / "index", k=3, resume=resume, tune=False)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["mine"]
    assert not (tmp_path / "index" / "CURRENT").exists()


@pytest.mark.parametrize("call", ["build", "add", "remove", "purge", "rebuild"])
def test_a_build_folder_that_is_a_pipe(codes, tmp_path, call):
    """Whoever empties a folder opens it: a pipe would keep that call, and the lock, for ever."""
    index = graphret.build(codes, out=tmp_path / "index", k=3, tune=False)
    os.mkfifo(index.path / ".build")
    calls = {
        "build": lambda: graphret.build(codes, out=index.path, k=4, tune=False),
        "add": lambda: index.add(codes[:2] * np.float32(1.5)),
        "remove": lambda: index.remove("3"),
        "purge": lambda: index.purge("3"),
        "rebuild": index.rebuild,
    }
    with pytest.raises(StoreError, match=r"\.build is no folder: remove it"):
        calls[call]()
    (index.path / ".build").unlink()
    assert calls[call]() is not None


def test_an_old_generation_that_is_a_pipe_is_removed(codes, tmp_path):
    index = graphret.build(codes, out=tmp_path / "index", k=3, tune=False)
    os.mkfifo(index.path / "gen-000000")
    assert index.remove("3", keep=1).generation == "gen-000002"
    assert sorted(path.name for path in index.path.iterdir()) == ["CURRENT", "LOCK", "gen-000002"]


def test_two_trainings_at_once(tmp_path):
    with writer_lock(tmp_path):
        films = ImageTable(
            ids=[str(n) for n in range(8)],
            paths=["x.png"] * 8,
            labels=np.arange(16).reshape(8, 2) // 2 % 2,
            label_names=("a", "b"),
            splits=["train"] * 4 + ["valid"] * 4,
        )
        with pytest.raises(IndexLockedError, match="is being written by process"):
            graphret.train(films, "resnet18", out=tmp_path, size=32, select_by="auc", device="cpu")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["LOCK"]


def test_codes_beside_another_table_are_refused(tmp_path):
    """As after a kill between the two renames."""
    tables = [ImageTable(ids=[f"{n}" for n in range(size)], paths=[], labels=[], label_names=()) for size in (5, 5)]
    for number, table in enumerate(tables):
        write_array(tmp_path / "new.npy", np.full((5, 3), number + 1, np.float32))
        if number:
            kept = (tmp_path / "codes.npy").read_bytes()
        write_encoded(tmp_path, tmp_path / "new.npy", table)
        assert read_encoded(tmp_path)[0][0, 0] == number + 1
    (tmp_path / "codes.npy").write_bytes(kept)
    with pytest.raises(DataError, match="the encoding was stopped between the two"):
        read_encoded(tmp_path)


def test_names_that_are_too_long_are_wrong_calls(whole, codes, tmp_path):
    long = "x" * 300
    for call in (
        lambda: graphret.open(tmp_path / long),
        lambda: graphret.build(codes, out=tmp_path / long, k=3),
        lambda: whole.query(long),
        lambda: whole.query(str(tmp_path / long)),
        lambda: whole.export_graph(tmp_path / f"{long}.graphml"),
        lambda: graphret.load_encoder(long),
        lambda: graphret.load_encoder(tmp_path / long),
        lambda: graphret.pack(whole, tmp_path / long),
        lambda: read_film_rows(tmp_path / f"{long}.csv"),
        lambda: read_dataset("folder", tmp_path / long),
        lambda: read_dataset(f"{long}.toml", tmp_path),
        lambda: read_experiment(f"{long}.toml"),
        lambda: read_unlabelled(tmp_path / long),
        lambda: whole.query("\ud800"),
        lambda: graphret.load_encoder("\ud800"),
    ):
        with pytest.raises(graphret.GraphretError) as caught:
            call()
        assert caught.value.exit_status == 2 or isinstance(caught.value, StoreError)


@pytest.mark.parametrize(
    "command",
    [
        ["build", "--codes", "{long}.npy", "--out", "new"],
        ["build", "--codes", "codes.npy", "--table", "{long}.csv", "--out", "new"],
        ["build", "--data", "{long}.toml", "--root", ".", "--encoder", "resnet18", "--out", "new"],
        ["build", "--data", "folder", "--root", "{long}", "--encoder", "resnet18", "--out", "new"],
        ["add", "{index}", "--codes", "{long}.npy"],
        ["update-labels", "{index}", "--table", "{long}.csv"],
        ["watch", "{index}", "{long}", "--once"],
        ["demo", "--out", "{long}"],
    ],
)
def test_commands_with_names_that_are_too_long(whole, codes, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    np.save("codes.npy", codes)
    assert main([part.format(long="x" * 300, index=whole.path) for part in command]) == 2
    assert "a path whose parts have at most 255 bytes" in capsys.readouterr().err


def test_a_path_that_is_not_utf8(codes, tmp_path, capsys):
    root = tmp_path / os.fsdecode(b"arch\xffive")
    index = graphret.build(codes, out=root, k=3, tune=False)
    assert graphret.open(root).query("5", 3).ids.tolist() == index.query("5", 3).ids.tolist()
    index.verify(deep=True)
    for command in (
        ["verify", str(root)],
        ["info", str(root)],
        ["info", str(root), "--json"],
    ):
        assert main(command) == 0, capsys.readouterr().err
