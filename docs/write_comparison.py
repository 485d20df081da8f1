"""Write the answers at the top of docs/comparison.md, and its curves, from the records of the benchmarks.

Run as ``python docs/write_comparison.py``; a test compares page and records. The questions are those of
benchmarks/comparison/mednist.toml, which has the orders of all papers.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from graphret._plain import markdown_safe
from graphret.comparison import PooledReports, pool_reports, read_experiment
from graphret.comparison.answer_tables import answers_table
from graphret.comparison.markdown import markdown_of
from graphret.comparison.plots import cost_curves

HERE = Path(__file__).parent
PAGE = HERE / "comparison.md"
BENCHMARKS = HERE.parent / "benchmarks"
SETS = ("mednist", "kermany", "nih")
BEGIN = "<!-- answers: written by docs/write_comparison.py from the records -->"
END = "<!-- end of the answers -->"
PICTURES = ("comparison_bytes.svg", "comparison_time.svg")


def pooled_records() -> PooledReports:
    """Pool the reports of the three sets."""
    records = [BENCHMARKS / "results" / f"comparison_{name}.json.gz" for name in SETS]
    return pool_reports(records, experiment=read_experiment(BENCHMARKS / "comparison" / "mednist.toml"))


def answers_block(pooled: PooledReports) -> str:
    """Write the table between the marks."""
    _, text, lines = markdown_of(answers_table(markdown_safe(pooled.to_dict()["answers"])))
    return f"{BEGIN}\n\n{textwrap.fill(text, 132)}\n\n{lines}\n\n{END}"


def with_block(page: str, block: str) -> str:
    """Put a block in the place of the one that the page has."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + block + after


def main() -> None:
    """Write page and pictures."""
    pooled = pooled_records()
    PAGE.write_text(with_block(PAGE.read_text(encoding="utf-8"), answers_block(pooled)), encoding="utf-8")
    drawn = cost_curves({report.name: report.document for report in pooled.reports})
    for name, svg in zip(PICTURES, drawn.values(), strict=True):
        (HERE / "pictures" / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
