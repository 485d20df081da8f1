"""Options of a training side by side: each trained once, none twice, no test film read."""

import json
import sys

import pytest

from graphret.data import generate_phantom


@pytest.mark.slow
def test_forms_are_trained_once_and_compared_with_the_plain_one(script, tmp_path, monkeypatch):
    module = script("training_options")
    generate_phantom(tmp_path / "data" / "phantom", 150, size=32)
    monkeypatch.setattr(module, "FORMS", {"as the paper": {}, "all": {**module.FORMS["all"], "warmup_iterations": 2}})
    places = ["--data-root", str(tmp_path / "data"), "--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["training_options.py", "phantom", "--size", "32", "--epochs", "1", *places])
    module.main()
    rows = (tmp_path / "training_options_phantom.jsonl").read_text()
    assert [json.loads(line)["form"] for line in rows.splitlines()] == ["as the paper", "all"]
    module.main()
    assert (tmp_path / "training_options_phantom.jsonl").read_text() == rows
    text = (tmp_path / "training_options_phantom.md").read_text()
    assert "| as the paper | 1 |" in text
    assert "+0.000" in text
