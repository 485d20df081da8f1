"""Print what the compiled kernels of a cache folder define, as JSON: symbol -> [[kernel's file, body's hash], ...].

    python numba_symbols.py FOLDER

A cached kernel carries the functions that it calls, as LLVM bitcode. A body is its instructions without the numbers of
metadata and attributes, and with constants by their contents, so that equal code has equal hashes in every kernel.
"""

import hashlib
import json
import pickle
import re
import sys
from pathlib import Path

import llvmlite.binding as llvm

LATER = re.compile(r"(, !\S+ !\d+|, !\d+| #\d+|![a-zA-Z.]+ !\d+)")
CONSTANT = re.compile(r"@(\"[^\"]+\"|[\w.$]+)")


def bodies_of(path):
    """Name and hash of every function that the bitcode of a cached kernel defines."""
    (_, kind, (_, bitcode)), *_ = pickle.loads(path.read_bytes())  # noqa: S301 - numba wrote it a moment ago
    assert kind == "object", kind
    module = llvm.parse_bitcode(bitcode)
    contents = {variable.name: str(variable).partition("=")[2] for variable in module.global_variables}
    for function in module.functions:
        if not function.is_declaration:
            text = LATER.sub("", str(function))
            text = CONSTANT.sub(lambda found: contents.get(found[1].strip('"'), found[0]), text)
            yield function.name, hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    symbols = {}
    for file in sorted(Path(sys.argv[1]).rglob("*.nbc")):
        for name, body in bodies_of(file):
            symbols.setdefault(name, []).append([file.name, body])
    print(json.dumps(symbols))  # noqa: T201 - its answer
