"""House rules that a reader relies on."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("graphret", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
SOURCES = [path for path in FILES if (ROOT / "graphret") in path.parents]


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_files_stay_under_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_no_pickle_no_network_no_unfinished_code(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    libraries = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    libraries |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not libraries & {"pickle", "shelve", "marshal", "joblib", "requests", "http", "socket"}
    assert "allow_pickle=True" not in text
    assert not re.search(r"urllib\.(request|error)|urlopen", text)
    assert not re.search(r"weights_only\s*=\s*False", text)
    assert not re.search(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError", text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"np.load", "numpy.load"}:
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("allow_pickle") == "False", f"{named(path)}:{node.lineno}"
        assert not isinstance(node, ast.Assert), f"{named(path)}:{node.lineno}: users' input is not checked by assert"


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_public_names_exist_and_are_documented(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{named(path)} has no docstring"
    exported = next(
        (
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ),
        [],
    )
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in exported and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{named(path)}: {node.name} has no docstring"


def test_nothing_of_a_machine_or_a_registry_is_committed():
    forbidden = re.compile(r"https?://(files|registry|deb|index|mirror)\.[a-z]|/work/(main|shared)|/root/")
    for path in [*FILES, *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/results/*")]:
        if path != Path(__file__):
            assert not forbidden.search(path.read_text(encoding="utf-8")), named(path)
