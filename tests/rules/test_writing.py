"""Only graphret/files writes files, so that every file is whole or not there, wherever a run is killed."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "graphret"
HOME = PACKAGE / "files"

EXCEPTIONS = {
    ("graphret/data/isolated_worker.py", "os.open"): "the null device takes the place of its standard outputs",
    ("graphret/data/isolated_worker.py", "os.fdopen"): "the pipe to the process that asks",
    ("graphret/cli/entry.py", "os.open"): "the null device takes the place of a standard output that is closed",
    (
        "graphret/encoders/tensor_files.py",
        "download_url_to_file",
    ): "torch writes beside the target and renames by itself",
}
"""File and call -> why it may write by itself."""

MODES = set("rwaxbt+U")
FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"}
RENAMES = {"os.replace", "os.rename", "os.renames", "os.link", "os.symlink", "os.truncate"}
WRITERS = {"open_memmap", "download_url_to_file", "NamedTemporaryFile", "mkstemp"}
METHODS = {"write_text", "write_bytes", "tofile", "rename", "hardlink_to", "symlink_to", "touch"}
INTO = {
    "np.save": 0, "np.savez": 0, "np.savez_compressed": 0, "np.savetxt": 0,
    "write_table": 1, "ParquetWriter": 0, "savefig": 0, "save_file": 1, "to_csv": 0, "print_figure": 0,
}  # fmt: skip
"""Calls of other libraries -> which argument says where to: it must be a stream of graphret/files, or in memory."""
STREAMS = {"replacing"}
IN_MEMORY = {"io.BytesIO", "io.StringIO", "BytesIO", "StringIO"}


def streams_of(tree):
    """Names that hold what may be written to: ``with replacing(path) as NAME``, ``NAME = io.BytesIO()``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and isinstance(node.context_expr, ast.Call):
            if ast.unparse(node.context_expr.func) in STREAMS and isinstance(node.optional_vars, ast.Name):
                names.add(node.optional_vars.id)
        elif isinstance(node, ast.Assign) and ast.unparse(getattr(node.value, "func", node.value)) in IN_MEMORY:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def writing_calls(text):
    """Line and name of every call in a source that writes a file by itself."""
    tree = ast.parse(text)
    streams = streams_of(tree)
    draws = "PIL" in {
        (node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }  # its pictures have a method `save`, as have encoders and reports, which come here

    def is_stream(call, position):
        return len(call.args) > position and getattr(call.args[position], "id", None) in streams

    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        short = name.rsplit(".", 1)[-1]
        arguments = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
        if name == "os.open":
            writes = any(flag in ast.unparse(call) for flag in FLAGS)
        elif short in {"open", "fdopen"}:
            modes = [node.value for node in arguments if isinstance(node, ast.Constant) and isinstance(node.value, str)]
            writes = any(mode and set(mode) <= MODES and set(mode) & set("wax+") for mode in modes)
        elif name in RENAMES or name.startswith(("shutil.copy", "shutil.move")) or short in WRITERS:
            writes = True
        elif short in METHODS:
            writes = isinstance(call.func, ast.Attribute)
        elif short == "replace":  # of a path; that of a text takes two values, that of a dataclass names
            writes = isinstance(call.func, ast.Attribute) and len(call.args) == 1 and not call.keywords
        elif short == "save" and draws and name != "np.save":
            writes = not is_stream(call, 0)
        else:
            position = INTO.get(name, INTO.get(short))
            writes = position is not None and not is_stream(call, position)
        if writes:
            yield call.lineno, name


def test_only_files_writes_files():
    violations, used = [], set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if HOME in path.parents:
            continue
        file = path.relative_to(PACKAGE.parent).as_posix()
        for line, name in writing_calls(path.read_text(encoding="utf-8")):
            exception = (file, name.removeprefix("torch.hub."))
            if exception in EXCEPTIONS:
                used.add(exception)
            else:
                violations.append(f"{file}:{line}: {name} (use graphret.files)")
    assert not violations, "\n" + "\n".join(violations)
    assert used == set(EXCEPTIONS), "exceptions that nobody needs any more"


def test_writing_is_found():
    wrong = """
from PIL import Image
open(path, "w"); path.open("xb"); path.open(mode="a"); os.open(path, os.O_WRONLY); path.write_text("x")
path.write_bytes(b""); np.save(path, a); np.savez(path, a=a); os.replace(a, b); a.replace(b); a.rename(b)
save_file(tensors, path); figure.savefig(path); picture.save(path); pq.write_table(table, path); shutil.copyfile(a, b)
"""
    right = """
from PIL import Image
open(path); path.open("rb"); graphret.open(index); write_text(path, "x")
text.replace("a", "b"); dataclasses.replace(config, a=1); np.load(p)
with replacing(path) as file:
    np.savez(file, a=a); picture.save(file, format="PNG"); pq.write_table(table, file)
content = io.StringIO()
figure.savefig(content)
"""
    assert len(list(writing_calls(wrong))) == 16
    assert list(writing_calls(right)) == []
