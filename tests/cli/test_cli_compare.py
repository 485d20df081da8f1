"""`graphret compare` through the command line."""

from graphret.comparison import list_templates


def test_templates_are_listed(run, run_json):
    documents = run_json("compare", "--list-templates")
    assert [document["name"] for document in documents] == list_templates()
    assert all(document["methods"] for document in documents)
    assert "cai2019-table1" in run("compare", "--list-templates").out


def test_a_small_comparison(workshop, run_json, tmp_path, monkeypatch):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nmeasures = ["P@10"]\ntimed_queries = 2\n[intervals]\nn_resamples = 20\n[data]\nsize = 32\n'
        '[sheets]\nqueries = 0\n[rankings]\nhash = ["hamming"]\n[[methods]]\nkind = "random"\n',
        encoding="utf-8",
    )
    out = tmp_path / "out"
    call = ["compare", "--data", "phantom", "--root", workshop.films, "--out", out, "--experiment", file]
    document = run_json(*call, "--bits", "8,16")
    assert [(row["method"], row["n_bits"], row["ranking"]) for row in document["rows"]] == [
        ("random", 8, "hamming"),
        ("random", 16, "hamming"),
    ]
    assert document["experiment"]["data"]["spec"] == "phantom"
    assert {"comparison.json", "comparison.md", "comparison.html"} <= {path.name for path in out.iterdir()}
    assert len(document["files"]) == 4  # and the values of every query


def test_wrong_calls_are_refused(run, tmp_path):
    for arguments, message in (
        (["--data", "phantom", "--root", tmp_path], "--out (not given)"),
        (["--out", tmp_path, "--root", tmp_path], "--data ''"),
        (["--out", tmp_path, "--data", "phantom"], "--root ''"),
        (["--out", tmp_path, "--template", "p9"], "--template 'p9'"),
        (["--out", tmp_path, "--template", "cai2019-table1", "--experiment", "x"], "either --experiment or --template"),
        (["--out", tmp_path, "--template", "haq2021-table7", "--roots", "nih"], "NAME=DIR with commas"),
        (["--out", tmp_path, "--template", "haq2021-table7", "--roots", f"nih={tmp_path}"], "nothing for stanford"),
        (
            ["--out", tmp_path, "--template", "haq2021-table7", "--roots", f"nih={tmp_path}", "--size", "32"],
            "either --roots, or --data, --root and --size",
        ),
        (["--out", tmp_path, "--experiment", tmp_path / "none.toml"], "experiment file not found"),
        (["--out", tmp_path, "--data", "phantom", "--root", tmp_path, "--bits", "x"], "whole numbers"),
        (["--out", tmp_path, "--data", "phantom", "--root", tmp_path, "--methods", "x"], "--methods 'x'"),
        (["--out", tmp_path, "--data", "phantom", "--root", tmp_path, "--epochs", "0"], "--epochs 0 is not allowed"),
        (["--out", tmp_path, "--data", "phantom", "--root", tmp_path / "none", "--methods", "random"], "not found"),
        (["--out", tmp_path, "--pool", tmp_path / "none"], "report not found"),
        (["--out", tmp_path, "--pool", tmp_path, "--epochs", "3"], "--epochs 3 is not allowed: give it without --pool"),
    ):
        done = run("compare", *arguments)
        assert (done.status, done.out) == (2, ""), (arguments, done.err)
        assert message in done.err
