"""README's table of figures, number by number, from the records that it links to."""

import re

from documents import ROOT, tables_of

from graphret.hashing import list_hashers

RESULTS = ROOT / "benchmarks" / "results"
ORDERS = ("as given", "permuted")
HASHING = "comparison_kermany64_seeds"
DENSE = ["resnet18", "", "nearest"]


def record(name):
    return (RESULTS / f"{name}.md").read_text(encoding="utf-8")


def cells(name, section, table, row):
    """One row of a record, by its column heads: the first one that begins so in a table with this column."""
    part = next(part for part in re.split(r"^#{1,2} ", record(name), flags=re.MULTILINE) if part.startswith(section))
    for _, rows in tables_of(part):
        if table in rows[0]:
            found = [line for line in rows[1:] if line[: len(row)] == row]
            if found:
                return dict(zip(rows[0], found[0], strict=True))
    raise AssertionError(f"{name}: no row {row} with a column {table!r} under {section!r}")


def first(cell, digits):
    """The first number of a cell, rounded as README rounds it."""
    return f"{float(re.search(r'[-+]?[0-9.]+', cell.replace(',', ''))[0]):.{digits}f}"


def microseconds(cell):
    return f"{int(cell) / 1000:.2f}"


def expected_rows():
    """What README must say in each row, in order: every number of its second and third column."""
    simulated = "codes simulated from the real NIH labels (d2)"
    exact, flat = (cells("knn_graph", simulated, "seconds", [name]) for name in ("graphret-exact", "faiss-flat"))
    ours, igraph = (
        cells("communities", simulated, "seconds, as given", [name])
        for name in ("**graphret** `louvain`, 1 thread", "igraph `community_multilevel`, 1 thread")
    )
    queries = {
        (name, data): cells("queries", f"Single queries: {data}", "median us", [name])["median us"]
        for name in ("graphret, `index.query`", "Faiss HNSW (M 32)")
        for data in ("codes simulated", "Fashion-MNIST")
    }
    kermany = cells("default_ranking", "The default answer", "best baseline", ["kermany-untrained", "P@10"])
    rows = {"nearest": DENSE, "tuned": ["resnet18", "", "tuned"], "bits": ["dpsh", "64", "hamming"]}
    hashing = {name: cells(HASHING, "Figures", "P@10", row)["P@10"] for name, row in rows.items()}
    size = {name: cells(HASHING, "Costs", "bytes per film", row)["bytes per film"] for name, row in rows.items()}
    assert size["tuned"] == size["nearest"]
    return [
        ([first(exact["seconds"], 1)], [first(flat["seconds"], 1)]),
        (
            [first(ours["seconds, as given"], 3), *(first(ours[f"modularity, {way}"], 4) for way in ORDERS)],
            [first(igraph["seconds, as given"], 3), *(first(igraph[f"modularity, {way}"], 4) for way in ORDERS)],
        ),
        (
            [microseconds(queries["graphret, `index.query`", data]) for data in ("codes simulated", "Fashion-MNIST")],
            [microseconds(queries["Faiss HNSW (M 32)", data]) for data in ("codes simulated", "Fashion-MNIST")],
        ),
        ([kermany["default"], kermany["nearest"]], [first(kermany["best baseline"], 3)]),
        (
            [size["nearest"], first(hashing["nearest"], 3), first(hashing["tuned"], 3)],
            [str(len(precision_of_hash_encoders())), size["bits"], first(hashing["bits"], 3)],
        ),
    ]


def precision_of_hash_encoders():
    """P@10 by Hamming of every encoder of bits; a * behind a name marks what is not the paper's to the letter."""
    rows = next(rows for _, rows in tables_of(record(HASHING)) if "P@10" in rows[0])
    others = {*list_hashers(), "random"}
    precision = {row[0].removesuffix(" *"): float(first(row[3], 4)) for row in rows[1:] if row[2] == "hamming"}
    return {name: value for name, value in precision.items() if name not in others}


def readme_rows():
    _, rows = next(
        table for table in tables_of((ROOT / "README.md").read_text(encoding="utf-8")) if "record" in table[1][0]
    )
    return rows[1:]


def numbers(cell):
    """Numbers of a cell that are no part of a name, as those of DenseNet-121 and P@10 are."""
    return re.findall(r"(?<![\w@.,-])\d[\d,]*(?:\.\d+)?(?![\w@])", cell)


def test_every_figure_is_that_of_its_record():
    rows = readme_rows()
    assert len(rows) == 5
    for row, (ours, beside) in zip(rows, expected_rows(), strict=True):
        assert numbers(row[1]) == ours, row[0]
        assert numbers(row[2]) == beside, row[0]


def test_the_settings_of_every_row_stand_in_its_records():
    for what, _, _, links in readme_rows():
        names = re.findall(r"benchmarks/results/(\w+)\.md", links)
        text = "".join(map(record, names)).replace(",", "")
        for number in numbers(what.replace(",", "")):
            assert re.search(rf"(?<![\d.]){re.escape(number)}", text), f"{what}: {number} is not in {names}"


def test_the_best_hash_encoder_is_the_one_that_is_named():
    found = precision_of_hash_encoders()
    assert max(found, key=found.get) == "dpsh"


def test_the_best_baseline_is_one_of_seven():
    part = record("default_ranking").split("\n## kermany-untrained\n")[1].split("\n## ")[0]
    rows = [row for _, table in tables_of(part) for row in table[1:]]
    found = {row[0]: float(row[2]) for row in rows if row[0] != "nearest" and not row[0].startswith("default")}
    assert len(found) == 7
    assert f"{max(found.values()):.3f}" in readme_rows()[3][2]
