"""Two processes on one processor (gloo) stand for two devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphret.encoders import load_encoder

SCRIPT = """
import importlib.util, json, os, sys
from pathlib import Path
import torch
spec = importlib.util.spec_from_file_location("tiny_of_the_child", {conftest!r})
tiny = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = tiny
spec.loader.exec_module(tiny)
tiny.register_tiny()
torch.set_num_threads(1)
from graphret.training import train

rank = os.environ["RANK"]
films = Path({films!r}) / rank
films.mkdir()
table = tiny.make_films(films)
Path(table.paths[3]).write_bytes(b"no image")
Path(table.paths[25]).write_bytes(b"no image")
for number, parameters in enumerate({runs!r}):
    encoder = train(table, "tiny", out=Path({out!r}) / str(number), **{{**{small!r}, **parameters}})
    print(json.dumps(encoder.fingerprint), file=open({out!r} + f"/{{number}}.{{rank}}", "w"))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_agree_and_one_writes(tmp_path, small):
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    out.mkdir()
    runs = [{"batch_size": 5}, {"batch_size": 5, "cache_bytes": 0}, {"batch_size": 5, "max_minutes": 60.0}]
    # A loss of codes leaves the classifier without a gradient.
    runs.append({"batch_size": 6, "objective": "dsh", "sampler": "pairs", "optimizer": "sgd", "select_by": "retrieval"})
    conftest = str(Path(__file__).with_name("conftest.py"))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(conftest=conftest, films=str(films), out=str(out), runs=runs, small=small))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == ""
    for number, _ in enumerate(runs):
        written = load_encoder(out / str(number), device="cpu").fingerprint
        told = [json.loads((out / f"{number}.{rank}").read_text()) for rank in range(2)]
        assert told == [written, written]
        problems = json.loads((out / str(number) / "problems.json").read_text())
        assert [problem["id"] for problem in problems] == ["film03", "film25"]
        history = json.loads((out / str(number) / "history.json").read_text())
        assert len(history["epochs"]) == small["epochs"]
    assert len({(out / f"{number}.0").read_text() for number in (0, 2)}) == 1
