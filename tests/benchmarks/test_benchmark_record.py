"""What a result file says of its machine, and how it is written."""

import gzip
import json
import platform
from pathlib import Path

import pytest


def test_the_environment_names_the_machine_but_not_the_host_or_a_path(script):
    environment = script("environment")
    found = environment.environment()
    text = json.dumps(found)
    assert str(Path.home()) not in text
    assert str(Path(__file__).parents[2]) not in text
    assert platform.node() not in text.split('"')
    assert {"numpy", "numba"} <= set(found["versions"])
    line = environment.environment_line(found)
    assert found["versions"]["numpy"] in line
    assert str(found["commit"]) in line


def test_threads_that_were_set_are_said(script, monkeypatch):
    environment = script("environment")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS=7" in environment.environment_line(environment.environment())


def test_without_git_the_commit_is_unknown(script, monkeypatch):
    environment = script("environment")
    monkeypatch.setenv("PATH", "")
    assert environment.environment()["commit"] == "unknown"


def test_limits_say_what_holds(script):
    lines = script("record").limits_table([("seconds", 3.0, "<", 3), ("times faster", 5.0, ">=", 5)])
    assert lines[2:] == ["| seconds < 3 | 3 | **no** |", "| times faster >= 5 | 5 | yes |"]


def test_spread_is_median_and_range(script):
    assert script("record").spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0 to 3.0)"


def test_results_are_written_whole_or_not_at_all(script, tmp_path):
    record = script("record")
    record.write_results(tmp_path / "new", "one", {"a": 1}, "# one\n")
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["one.json", "one.md"]
    with pytest.raises(ValueError, match="JSON"):
        record.write_results(tmp_path / "new", "one", {"a": float("nan")}, "# changed\n")
    assert json.loads((tmp_path / "new" / "one.json").read_text()) == {"a": 1}
    assert (tmp_path / "new" / "one.md").read_text() == "# one\n"


def test_progress_says_the_end_of_every_stage_once(script, capsys):
    report = script("record").progress()
    for stage, done in (("encode", 1), ("encode", 2), ("encode", 2), ("write", 2), ("encode", 1), ("encode", 2)):
        report(stage, done, 2)
    said = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["encode: 2 of 2", "write: 2 of 2", "encode: 2 of 2"]


def test_rows_are_read_as_they_were_appended(script, tmp_path, capsys):
    record = script("record")
    file = tmp_path / "new" / "rows.jsonl"
    assert record.read_rows(file) == []
    rows = [{"part": "session", "n": 1}, {"part": "ø", "values": [1.5, None]}]
    for row in rows:
        record.append(file, row)
    with pytest.raises(ValueError, match="JSON"):
        record.append(file, {"seconds": float("inf")})
    assert record.read_rows(file) == rows
    with file.open("a", encoding="utf-8") as lines:
        lines.write('{"part": "cut sh')
    assert record.read_rows(file) == rows
    assert "rows.jsonl: a line was cut short" in capsys.readouterr().err


def test_another_size_has_files_of_its_own(script):
    name_of = script("record").name_of
    assert (name_of("communities", None), name_of("communities", 900)) == ("communities", "communities_900")


def test_a_long_record_is_compressed_and_replaces_the_short_one(script, tmp_path):
    record = script("record")
    record.write_results(tmp_path, "one", {"a": 1}, "# one\n")
    long = {"rows": list(range(record.LONG_RECORD))}
    record.write_results(tmp_path, "one", long, "# more\n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.json.gz", "one.md"]
    assert json.loads(gzip.decompress((tmp_path / "one.json.gz").read_bytes())) == long
    record.write_results(tmp_path, "one", {"a": 2}, "# less\n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.json", "one.md"]
