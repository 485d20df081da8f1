"""Real films: no near duplicate on both sides, a choice by validation figures only, figures without films."""

import argparse
import json

import numpy as np
import pytest

from graphret.data import ImageTable, generate_phantom

SPLITS = ["train", "train", "valid", "test", "test"]


@pytest.fixture
def table(tmp_path):
    paths = [str(tmp_path / "set" / f"{name}.png") for name in "abcde"]
    return ImageTable(
        ids=list("abcde"), paths=paths, labels=np.eye(5, 2, dtype=np.int8), label_names=("x", "y"), splits=SPLITS
    )


def pairs_of(script, tmp_path, table, *pairs):
    lines = ["file_a,file_b,correlation", *(f"set/{a}.png,set/{b}.png,0.95" for a, b in pairs)]
    (tmp_path / "near_duplicates.csv").write_text("\n".join(lines) + "\n")
    return script("real_films").NearDuplicates.read(tmp_path / "near_duplicates.csv", table)


def test_the_archives_end_of_a_pair_is_left_out(script, tmp_path, table):
    found = pairs_of(script, tmp_path, table, "ab", "da", "bc", "de", "az")
    splits = table.splits
    assert found.counts(splits) == {"pairs": 4, "train and valid": 1, "train and test": 1, "valid and test": 0}
    assert found.of_queries(splits != "test", splits == "test") == [0]
    assert found.of_queries(splits == "train", splits == "valid") == [1]


def test_without_a_list_nothing_is_known(script, tmp_path, table):
    found = script("real_films").NearDuplicates.read(tmp_path / "absent.csv", table)
    assert not found.known
    assert found.of_queries(table.splits != "test", table.splits == "test") == []


@pytest.mark.parametrize(
    ("means", "low", "chosen"),
    [
        ({"nearest": 0.5, "diffusion": 0.4, "random": 0.9}, -0.2, "nearest"),
        ({"nearest": 0.5, "diffusion": 0.6, "random": 0.1}, 0.01, "diffusion"),
        ({"nearest": 0.5, "diffusion": 0.6, "random": 0.1}, -0.01, "nearest"),
        ({"nearest": 0.5, "diffusion": 0.6, "random": 0.1}, None, "nearest"),
    ],
)
def test_another_ranking_is_chosen_only_if_it_is_clearly_better(script, means, low, chosen):
    rankings = [{"name": name, "measures": {"nDCG@100": {"mean": mean}}} for name, mean in means.items()]
    differences = {"diffusion": {"nDCG@100": {"low": low}}}
    assert script("real_films").choose({"rankings": rankings, "differences": differences}) == chosen


@pytest.mark.slow
def test_the_whole_way_on_generated_films(script, tmp_path):
    generate_phantom(tmp_path / "data" / "phantom", 150, size=32)
    options = argparse.Namespace(
        spec="phantom", folder=None, data_root=tmp_path / "data", work=tmp_path / "work", results=tmp_path / "results",
        encoder="resnet18", size=32, epochs=1, max_minutes=5.0, seed=0, note="a test",
    )  # fmt: skip
    script("real_films").run(options)
    validation, test = (
        json.loads((tmp_path / "results" / f"real_films_phantom{name}.json").read_text())
        for name in ("_validation", "")
    )
    assert "test" not in validation
    assert test["chosen"] == validation["chosen"] == script("real_films").choose(validation["validation"]["report"])
    assert validation["validation"]["index"]["counts"]["films"] == test["films"]["train"]["films"]
    assert (
        test["test"]["report"]["archive"]["n_films"]
        == test["films"]["train"]["films"] + test["films"]["valid"]["films"]
    )
    assert [row["name"] for row in test["test"]["report"]["rankings"]][-1] == "random"
    assert set(test["test_auc"]) <= set(test["test_positives"])
    for file in (tmp_path / "results").iterdir():
        assert str(tmp_path) not in file.read_text()
        assert file.suffix in {".json", ".md"}
