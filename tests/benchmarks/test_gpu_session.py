"""The session on a CUDA device goes through without one, says what is missing, and goes on."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def session(tmp_path):
    """Run the script of a checkout that has the benchmark of kNN graphs only: the others have tests of their own."""
    checkout = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "benchmarks", checkout / "benchmarks", ignore=shutil.ignore_patterns("results", "__pycache__")
    )
    for other in ("gpu_codes.py", "gpu_compile.py", "gpu_training.py"):
        (checkout / "benchmarks" / other).unlink(missing_ok=True)
    (checkout / "tests/neighbors").mkdir(parents=True)
    for name in ("pyproject.toml", "tests/neighbors/test_neighbors_gpu.py"):
        shutil.copy(ROOT / name, checkout / name)
    (checkout / "graphret").symlink_to(ROOT / "graphret")
    (checkout / "data_specs").symlink_to(ROOT / "data_specs")

    def call(*options, results=tmp_path / "results"):
        return subprocess.run(
            ["bash", str(checkout / "benchmarks/gpu_session.sh"), "--results", str(results), *options],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
        )

    return call


def wheel(folder, name, module, text):
    folder.mkdir(exist_ok=True)
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(module, text)
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{about}/RECORD", "")


@pytest.mark.slow
def test_a_dry_run_goes_through_with_carried_wheels(session, tmp_path):
    wheel(tmp_path / "wheels", "carried_for_a_session", "carried_for_a_session.py", "VALUE = 1\n")
    done = session("--dry-run", "--wheels", str(tmp_path / "wheels"))
    report = (tmp_path / "results/gpu_session.md").read_text()
    assert done.returncode == 0, done.stderr + report
    assert "the processor (dry run: no figure of it counts)" in report
    assert "| kNN graphs | done |" in report
    assert "| tests marked gpu | done (" in report
    assert "| codes | not run: this checkout has no benchmarks/gpu_codes.py | 0 |" in report
    assert (tmp_path / "results/gpu_cpu_2000.md").exists()
    assert report in done.stdout


def test_a_part_that_fails_or_has_no_time_is_said(session, tmp_path):
    done = session("--dry-run", "--seconds", "0")
    report = (tmp_path / "results/gpu_session.md").read_text()
    assert "| kNN graphs | not run: no time left |" in report
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--wheel",), 2, "unknown option --wheel"),
        (("--wheels", "/nowhere"), 2, "--wheels /nowhere is not a folder"),
    ],
)
def test_wrong_calls_are_said(session, options, status, said):
    done = session(*options)
    assert done.returncode == status
    assert said in done.stderr


def test_without_a_device_it_says_so(session):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a device")
    done = session()
    assert done.returncode == 1
    assert "torch sees no CUDA device" in done.stderr
