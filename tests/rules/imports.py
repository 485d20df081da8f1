"""What every file of the package imports, read from its syntax tree."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "graphret"


@dataclass(frozen=True)
class Import:
    """One imported name: ``module`` is the file or library it comes from, ``name`` what is taken of it ("" for all)."""

    file: str
    line: int
    module: str
    name: str
    at_import: bool

    @property
    def place(self):
        return f"{self.file}:{self.line}"


@cache
def package_files():
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def dotted(path):
    """Dotted name of a file, a package's for its ``__init__``."""
    parts = ["graphret", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module):
    """The room of a dotted name: the folder or file right below the package, "" for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports_of(path, *, typing=True):
    """Every import of a file; with ``typing=False`` without those that only type checkers see."""
    return [entry for entry, for_types in _read(path) if typing or not for_types]


@cache
def _read(path):
    """Every import of a file, and whether only type checkers see it."""
    file = path.relative_to(PACKAGE.parent).as_posix()
    found = []

    def visit(node, in_function, for_types):
        in_function = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for_types = for_types or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        at_import = not in_function and not for_types
        if isinstance(node, ast.Import):
            imports = [Import(file, node.lineno, alias.name, "", at_import) for alias in node.names]
            found.extend((entry, for_types) for entry in imports)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                module, name = (inner, "") if inner in _modules() else (node.module, alias.name)
                found.append((Import(file, node.lineno, module, name, at_import), for_types))
        elif not isinstance(node, ast.expr):
            for child in ast.iter_child_nodes(node):
                visit(child, in_function, for_types)

    visit(ast.parse(path.read_text(encoding="utf-8")), False, False)
    return found


@cache
def _modules():
    return {dotted(path) for path in package_files()}


def circles(edges):
    """Groups of two or more nodes that reach each other (Tarjan, SIAM J. Comput. 1972), each sorted."""
    number, low, stack, groups = {}, {}, [], []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            group = []
            while not group or group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(edges):
        if node not in number:
            visit(node)
    return groups
