"""How the program ends: status, one line, and the streams it uses."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import graphret
from graphret._progress import Stage
from graphret.cli import main, reporting
from graphret.cli.app import COMMANDS, command_app
from graphret.cli.reporting import report_to_user
from graphret.data import generate_phantom

ROOT = Path(__file__).resolve().parents[2]


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "graphret", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default", **environment},
    )


def test_the_process_separates_results_from_talk_and_returns_the_status():
    process = start("datasets", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err == ""
    assert "nih" in [spec["name"] for spec in json.loads(out)]
    process = start("datasets", "--jsn")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("graphret: error: No such option: --jsn")


def test_help_and_version_load_neither_torch_nor_matplotlib():
    code = (
        "import sys; from graphret.cli import main; main(['--version']); main(['train', '--help']); "
        "print(sorted({'torch', 'matplotlib', 'faiss'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    lines = done.stdout.strip().splitlines()
    assert lines[0] == f"graphret {graphret.__version__}"
    assert lines[-1] == "[]"


def test_a_command_loads_the_files_of_no_other():
    code = (
        "import sys; from graphret.cli import main; main(['info', '--help']); "
        "print(sorted(name for name in sys.modules if name.startswith('graphret.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = done.stdout.strip().splitlines()[-1]
    assert "graphret.cli.info" in loaded
    assert "graphret.cli.train" not in loaded
    assert "graphret.cli.serve" not in loaded


def test_every_command_has_its_function_under_its_name():
    functions = [command.callback.__name__.replace("_", "-") for command in command_app().registered_commands]
    assert functions == list(COMMANDS)


def test_without_a_command_the_commands_are_listed(run):
    done = run()
    assert done.status == 0
    for name in ("demo", "train", "build", "query", "evaluate", "verify"):
        assert name in done.out


@pytest.fixture(scope="module")
def short_answer(tmp_path_factory):
    """A command whose result fits into the buffer of stdout: nothing is written before the program ends."""
    folder = tmp_path_factory.mktemp("short") / "index"
    graphret.build(np.random.default_rng(0).random((12, 4), dtype=np.float32), out=folder, k=3)
    return "info", str(folder), "--json"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("length", ["short", "long"])
def test_a_reader_that_goes_away_is_no_error(short_answer, length, unbuffered):
    arguments = short_answer if length == "short" else ("datasets", "--json")
    process = start(*arguments, PYTHONUNBUFFERED=unbuffered)
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1


def test_the_status_after_a_broken_pipe(short_answer, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(short_answer) == 1


def test_an_unexpected_error_is_one_line_and_says_how_to_see_more(run, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("the disk\nis on fire")

    monkeypatch.setattr("graphret.cli.datasets.list_dataset_specs", fail)
    done = run("datasets")
    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith("graphret: error: unexpected RuntimeError: the disk is on fire (GRAPHRET_DEBUG=1")
    monkeypatch.setenv("GRAPHRET_DEBUG", "1")
    done = run("datasets")
    assert done.status == 1
    assert "Traceback" in done.err
    assert "in fail" in done.err


def test_an_interruption_says_that_the_work_can_go_on(run, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("graphret.cli.datasets.list_dataset_specs", interrupt)
    done = run("datasets")
    assert done.status == 130
    assert done.out == ""
    assert done.err.strip() == "graphret: error: interrupted; run the same command again to resume"


def test_progress_leaves_one_line_for_every_stage_that_is_done(capsys):
    with report_to_user(as_json=False, quiet=False) as reporter:
        for stage, done in [("read", 0), ("read", 1), ("read", 2), ("read", 2), ("learn", 2), ("read", 1), ("read", 2)]:
            reporter.progress(stage, done, 2)
    said = capsys.readouterr()
    assert said.out == ""
    lines = [line.split(",")[0] for line in said.err.splitlines()]
    assert lines == ["graphret: read: 2 of 2", "graphret: learn: 2 of 2", "graphret: read: 2 of 2"]


@pytest.fixture
def drawn(monkeypatch):
    """A terminal in place of stderr; gives what it was shown."""
    screen = io.StringIO()
    monkeypatch.setattr(reporting, "_console", lambda *, stderr: Console(file=screen, force_terminal=stderr, width=100))
    return screen.getvalue


def test_a_bar_without_an_end_is_drawn_while_no_stage_says_how_far_it_is(drawn):
    def seen(reporter):
        before = len(drawn())
        reporter._bars.refresh()
        return drawn()[before:]

    with report_to_user(as_json=False, quiet=False) as reporter:
        assert "working" in seen(reporter)
        reporter.progress("read", 1, 2)
        assert "working" not in seen(reporter)
        reporter.progress("read", 2, 2)
        assert "working" in seen(reporter)
        reporter.progress(Stage("learn", "loss 0.5"), 1, 3)
        assert "loss 0.5" in seen(reporter)
        reporter.progress(Stage("learn", "loss [0.25]"), 2, 3)
        assert "loss [0.25]" in seen(reporter)


@pytest.mark.parametrize("how", [{"as_json": True, "quiet": True}, {"as_json": False, "quiet": True}])
def test_nothing_is_drawn_where_it_must_be_quiet(drawn, how):
    with report_to_user(**how) as reporter:
        reporter.progress("read", 1, 2)
    assert drawn() == ""


@pytest.mark.parametrize(("quiet", "expected"), [(False, ["graphret: a", "graphret: b"]), (True, ["graphret: b"])])
def test_the_log_of_the_package_is_heard_on_stderr(capsys, quiet, expected):
    with report_to_user(as_json=True, quiet=quiet) as reporter:
        logging.getLogger("graphret.anything").info("a")
        logging.getLogger("graphret.anything").warning("b")
        reporter.result({"x": float("nan"), "y": np.float32(0.5), "z": Path("p")})
    said = capsys.readouterr()
    assert said.err.splitlines() == expected
    assert json.loads(said.out) == {"x": None, "y": 0.5, "z": "p"}


def test_the_log_of_the_package_is_left_as_it_was(run, workshop):
    logger = logging.getLogger("graphret")
    before = logger.level, logger.propagate, list(logger.handlers)
    assert run("info", workshop.index).status == 0
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


@pytest.mark.slow
def test_ctrl_c_in_a_training_leaves_a_checkpoint_that_the_same_command_resumes(tmp_path, capsys):
    generate_phantom(tmp_path / "films", 120, size=32)
    arguments = ["train", "--data", "phantom", "--root", tmp_path / "films", "--encoder", "resnet18", "--size", "32"]
    arguments += ["--batch-size", "16", "--device", "cpu", "--out", tmp_path / "encoder"]
    process = start(*arguments, "--epochs", "10000")
    deadline = time.monotonic() + 120
    while not (tmp_path / "encoder" / "history.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "graphret: error: interrupted; run the same command again to resume"
    assert not (tmp_path / "encoder" / "encoder.json").exists()
    done = epochs_of(tmp_path / "encoder")
    assert main([*map(str, arguments), "--epochs", str(len(done) + 2)]) == 0
    assert "resuming" in capsys.readouterr().err
    again = epochs_of(tmp_path / "encoder")
    assert [epoch["epoch"] for epoch in again] == list(range(1, len(done) + 3))
    assert again[: len(done)] == done


def epochs_of(encoder):
    return json.loads((encoder / "history.json").read_text(encoding="utf-8"))["epochs"]
