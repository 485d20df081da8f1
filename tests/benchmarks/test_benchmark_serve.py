"""The load on the service, small: it runs to its record, and no query is lost."""

import json

import pytest


@pytest.mark.slow
def test_the_load_runs_to_its_record(script, simulated_codes, tmp_path):
    serve = script("serve")
    serve.main(["--n", "120", "--queries", "24", "--clients", "3", "--work", str(tmp_path), "--results", str(tmp_path)])
    record = json.loads((tmp_path / "serve_120.json").read_text(encoding="utf-8"))
    assert len(record["queries"]["seconds"]) == 24
    assert record["queries"]["lost"] == 0
    assert len(record["pages_s"]) == serve.PAGES
    assert "| queries lost < 1 | 0 | yes |" in (tmp_path / "serve_120.md").read_text(encoding="utf-8")
