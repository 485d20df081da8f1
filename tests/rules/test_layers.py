"""Imports go down only, as the table of floors in docs/how_it_works.md says; no circles, no private names of others."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("rules_imports", Path(__file__).with_name("imports.py"))
rules = importlib.util.module_from_spec(_SPEC)
sys.modules["rules_imports"] = rules
_SPEC.loader.exec_module(rules)

FLOORS = [
    {
        "_version",
        "_errors",
        "_types",
        "_checks",
        "_labels",
        "_progress",
        "_registry",
        "_fidelity",
        "_imports",
        "_notes",
        "_plugins",
        "_plain",
        "_threads",
        "_numba",
        "_sort_kernels",
    },
    {"files", "html"},
    {"data", "neighbors", "hashing", "encoders", "figures"},
    {"graph", "training", "encoding"},
    {"communities", "cluster"},
    {"retrieval"},
    {"index"},
    {"evaluation", "auditing", "mapping"},
    {"tuning", "overview", "plotting"},
    {"comparison"},
    {"serve"},
    {"cli"},
]
"""From the ground up: a room may import rooms of lower floors, and its own files."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ENTRIES = {"", "__main__"}
"""The face and the start of the command line, which may import everything."""
GROUND = [
    *(
        "_version",
        "_errors",
        "_types",
        "_checks",
        "_labels",
        "_progress",
        "_registry",
        "_fidelity",
        "_notes",
        "_plugins",
        "_plain",
        "_threads",
        "_numba",
        "_imports",
    ),
    "_sort_kernels",
]
"""Files of the ground floor may import those before them."""
TORCH_FREE = {
    *(set(GROUND) - {"_sort_kernels"}),
    *("files", "html", "data", "hashing", "graph", "communities", "retrieval", "mapping", "figures", "overview"),
    "plotting",
}
FAISS_AT = {"graphret/neighbors/backends.py"}
IMPORTS = [entry for path in rules.package_files() for entry in rules.imports_of(path)]


def room(entry):
    parts = Path(entry.file).parts
    return "" if parts[-1] == "__init__.py" and len(parts) == 2 else parts[1].removesuffix(".py")


def report(violations):
    assert not violations, "\n" + "\n".join(violations)


def inside():
    return [entry for entry in IMPORTS if entry.module.split(".")[0] == "graphret" and room(entry) not in ENTRIES]


def test_every_room_has_a_floor():
    rooms = {rules.room_of(rules.dotted(path)) for path in rules.package_files()} - ENTRIES
    report(sorted(rooms - set(FLOOR)))


def test_imports_go_down_only():
    violations = []
    for entry in inside():
        here, there = room(entry), rules.room_of(entry.module)
        if here == there:
            continue
        if there == "":
            if here in FLOORS[-1]:  # the top floor stands on the public face
                continue
            violations.append(f"{entry.place} imports the bare package, which reaches up")
        elif FLOOR[here] == FLOOR[there] == 0:
            if GROUND.index(here) < GROUND.index(there):
                violations.append(f"{entry.place} imports {entry.module}")
        elif FLOOR[here] <= FLOOR[there]:
            violations.append(f"{entry.place} (floor {FLOOR[here]}) imports {entry.module} (floor {FLOOR[there]})")
    report(violations)


def test_no_private_names_across_rooms():
    violations = []
    for entry in inside():
        here, there = room(entry), rules.room_of(entry.module)
        if here == there or FLOOR.get(there) == 0:
            continue
        private = [part for part in [*entry.module.split(".")[1:], entry.name] if part.startswith("_")]
        if private:
            violations.append(f"{entry.place} takes {private[-1]} of {entry.module}")
    report(violations)


@pytest.mark.parametrize("typing", [False, True], ids=["at run time", "with types"])
def test_no_circles_between_files(typing):
    """A package's ``__init__`` gathers names and is no station of its own."""
    edges = {}
    for path in rules.package_files():
        if path.name != "__init__.py":
            here = rules.dotted(path)
            others = {entry.module for entry in rules.imports_of(path, typing=typing)}
            edges[here] = {other for other in others if other.startswith("graphret.")} - {here}
    report([" <-> ".join(group) for group in rules.circles(edges)])


def test_no_circles_between_rooms():
    edges = {}
    for entry in inside():
        edges.setdefault(room(entry), set()).add(rules.room_of(entry.module))
    report([" <-> ".join(group) for group in rules.circles(edges)])


def test_circles_are_found():
    assert rules.circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}}) == [["a", "b", "c"]]


def test_heavy_libraries_are_imported_where_they_are_used():
    violations = []
    for entry in IMPORTS:
        library = entry.module.split(".")[0]
        if library == "faiss" and entry.file not in FAISS_AT:
            violations.append(f"{entry.place} imports faiss")
        if library in {"torch", "torchvision"} and room(entry) in TORCH_FREE:
            violations.append(f"{entry.place} knows torch")
        if entry.at_import and library in {"matplotlib", "faiss", "torchxrayvision"}:
            violations.append(f"{entry.place} imports {library} when it is imported")
    report(violations)


def test_a_fresh_process_loads_neither_torch_nor_matplotlib():
    rooms = sorted(path.parent.name for path in rules.PACKAGE.glob("*/__init__.py") if path.parent.name != "training")
    code = (
        "import importlib, sys\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'faiss', 'torchxrayvision'}\n"
        f"for name in ['graphret', *(f'graphret.{{room}}' for room in {rooms!r})]:\n"
        "    importlib.import_module(name)\n"
        "    print(name, sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=rules.PACKAGE.parent
    )
    report([line for line in done.stdout.splitlines() if not line.endswith("[]")])
