"""`graphret build --codes`: an index of codes made elsewhere is that of Python; what does not fit is refused."""

import json
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import graphret
from graphret.data import read_film_rows
from graphret.encoding import write_encoded
from graphret.files import write_array

N = 30


@pytest.fixture
def files(tmp_path):
    codes = np.random.default_rng(0).random((N, 6), dtype=np.float32)
    np.save(tmp_path / "codes.npy", codes)
    rows = "".join(f"n{row},q{row // 2},{row % 2},{40 + row}\n" for row in range(N))
    (tmp_path / "table.csv").write_text("id,patient,label:Mass,age\n" + rows)
    return tmp_path


def test_the_index_is_that_of_python(files, run):
    made = run("build", "--codes", files / "codes.npy", "--table", files / "table.csv", "--out", files / "my index",
               "-k", "4", "--no-tune")  # fmt: skip
    assert made.status == 0, made.err
    index = graphret.open(files / "my index")
    films = read_film_rows(files / "table.csv")
    same = graphret.build(np.load(files / "codes.npy"), films=films, out=files / "python", k=4, tune=False)
    for part in ("codes", "graph", "communities"):
        assert index.info()[part] == same.info()[part]
    assert index.films.columns["age"].tolist() == list(range(40, 40 + N))
    assert index.films.label_texts(1) == ["Mass"]
    (line,) = [line for line in made.out.splitlines() if line.startswith("Next:")]
    asked = run(*shlex.split(line.removeprefix("Next: graphret ")), "--json")
    assert asked.status == 0
    assert len(json.loads(asked.out)["queries"]) == 1


def test_without_a_table_and_with_ids_that_begin_with_a_dash(files, run):
    assert run("build", "--codes", files / "codes.npy", "--out", files / "a", "-k", "4", "--no-tune").status == 0
    assert graphret.open(files / "a").films.ids.tolist() == [str(row) for row in range(N)]
    (files / "dash.csv").write_text("id\n" + "".join(f"-{row}\n" for row in range(N)))
    made = run("build", "--codes", files / "codes.npy", "--table", files / "dash.csv", "--out", files / "b", "-k", "4",
               "--no-tune")  # fmt: skip
    (line,) = [line for line in made.out.splitlines() if line.startswith("Next:")]
    assert run(*shlex.split(line.removeprefix("Next: graphret "))).status == 0


def test_the_two_files_of_encode_must_belong_together(files, run):
    folder = files / "encoded"
    folder.mkdir()
    write_array(folder / "new.npy", np.load(files / "codes.npy"))
    write_encoded(folder, folder / "new.npy", read_film_rows(files / "table.csv"))
    call = ["build", "--codes", folder / "codes.npy", "--table", folder / "films.parquet", "-k", "4", "--no-tune"]
    assert run(*call, "--out", files / "good").status == 0
    write_array(folder / "codes.npy", np.load(files / "codes.npy")[::-1].copy())
    result = run(*call, "--out", files / "bad")
    assert result.status == 1
    assert "are not the codes of" in result.err
    assert not (files / "bad").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--data", "folder"], "--data 'folder' is not allowed: give nothing beside --codes"),
        (["--root", "films"], "--root 'films'"),
        (["--encoder", "resnet18"], "--encoder 'resnet18'"),
        (["--split", "train"], "--split"),
        (["--size", "64"], "--size 64"),
        (["--bits", "8"], "--bits 8"),
    ],
)
def test_what_films_need_is_refused(files, run, more, words):
    result = run("build", "--codes", files / "codes.npy", *more, "--out", files / "index")
    assert (result.status, result.out) == (2, "")
    assert words in " ".join(result.err.split())
    assert not (files / "index").exists()


def test_neither_films_nor_codes(files, run):
    for given, words in (
        ([], "or --codes (and --table)"),
        (["--data", "folder", "--root", files], "--encoder"),
        (["--table", files / "table.csv"], "with --codes"),
    ):
        result = run("build", *given, "--out", files / "index")
        assert result.status == 2
        assert words in " ".join(result.err.split())


@pytest.mark.parametrize("command", ["build", "add"])
def test_codes_that_are_none(files, run, command):
    codes = np.load(files / "codes.npy")
    target = ["--out", files / "index"]
    if command == "add":
        target = [graphret.build(codes, out=files / "old", k=4, tune=False).path]
    bad = codes.copy()
    bad[3, 2] = np.nan
    for name, values, status, words in (
        ("flat", codes.ravel(), 2, "holds float32 (180,): give float32 (n, d)"),
        ("whole", codes.astype(np.int32), 2, "holds int32 (30, 6)"),
        ("objects", np.array([[None, 1]]), 1, "cannot be read as codes"),
        ("nan", bad, 2, "1 rows hold NaN or infinity, first row 3"),
        ("zeros", codes * 0, 2, "all zeros"),
        ("short", codes[:7], 2, "--table"),
    ):
        np.save(files / f"{name}.npy", values)
        result = run(command, *target, "--codes", files / f"{name}.npy", "--table", files / "table.csv")
        assert (result.status, result.out) == (status, ""), name
        assert words in " ".join(result.err.split())
    np.savez(files / "two.npz", a=codes)
    (files / "half.npy").write_bytes((files / "codes.npy").read_bytes()[:-40])
    (files / "empty.npy").touch()
    for name, words in (("two.npz", "several arrays"), ("half.npy", "cannot be read"), ("empty.npy", "cannot be read")):
        result = run(command, *target, "--codes", files / name)
        assert result.status == 1
        assert words in " ".join(result.err.split())
    assert not (files / "index").exists()


def test_a_small_table_that_says_it_has_any_number_of_rows_is_not_read(files, run):
    """Ten million equal rows take 20 kB as Parquet, and gigabytes when they are read."""
    rows = pa.array(np.zeros(10_000_000, np.int8))
    pq.write_table(pa.table({"id": rows.dictionary_encode()}), files / "many.parquet")
    assert (files / "many.parquet").stat().st_size < 100_000
    index = files / "index"
    assert run("build", "--codes", files / "codes.npy", "--out", index, "-k", "4", "--no-tune").status == 0
    for command in (
        ["build", "--codes", files / "codes.npy", "--table", files / "many.parquet", "--out", files / "new"],
        ["update-labels", index, "--table", files / "many.parquet"],
    ):
        result = run(*command)
        assert result.status == 1
        assert f"has 10,000,000 rows: at most {N} films" in result.err


def test_values_beyond_float32_are_an_error_and_no_warning(files, run):
    np.save(files / "wide.npy", np.load(files / "codes.npy").astype(np.float64) * 1e300)
    result = run("build", "--codes", files / "wide.npy", "--out", files / "new")
    assert result.status == 2
    assert f"{N} rows are too large for float32" in result.err
