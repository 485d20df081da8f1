"""The ranking that an index was tuned to: one small checked file beside CURRENT, written in one step, never needed."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphret._errors import DamagedIndexError, InvalidParameterError, StoreError
from graphret.files import storage_errors, sync_folder, write_file, writer_lock
from graphret.index.layout import FRONT
from graphret.index.manifest import read_signed, serialise
from graphret.index.store import current_name
from graphret.index.tuning_keys import FORMAT, tuning_problem
from graphret.retrieval import (
    DEFAULT_RANKING,
    TUNED,
    LearnedMetric,
    RankingChoice,
    list_rankings,
    ranking_options,
    uses_labels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from graphret.index.manifest import Manifest

__all__ = ["FILE", "TunedRankings", "forget_tuning", "read_tuning", "record_tuning", "with_tuning"]

FILE = "ranking.json"
SCHEMA_VERSION = 1
_AGAIN = "tune the index again, or remove the tuning with `graphret tune --reset`"


def record_tuning(root: Path, manifest: Manifest, tuning: Mapping[str, Any]) -> None:
    """Write what a tuning found: ``ranking``, ``options`` and what it tried; the generations are left as they are.

    Parameters
    ----------
    root
        Folder of the index.
    manifest
        Of the generation that was tuned. The tuning holds for later ones too, as long as their codes come from the same
        encoder and have the same length.
    tuning
        JSON values with at least ``ranking`` and ``options``.

    Raises
    ------
    IndexLockedError
        Another process writes the index.
    StoreError
        The folder cannot be written to.
    """
    content = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "tuned_on": {"generation": manifest["generation"], **_codes_of(manifest)},
        **tuning,
    }
    with writer_lock(root):
        write_file(root / FILE, serialise(content))


def forget_tuning(root: Path) -> bool:
    """Remove the tuning of an index; returns whether there was one.

    Raises
    ------
    IndexLockedError, StoreError
        As `record_tuning`.
    NotAnIndexError
        The folder holds no index.
    """
    if not (root / FRONT).exists():
        current_name(root)  # a folder that holds no index is refused before a lock is put into it
    with writer_lock(root), storage_errors(root / FILE, "remove"):
        there = (root / FILE).exists()
        (root / FILE).unlink(missing_ok=True)
        sync_folder(root)
    return there


def read_tuning(root: Path, manifest: Manifest) -> dict[str, Any] | None:
    """Read the tuning of an index; None where there is none, or where it was made for codes of another encoder.

    Raises
    ------
    DamagedIndexError
        The file is not what was written.
    StoreError
        It was written by a graphret with a newer format, or cannot be read.
    """
    path = root / FILE
    if not os.path.lexists(path):
        return None
    content = read_signed(path, advice=f": {_AGAIN}")
    problem = tuning_problem(content)
    if problem is not None:
        raise DamagedIndexError(path, f"{problem}: {_AGAIN}")
    if content["schema_version"] != SCHEMA_VERSION:
        raise StoreError(f"{path} has the schema version {content['schema_version']}: upgrade graphret, or {_AGAIN}")
    if not all(map(_is_known, [content, *content.get("apart", [])])):
        raise StoreError(f"{path} names a ranking or options that this graphret does not have: {_AGAIN}")
    tuned_on = dict(content["tuned_on"])
    tuned_on.pop("generation", None)
    return content if tuned_on == _codes_of(manifest) else None


def with_tuning(before: Mapping[str, Any] | None, tuning: Mapping[str, Any]) -> dict[str, Any]:
    """Put a new tuning to what an index has: it replaces the old one, but those of rankings that read labels.

    These are listed under "apart", one for each ranking, and are never the default of an index.

    Examples
    --------
    >>> first = with_tuning(None, {"ranking": "label_aware", "options": {"strength": 0.9}})
    >>> first["ranking"], first["apart"]
    ('nearest', [{'ranking': 'label_aware', 'options': {'strength': 0.9}}])
    >>> with_tuning(first, {"ranking": "alpha_qe", "options": {}})["apart"] == first["apart"]
    True
    """
    apart = [] if before is None else list(before.get("apart", []))
    kept = dict(tuning)
    if tuning["ranking"] in list_rankings(with_labels=True) and uses_labels(tuning["ranking"]):
        apart = [entry for entry in apart if entry["ranking"] != tuning["ranking"]] + [kept]
        own = {"format", "schema_version", "tuned_on", "sha256"}
        nothing = {"ranking": DEFAULT_RANKING, "options": {}, "trials": []}
        kept = {name: value for name, value in (before or nothing).items() if name not in own}
    return {**kept, "apart": apart} if apart else kept


class TunedRankings:
    """What the rankings of an index are by themselves: as it was tuned, or with their defaults.

    Parameters
    ----------
    record
        From `read_tuning`.

    Examples
    --------
    >>> tuned = TunedRankings({"ranking": "alpha_qe", "options": {"n": 3}})
    >>> [str(tuned.resolve(RankingChoice.parse(text))) for text in ("tuned", "alpha_qe", "alpha_qe:default", "nearest")]
    ['alpha_qe:n=3', 'alpha_qe:n=3', 'alpha_qe:default', 'nearest']
    """

    def __init__(self, record: dict[str, Any] | None) -> None:
        self.record = record
        entries = [] if record is None else [record, *record.get("apart", [])]
        self._options: dict[str, dict[str, Any]] = {}
        for entry in entries:
            if entry["options"]:
                self._options.setdefault(entry["ranking"], dict(entry["options"]))

    @property
    def default_ranking(self) -> str:
        """Name of the ranking of a query that names none."""
        return DEFAULT_RANKING if self.record is None else str(self.record["ranking"])

    def default(self) -> dict[str, Any]:
        """Describe the default ranking: name, options, promise, tried.

        The promise is its expected gain over "nearest": criterion, mean, low, high; None where it is "nearest". What
        was tried is n_rankings, n_queries and whether the tuning was complete; None where nothing was.
        """
        chosen, promise = self.resolve(None), None
        if self.record is not None and chosen.name != DEFAULT_RANKING and "difference" in self.record:
            gain = self.record["difference"]
            promise = {"criterion": self.record["criterion"], **{name: gain[name] for name in ("mean", "low", "high")}}
        about = {"name": chosen.name, "options": dict(chosen.options or {}), "promise": promise}
        if self.record is None or not self.record.get("trials") or "n_queries" not in self.record:
            return about | {"tried": None}
        asked = {"n_queries": self.record["n_queries"], "complete": bool(self.record.get("complete", True))}
        return about | {"tried": {"n_rankings": len(self.record["trials"]), **asked}}

    @cached_property
    def metric(self) -> LearnedMetric | None:
        """The metric that the tuning learned, if it learned one."""
        learned = None if self.record is None else self.record.get("metric")
        return None if learned is None else LearnedMetric.from_record(learned)

    def resolve(self, choice: RankingChoice | None) -> RankingChoice:
        """Say what a choice is here: never "tuned", with the options and the metric that it ranks with.

        The text form of the result is the shortest that means the same on this index.

        Raises
        ------
        InvalidParameterError
            "tuned", where nothing was tuned.
        """
        if choice is None:
            choice = RankingChoice(self.default_ranking)
        elif choice.name == TUNED:
            if self.record is None:
                hint = "`graphret tune` chooses one, and keeps it"
                raise InvalidParameterError("ranking", TUNED, "a ranking by its name: the index is not tuned", hint)
            choice = RankingChoice(self.default_ranking, None, choice.metric)
        own = self._options.get(choice.name)
        options = own if choice.options is None or (not choice.options and own is None) else choice.options
        resolved = RankingChoice(choice.name, options, choice.metric)
        if resolved.learns and resolved.metric is None:
            resolved = replace(resolved, metric=self.metric)
        return resolved


def _is_known(tuning: Mapping[str, Any]) -> bool:
    name = tuning["ranking"]
    return name in list_rankings(with_labels=True) and set(tuning["options"]) <= set(ranking_options(name))


def _codes_of(manifest: Manifest) -> dict[str, Any]:
    encoder = manifest["encoder"]
    return {
        "dimensions": manifest["counts"]["dimensions"],
        "encoder": None if encoder is None else encoder["fingerprint"],
    }
