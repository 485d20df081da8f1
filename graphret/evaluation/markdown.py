"""A report as Markdown, made from its plain data, so that a saved report.json can be shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret._plain import markdown_safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["USES_LABELS", "interval_text", "to_markdown"]

USES_LABELS = "uses the archive's labels at query time"
LEARNED = "films are compared in a metric that was learned from the archive's labels when the index was tuned"


_READING = "Query by query; above 0 is better. p is two-sided and not corrected for the number of comparisons."


_MACRO = (
    "Mean over the labels of the mean over the queries that have the label (macro mean): a rare label weighs as much "
    "as a frequent one."
)


def to_markdown(report: dict[str, Any]) -> str:
    """Write the tables and the description of a report.

    Parameters
    ----------
    report
        What `Report.to_dict` returns. HTML and links in its texts are taken apart, see `_plain.markdown_safe`.
    """
    report = markdown_safe(report)
    parts = [
        "# Retrieval report",
        _summary(report),
        "## Measures",
        "Mean over queries, 95 % bootstrap interval over patients.",
    ]
    apart = [row["name"] for row in report["rankings"] if row["uses_labels"]]
    others = [row["name"] for row in report["rankings"] if not row["uses_labels"]]
    if others:
        parts.append(_measure_table(report, others))
    compared = [name for name in report["differences"] if name not in apart]
    if compared:
        parts += [f"## Differences from {report['reference']}", _READING, _difference_table(report, compared)]
    if apart:
        parts += ["## Apart: rankings that use the archive's labels", _warning(apart), _measure_table(report, apart)]
        if report["differences"]:
            parts += [f"From {report['reference']}, which does not. {_READING}", _difference_table(report, apart)]
    learned = [row["name"] for row in report["rankings"] if row["learned_metric"]]
    if learned:
        parts.append(f"{', '.join(learned)}: {LEARNED}.")
    parts += [f"{row['name']}: {note}." for row in report["rankings"] for note in row["notes"]]
    parts += [
        f"{row['name']}: {row['fill_share']:.1%} of its hits are fill, the nearest remaining films."
        for row in report["rankings"]
        if row["fill_share"]
    ]
    if report.get("judgements") is None:
        measure = report["rankings"][0]["per_label"]["measure"]
        parts += [
            "## Means over labels",
            _MACRO,
            _macro_table(report),
            f"## {measure} by label",
            "Over the queries that have the label; a hit counts if it shares any label with the query.",
            _label_table(report),
        ]
    else:
        parts += ["## Judgements", _judgements(report)]
    parts += ["## What was measured", _details(report)]
    return "\n\n".join(parts) + "\n"


def _summary(report: dict[str, Any]) -> str:
    queries, archive = report["queries"], report["archive"]
    sentences = [
        f"{queries['n_scored']} queries of {queries['n_patients']} patients: {queries['origin']}.",
        f"They were searched in {archive['n_searched']} films of {archive['n_patients']} patients.",
    ]
    if queries["transductive"]:
        sentences.append(
            "**The queries are part of the graph (transductive):** their codes took part in the graph and in the "
            "communities, though no query can be a hit."
        )
    else:
        sentences.append("The queries took no part in the graph.")
    with_patient = queries["n_with_films_of_the_same_patient"]
    were = "were" if queries["excluded"] == "patient" else "were **not**"
    sentences.append(
        f"Films of the query's own patient {were} excluded ({with_patient} queries had some among the films searched)."
    )
    return " ".join(sentences)


def _warning(names: list[str]) -> str:
    return (
        f"**{', '.join(names)}: {USES_LABELS}.** The hits are judged by the labels that the ranking reads, so these "
        "figures are no match for those of rankings that see codes only."
    )


def _measure_table(report: dict[str, Any], names: list[str]) -> str:
    measures = report["settings"]["measures"]
    lines = [
        [
            row["name"],
            *(interval_text(row["measures"][measure]) for measure in measures),
            _milliseconds(row["milliseconds_per_query"]),
        ]
        for row in report["rankings"]
        if row["name"] in names
    ]
    table = _table(["ranking", *measures, "ms per query"], lines)
    undefined = {
        measure: figures["n_undefined"]
        for measure, figures in report["rankings"][0]["measures"].items()
        if figures["n_undefined"]
    }
    if not undefined:
        return table
    counts = ", ".join(f"{measure} {number}" for measure, number in undefined.items())
    return f"{table}\n\nQueries without a relevant film in what they searched, where a measure is undefined: {counts}."


def _difference_table(report: dict[str, Any], names: list[str]) -> str:
    measures = report["settings"]["measures"]
    lines = [[name, *(_difference(report["differences"][name][measure]) for measure in measures)] for name in names]
    return _table(["ranking", *measures], lines)


def _macro_table(report: dict[str, Any]) -> str:
    measures = report["settings"]["measures"]
    lines = [
        [_marked(row), *(interval_text(row["macro"][measure]) for measure in measures)] for row in report["rankings"]
    ]
    return _table(["ranking", *measures], lines)


def _label_table(report: dict[str, Any]) -> str:
    rows = report["rankings"]
    positives = report["archive"]["positives"]
    lines = []
    for label, first in rows[0]["per_label"]["labels"].items():
        figures = [interval_text(row["per_label"]["labels"][label]) for row in rows]
        lines.append([label, str(first["n_queries"]), str(positives[label]), *figures])
    return _table(["label", "queries", "films searched", *(_marked(row) for row in rows)], lines)


def _judgements(report: dict[str, Any]) -> str:
    about = report["judgements"]
    shares = ", ".join(f"{row['name']} {row['judged_share']:.1%}" for row in report["rankings"])
    return (
        f"People judged, not labels: {about['n_judged']} pairs of query and film, {about['n_relevant']} of them "
        f"relevant, the largest grade {about['largest_grade']}. {about['n_that_no_hit_could_be']} more pairs do not "
        "count, because the query could not get that film (itself, or of its patient); "
        f"{about['n_queries_without_a_relevant_film_left']} queries have no relevant film left by that. A film that "
        "nobody judged counts as not relevant. Of the first 10 hits were judged: "
        f"{shares}. A ranking that finds what nobody looked at seems worse than it is."
    )


def _marked(row: dict[str, Any]) -> str:
    return f"{row['name']} (uses labels)" if row["uses_labels"] else str(row["name"])


def _details(report: dict[str, Any]) -> str:
    queries, archive, settings = report["queries"], report["archive"], report["settings"]
    encoder = archive["encoder"]
    left_out = ", ".join(f"{reason}: {number}" for reason, number in queries["left_out"].items())
    searched = f"{archive['n_films']} films, {archive['n_searched']} searched"
    facts = [
        f"Archive: {searched}; dataset spec {archive['spec'] or '-'}.",
        f"Encoder: {encoder['name']}, fingerprint {encoder['fingerprint'][:16]}."
        if encoder
        else "Encoder: none (codes).",
        f"Queries: {queries['n_given']} given, {queries['n_scored']} scored; left out: {left_out}.",
        f"Films that the reader of the queries' table had left out (all splits): {queries['n_problems_of_the_table']}.",
        f"Queries among the films searched, never their own hit: {queries['n_in_the_archive_themselves']}.",
        f"Excluded pairs of query and film: {queries['n_excluded_pairs']}.",
        "Relevant is what people judged so."
        if report.get("judgements")
        else f"Uncertain labels count as {queries['uncertain_labels']}.",
        f"{settings['k']} hits per query; {settings['n_resamples']} resamples; seed {settings['seed']}.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()) + ".",
        "The time per query is the median over batches on the machine at hand; it is no quality figure.",
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def interval_text(figures: dict[str, Any]) -> str:
    """Say a mean and its interval; without one where all queries are of one patient.

    Examples
    --------
    >>> interval_text({"mean": 0.5, "low": 0.4, "high": 0.61})
    '0.5000 [0.4000, 0.6100]'
    """
    if figures["mean"] is None:
        return "undefined"
    if figures["low"] is None:
        return f"{figures['mean']:.4f} (one patient)"
    return f"{figures['mean']:.4f} [{figures['low']:.4f}, {figures['high']:.4f}]"


def _difference(figures: dict[str, Any]) -> str:
    if figures["mean"] is None or figures["low"] is None:
        return "undefined"
    return f"{figures['mean']:+.4f} [{figures['low']:+.4f}, {figures['high']:+.4f}], p = {figures['p_value']:.4f}"


def _milliseconds(time: float | None) -> str:
    return "-" if time is None else f"{time:.2f}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
