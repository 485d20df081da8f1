"""The benchmarks of codes and training on a GPU, small and on a processor: they run to their records."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_codes_run_to_their_record(script, tmp_path):
    codes = script("gpu_codes")
    small = ["--films", "40", "--files", "6", "--side", "64", "--size", "32", "--encoder", "resnet18"]
    codes.main(["--device", "cpu", *small, "--results", str(tmp_path)])
    record = json.loads((tmp_path / "gpu_codes_cpu.json").read_text(encoding="utf-8"))
    assert set(record["memory"]) == {"float32", "bfloat16"}
    for row in record["memory"].values():
        assert row["batch"] == 32
        assert all(rate > 0 for name in ("plain", "ours", "batch_32") for rate in row[name])
    assert 0 <= record["rankings"]["changed_by_rounding"] <= record["rankings"]["changed_by_bfloat16"] <= 1
    for decoders in ("threads", "processes"):
        assert all(len(record["files"][decoders][name]) == codes.RUNS for name in ("decoding", "both"))
    assert "6 JPEG files of 64 px" in (tmp_path / "gpu_codes_cpu.md").read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_card(script):
    codes = script("gpu_codes")
    rates = {"plain": [1000.0], "ours": [900.0], "batch_32": [300.0]}
    files = {"processes": {"decoding": [500.0], "both": [460.0]}}
    record = {"device": "cuda", "memory": {"float32": rates, "bfloat16": rates}, "files": files}
    assert [(round(value, 2), limit) for _, value, _, limit in codes.limits_of(record)] == [
        (0.9, 0.85),
        (0.9, 0.85),
        (460.0, 450.0),
    ]
    assert codes.limits_of({**record, "device": "cpu"}) == []


def test_compiling_runs_to_its_record_and_says_when_it_pays(script, tmp_path):
    compiling = script("gpu_compile")
    small = ["--films", "8", "--size", "32", "--encoder", "resnet18", "--backend", "eager"]
    compiling.main(["--device", "cpu", *small, "--results", str(tmp_path)])
    record = json.loads((tmp_path / "gpu_compile_cpu.json").read_text(encoding="utf-8"))
    assert all(record[name] > 0 for name in ("plain", "ours", "compiled"))
    assert compiling.films_until_it_pays(100.0, 200.0, 3.0) == 600
    assert compiling.films_until_it_pays(200.0, 100.0, 3.0) is None


def test_a_network_that_cannot_be_compiled_is_a_line_of_the_record(script, tmp_path):
    compiling = script("gpu_compile")
    small = ["--films", "8", "--size", "32", "--encoder", "resnet18", "--backend", "no_such_backend"]
    compiling.main(["--device", "cpu", *small, "--results", str(tmp_path)])
    record = json.loads((tmp_path / "gpu_compile_cpu.json").read_text(encoding="utf-8"))
    assert record["compiled"] is None
    assert "no_such_backend" in record["reason"]
    assert "cannot be compiled" in (tmp_path / "gpu_compile_cpu.md").read_text(encoding="utf-8")


def test_training_runs_to_its_record(script, tmp_path):
    training = script("gpu_training")
    small = ["--films", "40", "--size", "32", "--batch", "8", "--epochs", "2", "--seeds", "2", "--seconds", "0.2"]
    training.main(["--device", "cpu", *small, "--encoder", "resnet18", "--results", str(tmp_path)])
    record = json.loads((tmp_path / "gpu_training_cpu.json").read_text(encoding="utf-8"))
    assert record["ours"]["precision"] == "no"
    assert len(record["ours"]["films_per_second"]) == 2
    assert record["synthetic"] > 0
    assert [len(scores) for scores in record["scores"].values()] == [2, 2]
    assert "% of it" in (tmp_path / "gpu_training_cpu.md").read_text(encoding="utf-8")
