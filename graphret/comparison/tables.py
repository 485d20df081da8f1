"""The tables of a report as lists of texts, for Markdown and HTML alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.comparison.answer_tables import answers_table, sets_table
from graphret.comparison.bit_tables import bits_table
from graphret.comparison.published import OTHER_IMAGES
from graphret.comparison.row_texts import departure_of, measured, names_of
from graphret.comparison.starts import fallbacks
from graphret.comparison.table import Table, number_text, p_text
from graphret.comparison.training_curve import not_to_the_end
from graphret.evaluation.markdown import interval_text
from graphret.retrieval import RankingChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["figure_row", "mean_auc", "report_tables"]

_COMPARED = ("P@10", "ACG@10", "nDCG@100", "mAP@100")
_ADJUSTED = {"holm": "Holm", "fdr": "Benjamini and Hochberg"}


def report_tables(report: dict[str, Any]) -> list[Table]:
    """Make all tables of a report (what `Comparison.to_dict` returns); those without a line are left out."""
    tables = [
        answers_table(report.get("answers", [])),  # reports of before have none
        _quality(report),
        _fidelity(report),
        _starts(report),
        _trainings(report),
        _costs(report),
        _seeds(report),
        _same_codes(report),
        _orders(report),
        _differences(report),
        bits_table(report),
        _ties(report),
        _auc(report),
        _masks(report),
        *_published_alone(report),
        _without_code(report),
        sets_table(report.get("answers", [])),
        _failures(report),
    ]
    return [table for table in tables if table.lines]


def mean_auc(row: dict[str, Any]) -> float | None:
    """Mean over labels, or None for a method without a classifier."""
    areas = (row["costs"] or {}).get("auc")
    return float(np.mean(list(areas.values()))) if areas else None


def _quality(report: dict[str, Any]) -> Table:
    measures = report["experiment"]["measures"]
    rows = measured(report)
    columns = _published_columns(report, rows)
    head = ("method", "bits", "ranking", *measures, *(title for title, _ in columns))
    lines = []
    for place, row in enumerate(rows):
        figures = [interval_text(row["measures"][measure]) for measure in measures]
        lines.append((*names_of(row), *figures, *(cells[place] for _, cells in columns)))
    text = "Mean over queries, 95 % bootstrap interval over patients. " + (
        "Columns that begin with “published” hold figures of papers, never measurements of ours."
        if columns
        else "Random codes are the level of chance."
    )
    n = 3 + len(measures)
    return Table("Figures", text, head, tuple(lines), tuple(range(n, n + len(columns))))


def _published_columns(report: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """A column for every table and measure that has a figure of one of the methods (not for the AUC of each label)."""
    columns = []
    for table in report["published"]:
        mark = OTHER_IMAGES if table["other_images"] else "published, the same images"
        measures = [figure["measure"] for figure in table["figures"] if not figure["measure"].startswith("AUC ")]
        for measure in dict.fromkeys(measures):
            cells = [""] * len(rows)
            for figure in table["figures"]:
                place = figure_row(figure, rows)
                if figure["measure"] == measure and place is not None:
                    cells[place] = f"{figure['value']:g}"
            if any(cells):
                columns.append((f"{mark}: {table['table']}, {measure}", cells))
    return columns


def figure_row(figure: dict[str, Any], rows: Sequence[dict[str, Any]]) -> int | None:
    """The first row of a figure's method at its length of code, or that of its ranking."""
    for place, row in enumerate(rows):
        if (
            row["method"] == figure["method"]
            and (not figure["bits"] or row["n_bits"] == figure["bits"])
            and figure["ranking"] in {"", row["ranking"]}
        ):
            return place
    return None


