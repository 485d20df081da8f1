"""House rules that a reader relies on; each test reports every place that breaks its rule."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("graphret", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
SOURCES = [path for path in FILES if (ROOT / "graphret") in path.parents]
NEVER_IMPORTED = {"pickle", "shelve", "marshal", "joblib", "requests", "http", "socket"}
NETWORK = {("graphret/data/dicomweb.py", "requests"), ("graphret/serve/server.py", "socket")}
"""`graphret fetch` alone calls others, where its command names the server; the service listens, and calls nobody."""
NEVER_WRITTEN = {
    "unpickles arrays": re.compile("allow_pickle" + "=True"),
    "opens the network": re.compile(r"urllib\.(request|error)|urlopen"),
    "unpickles weights": re.compile(r"weights_only\s*=\s*False"),
    "is unfinished": re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError"),
}


def named(path):
    return path.relative_to(ROOT).as_posix()


def report(violations):
    assert not violations, "\n" + "\n".join(violations)


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes_of(path, kind) -> list[Any]:
    """The nodes of a file that are of one kind, from wherever they stand."""
    return [node for node in ast.walk(parsed(path)) if isinstance(node, kind)]


def test_files_stay_under_400_lines():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    report([f"{named(path)}: {length} lines" for path, length in lengths.items() if length > 400])


def test_no_pickle_no_network_no_unfinished_code():
    violations = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        violations += [f"{named(path)} {what}" for what, pattern in NEVER_WRITTEN.items() if pattern.search(text)]
        for node in nodes_of(path, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            violations += [
                f"{named(path)}:{node.lineno} imports {name}"
                for name in names
                if name.split(".")[0] in NEVER_IMPORTED and (named(path), name) not in NETWORK
            ]
    report(violations)


def test_arrays_are_loaded_without_pickle():
    violations = []
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"np.load", "numpy.load"}:
                keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                if keywords.get("allow_pickle") != "False":
                    violations.append(f"{named(path)}:{node.lineno}")
    report(violations)


def test_users_input_is_not_checked_by_assert():
    report([f"{named(path)}:{node.lineno}" for path in SOURCES for node in nodes_of(path, ast.Assert)])


def test_kernels_sort_by_the_helper_of_the_house():
    """Numba makes its sorts from closures of one name, which caches of several processes confuse."""
    violations = []
    for path in SOURCES:
        for function in ast.walk(parsed(path)):
            decorators = getattr(function, "decorator_list", [])
            if not any(ast.unparse(decorator).startswith("jit(") for decorator in decorators):
                continue
            for node in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in {"sort", "argsort", "unique", "partition", "argpartition", "searchsorted", "median"}:
                    violations.append(f"{named(path)}:{node.lineno} calls {name}")
    report(violations)


def test_public_names_are_documented():
    violations = []
    for path in SOURCES:
        tree = parsed(path)
        if not ast.get_docstring(tree):
            violations.append(f"{named(path)} has no docstring")
        assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
        lists = [ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "__all__"]
        exported = set(lists[0]) if lists else set()
        for node in tree.body:
            is_public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            is_form = (
                any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list) if is_public else False
            )
            if is_public and not is_form and node.name in exported and not ast.get_docstring(node):
                violations.append(f"{named(path)}: {node.name} has no docstring")
    report(violations)


def test_nothing_of_a_machine_or_a_registry_is_committed():
    forbidden = re.compile(r"https?://(files|registry|deb|index|mirror)\.[a-z]|/work/(main|shared)|/root/")
    texts = [*FILES, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/results/*.md")]
    report(
        [named(path) for path in texts if path != Path(__file__) and forbidden.search(path.read_text(encoding="utf-8"))]
    )
