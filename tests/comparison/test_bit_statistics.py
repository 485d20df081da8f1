"""What bits are like, by loops; and the table of a comparison, over seeds too."""

import math

import numpy as np
import pytest

from graphret.comparison import (
    DataSettings,
    Experiment,
    IntervalSettings,
    MethodSettings,
    RankingSettings,
    SheetSettings,
    compare,
)
from graphret.comparison.bit_statistics import bit_statistics, precision_of_cuts
from graphret.data import ImageTable


def naive_statistics(codes):
    n, d = codes.shape
    signs = [[1 if v >= 0 else -1 for v in row] for row in codes.tolist()]
    entropies, constant = [], 0
    for j in range(d):
        p = sum(row[j] == 1 for row in signs) / n
        entropies.append(-sum(x * math.log2(x) for x in (p, 1 - p) if x > 0))
        constant += max(p, 1 - p) >= 0.95
    correlations = []
    for j in range(d):
        for i in range(j):
            one, other = [row[i] for row in signs], [row[j] for row in signs]
            if len(set(one)) == 2 and len(set(other)) == 2:
                correlations.append(abs(float(np.corrcoef(one, other)[0, 1])))
    sizes = [[abs(v) for v in row] for row in codes.tolist()]
    mean_size = sum(map(sum, sizes)) / (n * d)
    cosines = [
        sum(v * s for v, s in zip(row, sign, strict=True)) / math.sqrt(d * sum(v * v for v in row))
        for row, sign in zip(codes.tolist(), signs, strict=True)
        if any(row)
    ]
    return {
        "entropy": sum(entropies) / d,
        "constant_bits": constant / d,
        "correlation": sum(correlations) / len(correlations) if correlations else None,
        "distinct_codes": len({tuple(row) for row in signs}),
        "quantisation_error": sum(abs(v - 1) for row in sizes for v in row) / (n * d),
        "near_zero": sum(v < mean_size / 10 for row in sizes for v in row) / (n * d),
        "sign_cosine": sum(cosines) / len(cosines) if cosines else None,
    }


@pytest.mark.parametrize("kind", ["shifted", "one bit", "constant", "zeros"])
def test_statistics_are_those_of_the_loops(kind):
    codes = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
    if kind == "shifted":
        codes = codes * np.float32([1, 2, 0.1, 1, 1, 1]) + np.float32([0, 1, 0, 2, -3, 9])
        codes[4] = 0
    codes = {"one bit": codes[:, :1], "constant": np.abs(codes), "zeros": np.zeros_like(codes)}.get(kind, codes)
    found, wanted = bit_statistics(codes), naive_statistics(codes.astype(np.float64))
    undefined = {"shifted": set(), "one bit": {"correlation"}, "constant": {"correlation"}}
    assert {key for key, value in found.items() if value is None} == undefined.get(kind, {"correlation", "sign_cosine"})
    for key, value in wanted.items():
        assert found[key] == (None if value is None else pytest.approx(value, rel=1e-6)), key


def test_a_threshold_in_the_wrong_place_is_told_from_what_the_sign_costs():
    """Two classes told apart by every bit, all values above 0: the sign says nothing, the median everything."""
    rng = np.random.default_rng(0)
    group = np.arange(80) % 2
    names, patients = [str(row) for row in range(80)], [str(row // 4) for row in range(80)]
    films = ImageTable(names, [], np.eye(2, dtype=np.int8)[group], ("a", "b"), patients=patients)
    side = np.where(group, 1.0, -1.0)[:, None]
    codes = (side + 5 + 0.3 * rng.standard_normal((80, 16))).astype(np.float32)
    queries, database = films.select(np.arange(16)), films.select(np.arange(8, 80))
    split = codes[:16], codes[8:]
    found = precision_of_cuts(split, (queries, database), exclude="patient")
    assert found["cut_at_zero"] == pytest.approx(0.5, abs=0.01)
    assert found["cut_at_median"] == pytest.approx(1.0)
    # 16 random values: a sign of any of them says nothing of the class, wherever it is cut
    noise = rng.standard_normal((80, 16)).astype(np.float32)
    lost = precision_of_cuts((noise[:16], noise[8:]), (queries, database), exclude="patient")
    assert lost["cut_at_median"] == pytest.approx(lost["cut_at_zero"], abs=0.2)
    assert lost["cut_at_median"] < 0.7


def test_what_is_excluded_is_not_found():
    """One other film has the query's class: its patient's, or another's."""
    films = ImageTable(["q", "s", "t"], [], [[1, 0], [1, 0], [0, 1]], ("a", "b"), patients=["p", "p", "r"])
    codes = np.float32([[1, 1], [1, 1], [-1, -1]])
    found = {
        exclude: precision_of_cuts((codes[:1], codes), (films.select([0]), films), exclude=exclude)["cut_at_zero"]
        for exclude in ("patient", "none")
    }
    assert found == {"patient": 0.0, "none": pytest.approx(0.1)}


def test_the_table_is_that_of_the_codes_and_of_seeds_their_mean(film_root, tmp_path):
    """An encoder with bits, whose record also says in words where its training began."""
    experiment = Experiment(
        name="bits",
        methods=(MethodSettings("untrained", "siamese_hash"),),
        data=DataSettings(spec="phantom", root=str(film_root), size=32),
        bits=(16,),
        rankings=RankingSettings(hash=("hamming",)),
        measures=("P@10",),
        intervals=IntervalSettings(n_resamples=20),
        sheets=SheetSettings(queries=0),
        timed_queries=2,
        engine={"k": 5},
        seeds=(0, 1),
    )
    comparison = compare(out=tmp_path, experiment=experiment)
    assert [row.error for row in comparison.rows] == [""]
    row = comparison["siamese_hash untrained, 16 bits, hamming"]
    assert row.costs["start"] == {"wanted": "random", "had": "random", "why": ""}
    codes = [np.load(path)["codes"] for path in sorted(tmp_path.glob("methods/siamese_hash*/codes-*.npz"))]
    assert len(codes) == 2
    entropies = [naive_statistics(of_seed.astype(np.float64))["entropy"] for of_seed in codes]
    assert row.costs["bits"]["entropy"] == pytest.approx(np.mean(entropies))
    assert row.costs["bits"]["cut_at_zero"] == pytest.approx(row.ties["P@10"])
    (table,) = [part for part in comparison.to_markdown().split("\n## ") if part.startswith("Bits\n")]
    lines = [line for line in table.splitlines() if line.startswith("| siamese")]
    assert len(lines) == 1
    assert f"{row.costs['bits']['cut_at_median']:.4f}" in lines[0]