def _costs(report: dict[str, Any]) -> Table:
    head = (
        "method",
        "bits",
        "ranking",
        "AUC",
        "training accuracy",
        "training s",
        "epochs",
        "encoding films/s",
        "query ms",
        "bytes per film",
        "peak MB",
        "tuned to",
    )
    lines = []
    for row in measured(report):
        costs = row["costs"]
        of_seeds = [] if row["chosen"] is None else row["chosen"].get("of_seeds", [row["chosen"]])
        choices = [one for chosen in of_seeds for one in chosen.get("by_fold", [chosen])]
        numbers = [
            number_text(mean_auc(row), ".3f"),
            number_text(costs.get("training_accuracy"), ".3f"),
            number_text(costs.get("training_seconds"), ".0f"),
            number_text(costs.get("epochs"), ".3g"),
            number_text(costs.get("films_per_second"), ".0f"),
            number_text(costs.get("query_milliseconds"), ".3f"),
            number_text(costs.get("bytes_per_film"), ".0f"),
            number_text(costs.get("peak_megabytes"), ".0f"),
        ]
        tuned = "; ".join(dict.fromkeys(str(RankingChoice(one["ranking"], one["options"])) for one in choices))
        lines.append((*names_of(row), *numbers, tuned))
    text = (
        "AUC: mean over labels, on all films of the queries' split. Training accuracy: the nearest other training film "
        "shares a label. Training: epochs, or the fit of a hasher after that of its encoder. Films: decoded, encoded "
        "on all processors. Query: median of single ones for ten hits on one thread, without encoding. Bytes: what the "
        "ranking reads of a film. Peak: memory of the process while it was trained and encoded. "
    ) + _source_of_costs(report.get("costs_of", {"alone": False}))
    return Table("Costs", text, head, tuple(lines))


def _trainings(report: dict[str, Any]) -> Table:
    """How far every encoder was trained."""
    lines: dict[tuple[str, ...], None] = {}
    for row in measured(report):
        for state in row["costs"].get("trainings", []):
            best = "-" if state["best_pass"] is None else f"{state['best_score']:.3f} at {state['best_pass']}"
            cells = str(state["seed"]), f"{state['passes']:.3g}", best, number_text(state["passes_since"], ".3g")
            lines[(*names_of(row)[:2], *cells, not_to_the_end(state) or "at its plateau")] = None
    text = (
        "By the validation score of every pass. A training counts as still rising where the best of its last quarter "
        "of "
        "passes is above all before; at its plateau where it is not. Fewer than four passes say nothing."
    )
    head = ("method", "bits", "seed", "passes", "best score, and pass", "passes since", "trained to the end?")
    return Table("Trainings", text, head, tuple(lines))


def _seeds(report: dict[str, Any]) -> Table:
    """Spread over seeds; without seeds no line."""
    measures = _compared(report)
    seeds = report["experiment"].get("seeds", [])
    lines = []
    for row in measured(report) if len(seeds) > 1 else []:
        cells = []
        for measure in measures:
            means = [mean for mean in row["measures"][measure]["of_seeds"] if mean is not None]
            spread = f"{np.mean(means):.4f} ({min(means):.4f} to {max(means):.4f}; sd {np.std(means, ddof=1):.4f})"
            cells.append(spread if len(means) == len(seeds) else "undefined")
        lines.append((*names_of(row), *cells))
    text = f"Mean over the seeds {', '.join(map(str, seeds))}, lowest to highest, and standard deviation."
    return Table("Seeds", text, ("method", "bits", "ranking", *measures), tuple(lines))


def _source_of_costs(source: dict[str, Any]) -> str:
    """Say how costs were measured."""
    if not source["alone"]:
        return (
            "Rates and times were taken while the comparison ran, whatever else the machine did then: compare them "
            "with care "
            "(`graphret compare --costs` measures all rows anew, one after the other)."
        )
    load = source.get("load_before")
    before = "" if load is None else f" (load before: {load[0]:g})"
    how = (
        "Rates, times and bytes were measured one after the other in one process when all trainings were done, on "
        f"{source['processor']} with {source['threads of encoding']} threads for encoding and one for a query{before}."
    )
    return " ".join([how, *(f"Beware: {warning}." for warning in source["warnings"])])


