"""The answers on the page of the comparison are those of the records."""

import gzip
import importlib.util
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from graphret.comparison.query_values import QueryValues, write_values

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


def test_the_longer_training_is_that_of_its_record(script):
    page = script.PAGE.read_text(encoding="utf-8")
    written = script.with_block(page, script.longer_block(script.longer_records()))
    assert written == page, "run python docs/write_comparison.py"
    orders = script.longer_orders()
    assert script.with_block(page, script.orders_block(orders)) == page, "run python docs/write_comparison.py"
    assert all(answer["answer"] in {"yes", "no", "not told apart"} for answer in orders.answers)
    assert len(orders.answers) == 6


def write_record(script, folder, name, gains, title="Longer <b>"):
    """A record as `compare_methods.py kermany64` leaves it: another report of Kermany, of as many seeds as gains."""
    settings = tomllib.loads((script.BENCHMARKS / "comparison" / "kermany64.toml").read_text(encoding="utf-8"))
    document = json.loads(gzip.decompress((script.RESULTS / "comparison_kermany.json.gz").read_bytes()))
    document["experiment"] |= {"title": title, "questions": settings["questions"][2:3], "orders": []}
    names = ["dpsh, 64 bits, hamming", "dpsh, 64 bits, nearest"]
    document["rows"] = [row for row in document["rows"] if row["name"] in names]
    assert len(document["rows"]) == 2
    record = folder / f"comparison_{name}.json.gz"
    record.write_bytes(gzip.compress(json.dumps(document).encode()))
    values = np.zeros((2, 1, len(gains), 40), dtype=np.float32)
    values[1] = np.array(gains)[:, None] + 0.1 * (np.arange(40) % 2)  # far from what the intervals of the document say
    patients = np.arange(40, dtype=np.int32)
    return QueryValues(tuple(names), ("P@10",), tuple(range(len(gains))), patients, values)


def test_a_record_of_the_longer_training_is_answered_by_its_values(script, tmp_path):
    kept = write_record(script, tmp_path, "kermany64", [0.2])
    with pytest.raises(FileNotFoundError, match="copy comparison_values"):
        script.longer_records(tmp_path)
    write_values(tmp_path / "comparison_kermany64_values.npz", kept)
    pooled = script.longer_records(tmp_path)
    (answer,) = pooled.answers
    assert (answer["answer"], answer["mean"]) == ("yes", pytest.approx(0.25))
    block = script.longer_block(pooled)
    assert "Longer &lt;b>." in block
    assert "Do values beat their bits? | yes | +0.2500" in block
    assert "from intervals" not in block
    page = script.PAGE.read_text(encoding="utf-8")
    written = script.with_block(page, block)
    assert block in written
    assert script.with_block(written, script.longer_block(script.longer_records())) == page


def test_a_record_of_several_seeds_takes_the_place_of_that_of_one(script, tmp_path):
    widths = {}
    for name, gains in (("kermany64", [0.2]), ("kermany64_seeds", [0.1, 0.2, 0.3])):
        write_values(tmp_path / f"comparison_{name}_values.npz", write_record(script, tmp_path, name, gains, name))
        pooled = script.longer_records(tmp_path)
        (answer,) = pooled.answers
        assert answer["mean"] == pytest.approx(0.25)
        assert answer["n_pairs"] == 1
        widths[name] = answer["high"] - answer["low"]
        block = script.longer_block(pooled)
        assert f"seeds {', '.join(str(seed) for seed in range(len(gains)))}," in " ".join(block.split())
        assert f"{name}." in block
    assert widths["kermany64_seeds"] > 0.15 > widths["kermany64"]  # two of the gains .1, .2 and .3 are drawn
