"""The scripts of benchmarks/ import each other as their folder is on the path of a script; here it is too."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    """Import a script by name; every script is forgotten afterwards, because their names are common words."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.fixture(scope="module")
def simulated_codes(script):
    if importlib.util.find_spec("torchxrayvision") is None:
        pytest.skip("the NIH label file comes with the extra xray")
    return script("simulated_codes")
