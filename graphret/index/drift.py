"""How far an archive has moved from what it was when it was last built as a whole, and when to rebuild it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphret.communities import Partition
    from graphret.graph import Graph
    from graphret.index.manifest import Manifest

__all__ = ["describe_drift", "fresh_record", "record_of"]

CHANGED_SHARE = 0.2
"""Films that came or went, as a share of those of the last rebuild, from which on a rebuild is advised."""
LOST_QUALITY = 0.02
"""Modularity that was lost since."""
BEST_EDGE_SHARE = 0.02
"""More films than before that reach no other within the threshold, as a share of all."""


def fresh_record(n_films: int, graph: Graph, partition: Partition) -> dict[str, Any]:
    """Return the key ``changes`` of the manifest of an archive that was just built as a whole."""
    return {
        "films_at_rebuild": n_films,
        "quality_at_rebuild": partition.quality,
        "best_edge_only_at_rebuild": graph.n_best_edge_only,
        "films_ever": n_films,
        "next_community": int(partition.labels.max(initial=-1)) + 1,
        "added": 0,
        "removed": 0,
        "relabelled": 0,
        "short_lists": 0,
    }


def record_of(manifest: Manifest) -> dict[str, Any]:
    """Return the key ``changes``; of an index that was built before there was one, what it would have been."""
    found: dict[str, Any] | None = manifest.get("changes")
    if found is not None:
        return found
    n_films = manifest["counts"]["films"]
    return {
        "films_at_rebuild": n_films,
        "quality_at_rebuild": manifest["communities"]["quality"],
        "best_edge_only_at_rebuild": manifest["graph"]["n_best_edge_only"],
        "films_ever": n_films,
        "next_community": manifest["counts"]["communities"],
        "added": 0,
        "removed": 0,
        "relabelled": 0,
        "short_lists": 0,
    }


def describe_drift(manifest: Manifest) -> dict[str, Any]:
    """Compare an archive with what it was at the last rebuild.

    Returns
    -------
    dict
        ``added``, ``removed``, ``relabelled`` films since, ``changed_share`` (added and removed, of the films then),
        ``quality`` and ``quality_at_rebuild`` (modularity), ``best_edge_only`` and ``best_edge_only_at_rebuild`` (films
        that reach no other within the threshold), ``short_lists`` (films with fewer than k neighbours since others
        went), and ``advice``: why a rebuild is advised, as texts; none where it is not.
    """
    record = record_of(manifest)
    n_then, n_now = max(record["films_at_rebuild"], 1), max(manifest["counts"]["films"], 1)
    changed = (record["added"] + record["removed"]) / n_then
    quality, before = manifest["communities"]["quality"], record["quality_at_rebuild"]
    best_edge, best_edge_then = manifest["graph"]["n_best_edge_only"], record["best_edge_only_at_rebuild"]
    advice = []
    if changed > CHANGED_SHARE:
        advice.append(f"films that came or went since the last rebuild are {changed:.0%} of those that were there")
    if quality < before - LOST_QUALITY:
        advice.append(f"modularity fell from {before:.4f} to {quality:.4f}")
    if best_edge / n_now > best_edge_then / n_then + BEST_EDGE_SHARE:
        advice.append(f"{best_edge:,} films reach no other within the threshold, {best_edge_then:,} did not before")
    return {
        **{name: record[name] for name in ("added", "removed", "relabelled", "short_lists")},
        "changed_share": changed,
        "quality": quality,
        "quality_at_rebuild": before,
        "best_edge_only": best_edge,
        "best_edge_only_at_rebuild": best_edge_then,
        "advice": advice,
    }
