"""Builds out of core and on Ray, small: the scripts run, kill, go on, and say what does not hold."""

import json
import shutil
import signal
from contextlib import ExitStack, suppress
from dataclasses import replace
from subprocess import Popen, TimeoutExpired
from types import SimpleNamespace

import pytest

from graphret.index import BuildConfig
from graphret.index.build_memory import BuildMemory


@pytest.mark.slow
def test_a_small_build_out_of_core_is_killed_and_goes_on(script, tmp_path):
    sizes = ["--n", "70000", "--d", "256", "--max-memory-gb", "0.33", "--threads", "1"]
    needs = BuildMemory.of(70_000, 256, BuildConfig(n_threads=1))
    assert max(replace(needs, stored=True).stages().values()) < 0.33e9 < needs.stages()["neighbors"]
    folders = ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    script("out_of_core").main([*sizes, *folders, "--kill-at", "0.1"])
    record = json.loads((tmp_path / "out_of_core.json").read_text())
    assert record["killed"]["killed_at"] >= 0.1
    assert record["recall"] > 0.99
    assert 0.1 < record["gone_on"]["peak_gb"]["RssAnon"] <= record["gone_on"]["peak_gb"]["VmHWM"] < 3
    assert record["gone_on"]["counts"]["films"] == 70_000
    assert "70,000 x 256 within 0.33 GB" in (tmp_path / "out_of_core.md").read_text()


@pytest.mark.slow
def test_a_small_build_on_ray(script, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    folders = ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    sizes = ["--n", "66000", "--d", "32", "--threads", "1", "--workers", "1", "--kills", "6"]
    script("ray_build").main([*sizes, *folders])
    record = json.loads((tmp_path / "ray_build.json").read_text())
    rows = {what: holds for what, _, holds in script("ray_build").verdict(record)}
    assert rows["hashes of every file and of the manifest equal the local build's"]
    assert rows["6 workers killed, some at each kind of piece"]
    assert record["killed"][0]["killed"] == {"block": 2, "pair": 2, "table": 2}


def test_kinds_of_pieces_have_their_shares_of_the_kills(script):
    """Processes have the names that Ray gives its workers."""
    assert script("ray_build").Killer(7).left == {"block": 2, "pair": 2, "table": 3}
    names = [*["ray::graphret block"] * 3, "ray::graphret pair", "ray::graphret table", "sleep"]
    killer = script("ray_build").Killer(3)
    with ExitStack() as stack:
        sleeping = [stack.enter_context(Popen([name, "60"], executable=shutil.which("sleep"))) for name in names]
        stack.callback(lambda: [process.kill() for process in sleeping])
        killer.start()
        killer.join(30)
        assert not killer.is_alive()
        for process in sleeping:
            with suppress(TimeoutExpired):
                process.wait(0.1)
        ended = [process.returncode for process in sleeping]
    assert killer.killed == {"block": 1, "pair": 1, "table": 1}
    assert sorted(ended[:3], key=str) == [-signal.SIGKILL, None, None]
    assert ended[3:] == [-signal.SIGKILL, -signal.SIGKILL, None]


def build(workers, seconds, killed=0, hashes="a"):
    return {
        "workers": workers,
        "seconds": seconds,
        "killed": {"block": killed, "pair": killed, "table": killed},
        "hashes": {"codes.npy": hashes},
    }


@pytest.mark.parametrize(
    ("two", "one", "killed", "hashes", "holds"),
    [
        (110.0, 200.0, 1, "a", [True, True, True, True]),
        (130.0, 200.0, 0, "b", [False, False, False, False]),
    ],
)
def test_what_does_not_hold_is_said(script, two, one, killed, hashes, holds):
    record = {
        "environment": script("environment").environment(),
        "n": 9,
        "d": 2,
        "threads": 2,
        "kills": 3,
        "local": build(None, 100.0),
        "ray": [build(1, one), build(2, two)],
        "killed": [build(2, two, killed, hashes)],
    }
    assert [row[2] for row in script("ray_build").verdict(record)] == holds
    assert ("**no**" in script("ray_build").markdown(record)) is not all(holds)


def test_kilobytes_of_the_system_are_1024_bytes(script, monkeypatch):
    module = script("out_of_core")
    status = SimpleNamespace(read_text=lambda **_: "VmPeak:\t 9 kB\nVmHWM:\t 5946736 kB\n")
    monkeypatch.setattr(module, "Path", lambda _: status)
    assert module.status_gb(1, "VmHWM") == pytest.approx(6.0895, abs=1e-4)
    assert module.status_gb(1, "VmSwap") == 0.0


def test_codes_are_written_once_and_killed_writers_leave_none(script, tmp_path):
    write_codes = script("out_of_core").write_codes
    write_codes(tmp_path / "codes.npy", 300, 16)
    before = (tmp_path / "codes.npy").stat().st_mtime_ns
    write_codes(tmp_path / "codes.npy", 300, 16)
    assert (tmp_path / "codes.npy").stat().st_mtime_ns == before
    write_codes(tmp_path / "codes.npy", 200, 16)
    assert (tmp_path / "codes.npy").stat().st_mtime_ns != before
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npy"]