def _differences(report: dict[str, Any]) -> Table:
    reference = report["reference"]
    measures = _compared(report)
    lines = [
        (*names_of(row), *_cells(report, report["differences"][row["name"]], measures))
        for row in measured(report)
        if row["name"] in report["differences"]
    ]
    text = (
        f"Query by query; above 0 is better than {reference}. The interval is of this one difference; p is two-sided "
        f"(signs "
        f"of patients flipped) and adjusted for the {len(lines)} rows of a measure: {_adjustment(report)}."
    )
    return Table(f"Differences from {reference}", text, ("method", "bits", "ranking", *measures), tuple(lines))


def _same_codes(report: dict[str, Any]) -> Table:
    measures = _compared(report)
    of_row = {row["name"]: names_of(row) for row in measured(report)}
    lines = tuple(
        (*of_row[pair["row"]], of_row[pair["reference"]][2], *_cells(report, pair["differences"], measures))
        for pair in report["same_codes"]
    )
    text = (
        "The codes of a method are the same, only the ranking differs; above 0 is better than the one beside it. "
        f"Interval of this one difference; p adjusted for all rows of the measure ({_ADJUSTED[_adjust(report)]})."
    )
    return Table("Rankings of the same codes", text, ("method", "bits", "ranking", "compared with", *measures), lines)


def _orders(report: dict[str, Any]) -> Table:
    measures = _compared(report)
    lines = tuple(
        (
            pair["title"],
            pair["better"],
            pair["worse"],
            *(
                f"{cell}: {_verdict(pair['differences'][measure])}"
                for measure, cell in zip(measures, _cells(report, pair["differences"], measures), strict=True)
            ),
        )
        for pair in report["orders"]
    )
    text = (
        "Above 0 the paper's order holds. “As published” and “reversed” are said where the interval of the difference "
        f"leaves out 0; p is adjusted for all pairs of a measure ({_ADJUSTED[_adjust(report)]})."
    )
    return Table("Orders of the papers", text, ("order", "better in the paper", "than", *measures), lines)


def _verdict(figures: dict[str, Any]) -> str:
    if figures["low"] is None:
        return "undefined"
    if figures["low"] > 0:
        return "as published"
    return "reversed" if figures["high"] < 0 else "not told apart"


def _compared(report: dict[str, Any]) -> list[str]:
    """Measures of the tables of differences."""
    measures = report["experiment"]["measures"]
    return [name for name in measures if name in _COMPARED] or list(measures[:3])


def _cells(report: dict[str, Any], differences: dict[str, Any], measures: Sequence[str]) -> list[str]:
    return [_difference(differences[measure], f"p_{_adjust(report)}") for measure in measures]


def _adjust(report: dict[str, Any]) -> str:
    return str(report["experiment"]["intervals"].get("adjust", "holm"))  # reports of before had Holm's alone


def _adjustment(report: dict[str, Any]) -> str:
    """What the adjusted p promises."""
    if _adjust(report) == "holm":
        return "the chance of even one false finding in a column stays below it (Holm)"
    return "of what is found in a column, the expected share that is false stays below it (Benjamini and Hochberg)"


def _ties(report: dict[str, Any]) -> Table:
    rows = [row for row in measured(report) if row["ties"]]
    measures = [name for name in report["experiment"]["measures"] if any(name in row["ties"] for row in rows)]
    lines = []
    for row in rows:
        cells = [
            f"{number_text(row['measures'][name]['mean'], '.4f')} / {number_text(row['ties'].get(name), '.4f')}"
            for name in measures
        ]
        lines.append((*names_of(row)[:2], *cells))
    text = (
        "Short codes put many films at one distance. First the order that was measured above (the smaller film first), "
        "then what is expected if films at one distance come in random order."
    )
    return Table("Ties of Hamming distances", text, ("method", "bits", *measures), tuple(lines))


