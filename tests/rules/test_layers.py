"""Imports go down only, as the table in docs/design.md says, and light modules stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "graphret"

MAY_IMPORT = {
    "_errors": set(),
    "_types": {"_errors"},
    "_numba": {"_errors", "_types"},
    "data": {"_errors", "_types", "_numba"},
    "graph": {"_errors", "_types", "_numba"},
    "hashing": {"_errors", "_types", "_numba"},
    "communities": {"_errors", "_types", "_numba", "graph"},
    "encoders": {"_errors", "_types", "_numba"},
    "training": {"_errors", "_types", "_numba", "data", "encoders"},
    "retrieval": {"_errors", "_types", "_numba", "graph", "communities", "hashing"},
    "index": {"_errors", "_types", "_numba", "data", "graph", "hashing", "communities", "encoders", "retrieval"},
    "evaluation": {
        *("_errors", "_types", "_numba", "data", "graph", "hashing", "communities", "encoders", "retrieval", "index")
    },
    "comparison": {
        *("_errors", "_types", "_numba", "data", "graph", "hashing", "communities", "encoders", "training"),
        *("retrieval", "index", "evaluation"),
    },
}
TORCH_FREE = {"_errors", "_types", "_numba", "data", "communities", "hashing", "retrieval"}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path):
    """Every imported dotted name, with True where the import runs when the module is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.dump(test.test)
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
        else:
            continue
        for name in names:
            yield name, id(node) not in inside and id(node) not in typing_only


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    module = module_of(path)
    if module not in MAY_IMPORT:
        return  # the face (__init__, __main__) and cli may import everything
    for name, _ in imported_names(path):
        parts = name.split(".")
        if parts[0] == "graphret" and len(parts) > 1 and parts[1] != module:
            assert parts[1] in MAY_IMPORT[module], f"{module} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_where_they_are_used(path):
    relative = path.relative_to(PACKAGE).as_posix()
    for name, at_import in imported_names(path):
        library = name.split(".")[0]
        if library == "faiss":
            assert relative == "graph/knn.py", f"{relative} imports faiss"
        if library in {"torch", "torchvision"} and module_of(path) in TORCH_FREE:
            raise AssertionError(f"{relative} knows torch")
        if at_import and library in {"matplotlib", "faiss", "torchxrayvision"}:
            raise AssertionError(f"{relative} imports {name} when it is imported")


@pytest.mark.parametrize(
    "module",
    [
        "graphret",
        "graphret.graph",
        "graphret.communities",
        "graphret.hashing",
        "graphret.retrieval",
        "graphret.index",
        "graphret.evaluation",
        "graphret.comparison",
        "graphret.data",
        "graphret.encoders",
        "graphret.cli",
    ],
)
def test_a_fresh_process_loads_neither_torch_nor_matplotlib(module):
    code = (
        f"import sys, {module}; "
        "print(sorted({'torch', 'torchvision', 'matplotlib', 'faiss', 'torchxrayvision'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"


def test_every_module_of_the_package_has_a_layer():
    modules = {module_of(path) for path in FILES}
    assert modules - set(MAY_IMPORT) <= {"__init__", "__main__", "cli"}
