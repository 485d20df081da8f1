"""The audit as one page: what was found is on it, names are text, what is not shown is counted."""

import re

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.auditing import Audit, write_audit_html
from graphret.auditing.page import audit_html
from graphret.auditing.report import DoubtfulLabel, Group, Pair
from graphret.data import ImageTable, write_png
from graphret.data.thumbnails import Thumbnails

NAMES = ["<script>alert(1)</script>", '"><img src=x onerror=y>', "gone", "fourth", "<i>5", "sixth"]


@pytest.fixture
def films(tmp_path):
    paths = [tmp_path / f"{row}.png" for row in range(len(NAMES))]
    for row, path in enumerate(paths):
        if NAMES[row] != "gone":
            write_png(path, np.full((9, 7), row / 9, dtype=np.float32))
    return ImageTable(ids=NAMES, paths=list(map(str, paths)), labels=[])


def made(n_pairs=3):
    pairs = [(0, 1), (2, 3), (4, 5)][:n_pairs]
    return Audit(
        n_films=6,
        k=4,
        threshold=0.987654,
        threshold_from="caller",
        pairs=tuple(
            Pair(NAMES[a], NAMES[b], 0.99 - a / 1000, a == 4, ("train", "test"), ("<b>Mass",) if a == 0 else ())
            for a, b in pairs
        ),
        groups=(Group(tuple(f"member {number}" for number in range(11)), 7, ("test", "train")),),
        n_full=2,
        patients_in_several_splits={"<u>patient": ("test", "train")},
        doubtful_labels=(DoubtfulLabel("sixth", "Ede<ma", True, 1, 4, 0.91),),
        n_without_neighbors=5,
    )


def test_what_was_found_is_on_the_page_as_text(films, tmp_path):
    thumbnails = write_audit_html(tmp_path / "audit.html", made(), films, "<archive>")
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert list(thumbnails.problems.values()) == ["there is no such file"]
    assert page.count("<img") == 6  # five films of the pairs that are there, one of the doubtful label
    assert page.count("no picture: there is no such file") == 1
    escaped = page.replace("&quot;&gt;&lt;img src=x", "")
    assert not re.search(r"<script|<i>|<u>|<b>Mass|<archive>|src=x|https?:", escaped)
    assert all(source.startswith("data:image/jpeg;base64,") for source in re.findall(r'src="([^"]*)"', page))
    for words in (
        *("Audit of &lt;archive&gt;", "0.987654 (as given)", "2 films have 4 near duplicates or more"),
        *(
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "differ: &lt;b&gt;Mass",
            "0.990000",
            "cosine 0.986000, same patient",
        ),
        *("member 0, member 1", "member 7, ...", "&lt;u&gt;patient", "Ede&lt;ma: given, 1 of 4 neighbours agree"),
        *("suspicion 0.91", "5 films have too few neighbours", "not verdicts"),
    ):
        assert words in page, words
    for name, number in made().counts.items():
        assert f"<td>{name.replace('_', ' ')}</td><td>{number}</td>" in page


def test_rows_that_are_not_shown_are_counted(films, tmp_path):
    write_audit_html(tmp_path / "audit.html", made(), films, "a", n_rows=1, n_pictured=1)
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "2 of 3 are not shown" in page
    assert page.count("<img") == 3
    assert "<td>fourth</td>" not in page
    write_audit_html(tmp_path / "audit.html", made(), films, "a", n_pictured=0)
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "are not shown" not in page
    assert "<td>fourth</td>" in page
    with pytest.raises(InvalidParameterError, match="n_rows=-1"):
        write_audit_html(tmp_path / "audit.html", made(), films, "a", n_rows=-1)


def test_an_empty_list_says_so():
    nothing = Audit(3, 2, 1.0, "data", (), (), 0, {}, (), 0)
    assert audit_html(nothing, "a", {}, Thumbnails({}, {})).count("<p>None.</p>") == 4


def test_the_command_writes_the_page_of_python(run, tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(60, 8)).astype(np.float32)
    codes[7] = codes[3]
    index = graphret.build(codes, out=tmp_path / "index", k=5, tune=False)
    done = run("audit", index.path, "--threshold", "0.9999", "--html", tmp_path / "audit.html")
    assert done.status == 0, done.err
    assert f"wrote {tmp_path / 'audit.html'}" in done.err
    assert "films without a file (their codes were made elsewhere) have no picture" in done.err
    write_audit_html(tmp_path / "own.html", graphret.audit(index, threshold=0.9999), index.films, "index")
    assert (tmp_path / "audit.html").read_bytes() == (tmp_path / "own.html").read_bytes()
    for name, message in (("audit.txt", "ends in .html or .htm"), ("no/audit.html", "make it first")):
        refused = run("audit", index.path, "--html", tmp_path / name)
        assert refused.status == 2
        assert message in refused.err
