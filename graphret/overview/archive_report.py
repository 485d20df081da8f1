"""What is told of an archive on one page, gathered from the index alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_flag, check_integer
from graphret._errors import InvalidParameterError
from graphret.auditing import audit
from graphret.data.thumbnails import Thumbnails, read_thumbnails
from graphret.evaluation import evaluate
from graphret.files import write_text
from graphret.index import as_index
from graphret.mapping import archive_map, community_summaries
from graphret.overview.contents import ArchiveContents
from graphret.overview.page import report_html, report_summary

if TYPE_CHECKING:
    from os import PathLike

    from graphret._types import Progress
    from graphret.evaluation import Report
    from graphret.index import Index

__all__ = ["ArchiveReport", "report"]

_MEASURES = ("P@10", "nDCG@10", "mAP@10")
_SIDE = 128


class ArchiveReport(ArchiveContents):
    """What is told of an archive, as a page."""

    def to_html(self) -> str:
        """Return one page that needs nothing else: pictures are inside, and nothing is loaded."""
        return report_html(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the page, whole or not at all.

        Raises
        ------
        MissingFileError, StoreError
            The folder is not there, or cannot be written to.
        """
        write_text(path, self.to_html())  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"ArchiveReport({self.facts['films']:,} films, {len(self.communities):,} communities)"

    def _repr_html_(self) -> str:
        return report_summary(self)


def report(
    index: Index | str | PathLike[str],
    *,
    n_communities: int = 24,
    n_points: int = 20_000,
    n_queries: int = 300,
    near_duplicates: bool = True,
    thumbnails: bool = True,
    show_ids: bool = False,
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> ArchiveReport:
    """Gather what one page tells of an archive.

    Parameters
    ----------
    index
        The archive, or its folder.
    n_communities
        Communities, the largest, that are shown with a picture, >= 1; the page says how many others there are.
    n_points
        Films on the map, at most, >= 1; evenly taken where there are more, and the page says how many.
    n_queries
        Films of the archive that are asked for among the others, to measure the ranking, drawn by ``seed``; 0 for none.
        Never answered by films of the same patient. They are no held-out films: the page says so.
    near_duplicates
        Look for them, by the neighbours of every film (`graphret.audit`).
    thumbnails
        Read the films in the middle of the communities, for pictures.
    show_ids
        Name films by their ids. Not by default: ids often hold the number of the patient.
    seed
        Of the queries.
    n_threads
        ``None`` for all processors.
    progress
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    ArchiveReport
        Its ``save`` writes the page.

    Raises
    ------
    InvalidParameterError
        A number is too small.
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`.

    Notes
    -----
    Most of the time is that of the audit: the neighbours of every film are searched again.

    Examples
    --------
    >>> import graphret, tempfile
    >>> codes = np.random.default_rng(0).normal(size=(90, 8)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = graphret.build(codes, out=f"{folder}/index", k=5, tune=False)
    ...     made = report(index)
    ...     made.save(f"{folder}/report.html")
    >>> made.facts["films"], made.why_not
    (90, 'the films have no labels')
    """
    check_integer("n_communities", n_communities, 1)
    check_integer("n_points", n_points, 1)
    check_integer("n_queries", n_queries, 0)
    for name, value in (("near_duplicates", near_duplicates), ("thumbnails", thumbnails), ("show_ids", show_ids)):
        check_flag(name, value)
    index = as_index(index)
    films = index.films
    summaries = community_summaries(index, n_threads=n_threads)
    shown = [entry.medoid for entry in summaries[:n_communities]]
    paths = tuple(films.paths[shown].tolist())
    step = -(-len(films) // n_points)
    measures, why_not = _measured(index, n_queries, seed, progress)
    return ArchiveReport(
        facts=_facts(index),
        communities=summaries,
        pictures=read_thumbnails(paths, _SIDE, n_threads=n_threads, progress=progress)
        if thumbnails
        else Thumbnails({}, dict.fromkeys(paths, "pictures were not asked for")),
        paths=paths,
        names=tuple(str(films.ids[row]) if show_ids else f"film {row:,}" for row in shown),
        places=archive_map(index, n_threads=n_threads)[::step],
        labels=np.asarray(index.communities)[::step],
        measures=measures,
        why_not=why_not,
        audit=audit(index, seed=seed, n_threads=n_threads, progress=progress) if near_duplicates else None,
    )


def _facts(index: Index) -> dict[str, Any]:
    films, info = index.films, index.info()
    labels = {
        name: {"positive": int((column == 1).sum()), "uncertain": int((column < 0).sum())}
        for name, column in zip(films.label_names, films.labels.T, strict=True)
    }
    return {
        "name": index.path.name,
        "generation": info["generation"],
        "created": info["created"],
        "films": len(films),
        "patients": info["counts"]["patients"],
        "left_out": films.n_left_out,
        "splits": _counted(films.splits),
        "views": _counted(films.views),
        "labels": labels,
        "encoder": None if info["encoder"] is None else info["encoder"]["name"],
        "dimensions": info["counts"]["dimensions"],
        "edges": info["counts"]["edges"],
        "threshold": info["graph"]["threshold"],
        "modularity": info["communities"]["quality"],
        "search": info["search"]["method"],
        "ranking": str(index.choose()),
    }


def _counted(values: Any) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return {str(name) or "not known": int(number) for name, number in zip(names, counts, strict=True)}


def _measured(index: Index, n_queries: int, seed: int, progress: Progress | None) -> tuple[Report | None, str]:
    films = index.films
    if not n_queries:
        return None, "no film was to be asked for"
    if not films.label_names:
        return None, "the films have no labels"
    rows = np.flatnonzero(films.relevance().any(axis=1))
    if rows.size < 2 or len(np.unique(films.patients)) < 2:
        return None, "fewer than two films with a finding, or one patient only"
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:n_queries])
    try:
        return evaluate(
            index, (np.ascontiguousarray(index.codes[rows]), films.select(rows)), measures=_MEASURES, seed=seed,
            progress=progress,
        ), ""  # fmt: skip
    except InvalidParameterError as error:
        return None, str(error)
