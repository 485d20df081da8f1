"""The answers on the page of the comparison are those of the records."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "write_comparison.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("write_comparison", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_answers_are_those_of_the_records(script):
    pooled = script.pooled_records()
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.with_block(page, script.answers_block(pooled)) == page, "run python docs/write_comparison.py"
    assert {answer["answer"] for answer in pooled.answers} <= {"yes", "no", "not told apart", "not asked"}
    assert all((SCRIPT.parent / "pictures" / name).is_file() for name in script.PICTURES)
