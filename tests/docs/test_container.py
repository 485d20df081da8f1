"""The Containerfile does what the README says, and what it installs serves: in a clean venv, without an engine."""

import json
import os
import re
import subprocess
import sys
import sysconfig

import pytest
import typer
from documents import ROOT

from graphret.cli.app import command_app

TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "")


def step(word):
    return [line.removeprefix(word).strip() for line in TEXT.splitlines() if line.startswith(f"{word} ")]


def test_its_steps_are_those_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made, installed = re.search(r"^(python3 -m venv \S+ && \. \S+)\n(pip install \S+)", readme, re.MULTILINE).groups()
    first = " ".join(step("RUN")[0].split()).replace(" --no-cache-dir", "")
    assert first == f"{made.replace('.venv', '/opt/graphret')} && {installed}"
    assert step("FROM")[0].rpartition(":")[2].startswith("3.11")


def test_its_command_is_one_of_the_program():
    words = json.loads(step("CMD")[0])
    assert json.loads(step("ENTRYPOINT")[0]) == ["graphret"]
    context = typer.main.get_command(command_app()).commands["serve"].make_context("serve", words[1:])  # type: ignore[attr-defined]
    assert context.params["host"] == "0.0.0.0"  # noqa: S104 - inside of the container; the token is still needed
    assert "USER reader" in TEXT


@pytest.mark.slow
def test_what_is_installed_from_a_copy_serves(tmp_path):
    """Dependencies are those of this environment; the package itself is built and installed as the step says."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    place = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(ROOT)], check=True)
    with open(os.path.join(place, "others.pth"), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
        file.write(sysconfig.get_paths()["purelib"] + "\n")
    code = (
        "import graphret, numpy as np, tempfile, pathlib\n"
        "from fastapi.testclient import TestClient\n"
        "from graphret.serve import ServeConfig\n"
        "from graphret.serve.app import create_app\n"
        "root = pathlib.Path(tempfile.mkdtemp()) / 'index'\n"
        "graphret.build(np.random.default_rng(0).random((40, 8), dtype=np.float32), out=root, k=5, tune=False)\n"
        "client = TestClient(create_app([root], ServeConfig()), base_url='http://127.0.0.1')\n"
        "assert 'site-packages' in graphret.__file__\n"
        "pages = ['/', '/map', '/lists', '/picks', '/static/htmx.min.js', '/static/map.js', '/static/htmx.LICENSE']\n"
        "print([client.get(page).status_code for page in pages])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.stdout.strip() == str([200] * 7), done.stderr
