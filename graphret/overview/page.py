"""The page of an archive: text, tables, pictures and a map as SVG, in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.figures import COLOURS
from graphret.html import page, picture, table, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphret.mapping import CommunitySummary
    from graphret.overview.contents import ArchiveContents

__all__ = ["map_svg", "report_html", "report_summary"]

_MAP = 900
_NAMED = 24
"""Communities whose number stands on the map."""
_STYLE = """
.cards{display:flex;flex-wrap:wrap;gap:.8rem}
.card{width:150px;margin:0;padding:9px;border:1px solid #dfe4e8;border-top:4px solid;font-size:13px;line-height:1.35}
.card p{margin:.25rem 0;overflow-wrap:anywhere}
.card .none{height:128px;display:flex;align-items:center;background:#d5d9dd;color:#4b5660}
.note{color:#4b5660;font-size:13px}
"""


def report_html(report: ArchiveContents) -> str:
    """Return the page of a report."""
    body: list[str] = []
    for title, part in (
        ("At a glance", _glance(report)),
        ("Findings", _findings(report)),
        ("Communities", _communities(report)),
        ("Map", _map(report)),
        ("How well films find each other", _measures(report)),
        ("Near duplicates", _duplicates(report)),
    ):
        body += [f"<h2>{title}</h2>", *part]
    return page(f"Archive {report.facts['name']}", body, _STYLE)


def report_summary(report: ArchiveContents) -> str:
    """Return the first part of a page, for notebooks."""
    return f"<div><b>{text(repr(report))}</b>{''.join(_glance(report))}{''.join(_map(report))}</div>"


def _glance(report: ArchiveContents) -> Iterator[str]:
    facts = report.facts
    lines = [
        ("films", f"{facts['films']:,}" + (f" ({facts['left_out']:,} left out)" if facts["left_out"] else "")),
        ("patients", f"{facts['patients']:,}"),
        ("splits", _counts(facts["splits"])),
        ("views", _counts(facts["views"])),
        ("codes", f"{facts['dimensions']:,} values of {facts['encoder'] or 'an encoder elsewhere'}"),
        (
            "graph",
            f"{facts['edges']:,} edges" + ("" if facts["threshold"] is None else f", T {facts['threshold']:.4f}"),
        ),
        ("communities", f"{len(report.communities):,}, quality {facts['modularity']:.4f}"),
        ("search", facts["search"]),
        ("ranking", facts["ranking"]),
        ("generation", f"{facts['generation']}, {facts['created']}"),
    ]
    yield table(["", ""], lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())


def _findings(report: ArchiveContents) -> Iterator[str]:
    labels = report.facts["labels"]
    if not labels:
        yield "<p>The films have no labels.</p>"
        return
    n = report.facts["films"]
    lines = [
        (name, f"{found['positive']:,}", f"{found['positive'] / n:.1%}", f"{found['uncertain']:,}")
        for name, found in sorted(labels.items(), key=lambda entry: -entry[1]["positive"])
    ]
    yield table(["finding", "films", "share", "uncertain"], lines)


def _communities(report: ArchiveContents) -> Iterator[str]:
    n, n_shown = len(report.communities), len(report.paths)
    yield (
        "<p>Each with the film that is most similar to all others of it. A finding stands out where it is more "
        "frequent than in the archive; x2.0 is twice as frequent. Purity is the share of the most frequent finding.</p>"
    )
    if n > n_shown:
        rest = sum(entry.size for entry in report.communities[n_shown:])
        yield f'<p class="note">{n - n_shown:,} smaller communities with {rest:,} films are not shown.</p>'
    missing = [path for path in report.paths if path not in report.pictures.pictures]
    if missing:
        reason = report.pictures.problems.get(missing[0], "it was not read")
        yield f'<p class="note">{len(missing)} of {n_shown} films cannot be shown, the first: {text(reason)}.</p>'
    cards = map(_card, report.communities, report.paths, report.names, [report] * n_shown)
    yield f'<div class="cards">{"".join(cards)}</div>'


def _card(entry: CommunitySummary, path: str, name: str, report: ArchiveContents) -> str:
    content = report.pictures.pictures.get(path)
    shown = '<div class="none">no picture</div>' if content is None else picture(content, name)
    lines = [f"{entry.size:,} films" + ("" if entry.purity is None else f", purity {entry.purity:.0%}"), name]
    others = [f"{found.name} x{found.lift:.1f}" for found in entry.findings[1:4]]
    lines += [f"also {', '.join(others)}"] if others else []
    links = [f"{link.community} ({link.share:.0%})" for link in entry.neighbors[:3]]
    lines += [f"next to {', '.join(links)}"] if links else []
    words = "".join(f"<p>{text(line)}</p>" for line in lines)
    colour = COLOURS[entry.community % len(COLOURS)]
    title = f"<p><b>{entry.community}. {text(entry.name)}</b></p>"
    return f'<figure class="card" style="border-top-color:{colour}">{shown}{title}{words}</figure>'


def _map(report: ArchiveContents) -> Iterator[str]:
    n, n_drawn = report.facts["films"], len(report.labels)
    words = "Every film" if n == n_drawn else f"{n_drawn:,} of {n:,} films, evenly taken,"
    colours = f"; {len(COLOURS)} colours are used again and again" if len(report.communities) > len(COLOURS) else ""
    yield f"<p>{words} as a point, communities as discs with their number{colours}.</p>"
    yield map_svg(report.places, report.labels)


def map_svg(places: Any, labels: Any) -> str:
    """Draw points as SVG: one path a community, and the numbers of the largest ones; nothing in it is loaded.

    Parameters
    ----------
    places
        (p, 2), x and y in [0, 1], y upwards.
    labels
        int (p,), communities.

    Examples
    --------
    >>> map_svg(np.array([[0.5, 0.25]]), np.array([0])).count("<path")
    1
    """
    x = np.rint(np.asarray(places)[:, 0] * _MAP).astype(int)
    y = np.rint((1 - np.asarray(places)[:, 1]) * _MAP).astype(int)
    width = max(1.5, min(6.0, 300 / max(len(x), 1) ** 0.5))
    paths, numbers = [], []
    for community in np.unique(labels).tolist():
        rows = np.flatnonzero(np.asarray(labels) == community)
        points = "".join(f"M{a} {b}h0" for a, b in zip(x[rows].tolist(), y[rows].tolist(), strict=True))
        paths.append(f'<path stroke="{COLOURS[community % len(COLOURS)]}" d="{points}"/>')
        if community < _NAMED:
            numbers.append(f'<text x="{x[rows].mean():.0f}" y="{y[rows].mean():.0f}">{community}</text>')
    return (
        f'<svg role="img" aria-label="Map of the films" viewBox="0 0 {_MAP} {_MAP}" style="max-width:{_MAP}px">'
        f'<g fill="none" stroke-linecap="round" stroke-width="{width:.1f}">{"".join(paths)}</g>'
        '<g font-size="20" font-weight="700" text-anchor="middle" paint-order="stroke" stroke="#fff" '
        f'stroke-width="4" fill="#1c2126">{"".join(numbers)}</g></svg>'
    )


def _measures(report: ArchiveContents) -> Iterator[str]:
    if report.measures is None:
        yield f"<p>Not measured: {text(report.why_not)}.</p>"
        return
    rows = report.measures.rankings
    names = list(rows[0].scores)
    yield (
        f"<p>{len(report.measures.queries):,} films of the archive, asked for among the films of other patients. They "
        "are part of the graph, so they are no held-out films: <code>graphret evaluate</code> measures those. "
        "Means, with 95 % intervals; random is chance.</p>"
    )
    lines = [
        (
            row.name,
            *(
                f"{row.scores[name].mean:.3f} [{row.scores[name].low:.3f}, {row.scores[name].high:.3f}]"
                for name in names
            ),
        )
        for row in rows
    ]
    yield table(["ranking", *names], lines)


def _duplicates(report: ArchiveContents) -> Iterator[str]:
    found = report.audit
    if found is None:
        yield "<p>Not looked for.</p>"
        return
    yield (
        f"<p>Cosine of at least {found.threshold:.6f}. These are suspicions, not verdicts; "
        "<code>graphret audit</code> names the films.</p>"
    )
    yield table(["", "number"], [(name.replace("_", " "), f"{number:,}") for name, number in found.counts.items()])