def _auc(report: dict[str, Any]) -> Table:
    labels = report["films"]["labels"]
    seen: dict[tuple[str, Any], dict[str, float]] = {}
    for row in measured(report):
        if row["costs"].get("auc"):
            seen.setdefault((row["method"], row["n_bits"]), row["costs"]["auc"])
    lines = tuple(
        (method, "" if bits is None else str(bits), *(number_text(areas.get(label), ".3f") for label in labels))
        for (method, bits), areas in seen.items()
    )
    text = "Of the classifier, on all films of the queries' split; a label of which they have one class has none."
    return Table("AUC by label", text, ("method", "bits", *labels), lines)


def _masks(report: dict[str, Any]) -> Table:
    """Masks of encoders that draw some, class by class."""
    found = {}
    for row in measured(report):
        masks = row["costs"].get("masks")
        for number, dice in (masks or {"dice": {}})["dice"].items():
            figures = number_text(dice, ".3f"), number_text(masks["iou"][number], ".3f"), f"{masks['n_films']:g}"
            method, bits, _ = names_of(row)
            found[method, bits, number] = (method, bits, number, *figures)
    text = "Means over the queries' films that have a mask, of the class of that number, at the size of the encoder."
    return Table("Masks", text, ("method", "bits", "class", "Dice", "IoU", "films"), tuple(found.values()))


def _published_alone(report: dict[str, Any]) -> list[Table]:
    """Every published figure, in tables of their own."""
    tables = []
    for table in report["published"]:
        mark = f"{OTHER_IMAGES} ({table['other_images']})" if table["other_images"] else "published, the same images"
        measures = list(dict.fromkeys(figure["measure"] for figure in table["figures"]))
        lines: dict[tuple[str, str], dict[str, str]] = {}
        for figure in table["figures"]:
            key = figure["name"], str(figure["bits"] or "")
            lines.setdefault(key, {})[figure["measure"]] = f"{figure['value']:g}"
        text = f"{table['paper']} {table['setting']} {table['notes']}".strip()
        tables.append(
            Table(
                f"{table['table']}: {mark}",
                text,
                ("method of the paper", "bits", *(f"published {measure}" for measure in measures)),
                tuple((*key, *(cells.get(measure, "") for measure in measures)) for key, cells in lines.items()),
                tuple(range(2, 2 + len(measures))),
            )
        )
    return tables


def _fidelity(report: dict[str, Any]) -> Table:
    """The methods whose code is not the formula of their paper; their rows carry a mark."""
    found = {row["method"]: departure_of(row) for row in report["rows"]}
    lines = tuple((f"{method} *", *departure) for method, departure in found.items() if departure)
    text = "Rows with a * are not the paper's formula: what departs is said in the documentation of the code."
    return Table("Fidelity", text, ("method", "what the code follows", "source"), lines)


def _starts(report: dict[str, Any]) -> Table:
    """Trainings that did not begin from the weights that were asked for."""
    found = fallbacks(report["rows"])
    lines = tuple((method, bits, start["wanted"], start["had"], start["why"]) for method, bits, start in found)
    text = f"{len(lines)} trainings did not begin from the weights that the experiment asks for."
    return Table("Other starts than asked for", text, ("method", "bits", "asked for", "began from", "why"), lines)


def _without_code(report: dict[str, Any]) -> Table:
    found = {
        (
            row["method"],
            "" if row["n_bits"] is None else str(row["n_bits"]),
            str(row["costs"]["films_without_code"]),
        ): None
        for row in measured(report)
        if row["costs"].get("films_without_code")
    }
    text = "A code of zeros has no direction; these films got +1 for every bit, and one value in every place."
    return Table("Films with a code of zeros", text, ("method", "bits", "films"), tuple(found))


def _failures(report: dict[str, Any]) -> Table:
    lines = tuple((*names_of(row), row["error"]) for row in report["rows"] if row["error"])
    return Table("Without figures", "What failed, and why.", ("method", "bits", "ranking", "reason"), lines)


def _difference(figures: dict[str, Any], adjusted: str) -> str:
    if figures["mean"] is None or figures["low"] is None:
        return "undefined"
    interval = f"{figures['mean']:+.4f} [{figures['low']:+.4f}, {figures['high']:+.4f}]"
    return f"{interval}, p = {p_text(figures[adjusted])}"
