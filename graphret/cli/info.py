"""`graphret info` and `graphret verify`: what an index holds, and whether every byte of it is what was written."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.retrieval import RankingChoice

__all__ = ["IndexFolder", "info", "show_info", "verify"]

IndexFolder = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")]


def info(index: IndexFolder, *, as_json: AsJson = False) -> None:
    """Say what an index holds and how it was made: counts, parameters, graph, communities, encoder, hashes."""
    with report_to_user(as_json=as_json, quiet=True) as reporter:
        import graphret

        about = graphret.open(index).info()
        reporter.result(about, show_info(about))


def verify(
    index: IndexFolder,
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Also score a sample of edges again, from the codes.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read every byte of an index and compare it with its checksum; a damaged file is named, with exit status 1.

    The generations that the current one came from are read as well, as far as they are still there.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        found = graphret.open(index).verify(reporter.progress, deep=deep)
        unused = f"; unused: {', '.join(found['unused'])}" if found["unused"] else ""
        unused += "; .build holds work of a build or change that has not ended" if found["unfinished"] else ""
        reporter.result(
            {"index": str(index), "intact": True, **found},
            f"{index}: {found['n_files']} files, {found['n_bytes']:,} bytes, all as they were written"
            f"{_others(found['others'])}{_edges(found)}{unused}",
        )


def _others(others: list[dict[str, Any]]) -> str:
    described = [f"{other['generation']} with {other['n_films']:,} films" for other in others]
    return f"; so are those of {', '.join(described)}, which it came from" if described else ""


def _edges(found: dict[str, Any]) -> str:
    return f"; {found['edges_checked']:,} entries of the graph fit the codes" if "edges_checked" in found else ""


def show_info(about: dict[str, Any]) -> Table:
    """Lay `Index.info` out as a table."""
    counts, graph, communities, encoder = (about[name] for name in ("counts", "graph", "communities", "encoder"))
    source, parameters = about["source"], about["parameters"]
    splits = ", ".join(f"{name} {number:,}" for name, number in source["splits"].items())
    method = graph["method"] if graph["recall"] == 1 else f"{graph['method']}, recall {graph['recall']:.4f}"
    rows = {
        "generation": f"{about['generation']}, written {about['created']} by graphret {about['graphret_version']}",
        "films": f"{counts['films']:,} of {counts['patients']:,} patients ({splits}); {counts['problems']:,} left out",
        "labels": f"{counts['labels']:,}",
        "data set": f"{source['spec']} in {source['root']}" if source["spec"] else "made in memory",
        "encoder": f"{encoder['name']}, {encoder['size']} px, {encoder['fingerprint'][:16]}" if encoder else "none",
        "codes": f"{counts['dimensions']:,} values, sha256 {about['codes']['sha256'][:16]}",
        "graph": f"{counts['edges']:,} edges, cosine >= {_number(graph['threshold'])}, "
        f"{graph['n_best_edge_only']:,} films "
        f"with their best edge only, neighbours {method}, sha256 {graph['sha256'][:16]}",
        "communities": f"{counts['communities']:,}, quality {communities['quality']:.4f}{_starts(communities)}, "
        f"sha256 {communities['sha256'][:16]}",
        "changes": _drift(about["drift"]),
        "ranking": _ranking(about["ranking"]),
        "search": _search(about["search"]),
        "parameters": ", ".join(f"{name}={value}" for name, value in parameters.items()),
        "size": f"{about['n_bytes']:,} bytes",
    }
    table = Table(show_header=False, title=about["path"])
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _ranking(about: dict[str, Any]) -> str:
    choice = str(RankingChoice(about["name"], about["options"] or None))
    promise, tried = about["promise"], about["tried"]
    if tried is None and promise is None:
        return choice if about["options"] else f"{choice}; none was chosen by the films themselves (graphret tune)"
    asked = ""
    if tried is not None:
        over = "" if tried["complete"] else "; the time was over before all had asked (graphret tune --budget)"
        asked = f" {tried['n_rankings']:,} rankings were compared by {tried['n_queries']:,} films that asked{over}"
    if promise is None:
        found = "no other was clearly better" if tried is None or tried["complete"] else "no other was found in time"
        return f"{choice}: {found};{asked}"
    gain = f"{promise['mean']:+.3f} ({promise['low']:+.3f} to {promise['high']:+.3f})"
    chosen = f"{choice}, chosen by the films themselves: {gain} is expected over nearest, {promise['criterion']}"
    return f"{chosen};{asked}" if asked else chosen


def _drift(about: dict[str, Any]) -> str:
    if not (about["added"] or about["removed"] or about["relabelled"]):
        return "none since it was built as a whole"
    short = f", {about['short_lists']:,} films with fewer than k neighbours" if about["short_lists"] else ""
    said = (
        f"since the last rebuild {about['added']:,} films added, {about['removed']:,} removed, "
        f"{about['relabelled']:,} relabelled; quality {about['quality_at_rebuild']:.4f} then{short}"
    )
    return said + "".join(f"; a rebuild is due: {reason}" for reason in about["advice"])


def _starts(communities: dict[str, Any]) -> str:
    reached = communities.get("start_qualities", ())  # not recorded by the first builds of this version
    if len(reached) < 2:
        return ""
    return f" ({len(reached)} starts reached {min(reached):.4f} to {max(reached):.4f})"


def _search(about: dict[str, Any]) -> str:
    if "damaged" in about:
        return f"every query is compared with every code: {about['damaged']} is damaged (see `graphret verify`)"
    if about["method"] == "shards":
        return "each shard as it was built"
    if about["method"] == "exact":
        return "every query is compared with every code"
    return (
        f"graph search with a beam of {about['beam']}: {about['recall']:.4f} of the {about['k']} nearest, as measured"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
