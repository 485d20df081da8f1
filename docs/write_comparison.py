"""Write the answers at the top of docs/comparison.md, and its curves, from the records of the benchmarks.

Run as ``python docs/write_comparison.py``; a test compares page and records. The questions of the three sets are those
of benchmarks/comparison/mednist.toml, which has the orders of all papers. The longer trainings have own questions,
and a block of their own: they ask the patients of two of the three sets again, who would count twice beside them. The
orders of papers after longer training are a family apart (orders64.toml), so that they cost those questions nothing.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from graphret._plain import markdown_safe
from graphret.comparison import PooledReports, pool_reports, read_experiment
from graphret.comparison.answer_tables import answers_table
from graphret.comparison.markdown import markdown_of
from graphret.comparison.plots import cost_curves
from graphret.comparison.query_values import values_path

HERE = Path(__file__).parent
PAGE = HERE / "comparison.md"
BENCHMARKS = HERE.parent / "benchmarks"
RESULTS = BENCHMARKS / "results"
SETS = ("mednist", "kermany", "nih")
LONGER = ("kermany64", "nih64")
"""The record of NAME_seeds, of several seeds, takes the place of NAME where it is there: both would ask twice."""
BEGIN = "<!-- answers: written by docs/write_comparison.py from the records -->"
END = "<!-- end of the answers -->"
LONGER_BEGIN = "<!-- answers after longer training: written by docs/write_comparison.py from the records -->"
LONGER_END = "<!-- end of the answers after longer training -->"
ORDERS_BEGIN = "<!-- orders after longer training: written by docs/write_comparison.py from the records -->"
ORDERS_END = "<!-- end of the orders after longer training -->"
PICTURES = ("comparison_bytes.svg", "comparison_time.svg")


def pooled_records() -> PooledReports:
    """Pool the reports of the three sets."""
    records = [RESULTS / f"comparison_{name}.json.gz" for name in SETS]
    return pool_reports(records, experiment=read_experiment(BENCHMARKS / "comparison" / "mednist.toml"))


def longer_records(results: Path = RESULTS) -> PooledReports | None:
    """Answer the questions of the longer trainings, by the values of their queries; None while there is no record.

    A record without its values is refused: they were kept by every comparison that stated these questions.
    """
    records = longer_paths(results)
    return pool_reports(records) if records else None


def longer_orders(results: Path = RESULTS) -> PooledReports | None:
    """Ask the same records for the orders of papers."""
    records = longer_paths(results)
    orders = read_experiment(BENCHMARKS / "comparison" / "pooled" / "orders64.toml")
    return pool_reports(records, experiment=orders) if records else None


def longer_paths(results: Path) -> list[Path]:
    """Find the records of the longer trainings, each with its values beside it."""
    found = [[results / f"comparison_{name}{end}.json.gz" for end in ("_seeds", "")] for name in LONGER]
    records = [record for both in found if (record := next(filter(Path.is_file, both), None))]
    for record in records:
        if not values_path(record).is_file():
            told = f"{values_path(record)}: copy comparison_values.npz of the same run beside the record"
            raise FileNotFoundError(told)
    return records


def answers_block(pooled: PooledReports) -> str:
    """Write the table of the three sets between its marks."""
    _, _, lines = markdown_of(answers_table(markdown_safe(pooled.to_dict()["answers"])))
    return f"{BEGIN}\n\n{lines}\n\n{END}"


def longer_block(pooled: PooledReports | None) -> str:
    """Write titles, what was asked, how it is answered, and the table of the longer trainings; or nothing."""
    if pooled is None:
        return f"{LONGER_BEGIN}\n{LONGER_END}"
    titles = markdown_safe([f"{report.document['experiment']['title']}." for report in pooled.reports])
    told = markdown_safe(pooled.summary())
    _, how, lines = markdown_of(answers_table(markdown_safe(pooled.to_dict()["answers"])))
    wrapped = [textwrap.fill(line, 132) for line in [*titles, *told, how] if line]
    return "\n\n".join([LONGER_BEGIN, "### After longer training", *wrapped, lines, LONGER_END])


def orders_block(pooled: PooledReports | None) -> str:
    """Write the table of the orders after longer training."""
    if pooled is None:
        return f"{ORDERS_BEGIN}\n{ORDERS_END}"
    _, _, lines = markdown_of(answers_table(markdown_safe(pooled.to_dict()["answers"])))
    return f"{ORDERS_BEGIN}\n\n{lines}\n\n{ORDERS_END}"


def with_block(page: str, block: str) -> str:
    """Put a block in the place of the one that the page has between the same marks."""
    lines = block.splitlines()
    before, _, rest = page.partition(lines[0])
    _, _, after = rest.partition(lines[-1])
    return before + block + after


def main() -> None:
    """Write page and pictures."""
    pooled, longer = pooled_records(), longer_records()
    page = PAGE.read_text(encoding="utf-8")
    for block in (answers_block(pooled), longer_block(longer), orders_block(longer_orders())):
        page = with_block(page, block)
    PAGE.write_text(page, encoding="utf-8")
    documents = {report.name: report.document for report in pooled.reports}
    documents |= {report.document["experiment"]["name"]: report.document for report in longer.reports} if longer else {}
    for name, svg in zip(PICTURES, cost_curves(documents).values(), strict=True):
        (HERE / "pictures" / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
