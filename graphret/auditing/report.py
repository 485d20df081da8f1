"""What an audit found, as plain values, as files, and by name."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from graphret._plain import csv_cell
from graphret.files import make_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from pathlib import Path

__all__ = ["Audit", "DoubtfulLabel", "Group", "Pair"]


@dataclass(frozen=True)
class Pair:
    """Two films that are nearly the same.

    Parameters
    ----------
    first, second
        Ids.
    similarity
        Cosine.
    same_patient
        Whether the table gives both the same patient.
    splits
        Of the two films.
    labels_differ
        A finding that one has for sure and the other has not.
    """

    first: str
    second: str
    similarity: float
    same_patient: bool
    splits: tuple[str, str]
    labels_differ: tuple[str, ...]

    @property
    def is_leak(self) -> bool:
        """Whether the films are in different splits."""
        return self.splits[0] != self.splits[1]


@dataclass(frozen=True)
class Group:
    """Films that are linked by near duplicates.

    Parameters
    ----------
    ids
        In the order of the archive.
    n_patients
        Different patients among them.
    splits
        Different splits among them.
    """

    ids: tuple[str, ...]
    n_patients: int
    splits: tuple[str, ...]


@dataclass(frozen=True)
class DoubtfulLabel:
    """A label that is likelier to be the other way round: a suspicion, not a verdict.

    Parameters
    ----------
    id
        Of the film.
    label, given
        The label, and whether the film has it.
    agree, asked
        Of so many nearest films of other patients, so many say the same.
    suspicion
        In (0.75, 1): 0.9 where such neighbours are nine times as frequent among films that are labelled the other way,
        see `graphret.auditing.labels.doubtful_labels`.
    """

    id: str
    label: str
    given: bool
    agree: int
    asked: int
    suspicion: float


@dataclass(frozen=True)
class Audit:
    """Suspicions about an archive, each list with the strongest first.

    Parameters
    ----------
    n_films, k
        Films, and neighbours of each that were looked at.
    threshold, threshold_from
        Cosine from which two films are near duplicates, and where it comes from: "data" or "caller".
    pairs, groups
        Near duplicates, and what they join.
    n_full
        Films all of whose k neighbours are near duplicates: their groups may be larger than was seen.
    patients_in_several_splits
        Patients whose films are on both sides of a split.
    doubtful_labels
        Films whose neighbours deny a label.
    n_without_neighbors
        Films with fewer than three neighbours of other patients, whose labels were not judged.
    """

    n_films: int
    k: int
    threshold: float
    threshold_from: str
    pairs: tuple[Pair, ...]
    groups: tuple[Group, ...]
    n_full: int
    patients_in_several_splits: Mapping[str, tuple[str, ...]]
    doubtful_labels: tuple[DoubtfulLabel, ...]
    n_without_neighbors: int

    @property
    def leaks(self) -> tuple[Pair, ...]:
        """Near duplicates in different splits."""
        return tuple(pair for pair in self.pairs if pair.is_leak)

    @property
    def across_patients(self) -> tuple[Pair, ...]:
        """Near duplicates of different patients: a copy, or one patient under two numbers."""
        return tuple(pair for pair in self.pairs if not pair.same_patient)

    @property
    def counts(self) -> dict[str, int]:
        """Length of every list."""
        return {
            "near_duplicates": len(self.pairs),
            "groups": len(self.groups),
            "films_in_groups": sum(len(group.ids) for group in self.groups),
            "across_patients": len(self.across_patients),
            "across_splits": len(self.leaks),
            "labels_differ": sum(bool(pair.labels_differ) for pair in self.pairs),
            "patients_in_several_splits": len(self.patients_in_several_splits),
            "doubtful_labels": len(self.doubtful_labels),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values, with the counts."""
        values = asdict(self)
        for pair, found in zip(values["pairs"], self.pairs, strict=True):
            pair["across_splits"] = found.is_leak
        return {"counts": self.counts, **values}

    def save(self, folder: str | PathLike[str]) -> list[Path]:
        """Write audit.json, duplicates.csv, groups.csv, patients.csv and labels.csv; return their paths.

        Raises
        ------
        StoreError
            The folder cannot be written to.
        """
        into = make_folder(folder)
        tables: dict[str, Sequence[Mapping[str, Any]]] = {
            "duplicates.csv": [
                {
                    "first": pair.first,
                    "second": pair.second,
                    "similarity": f"{pair.similarity:.6f}",
                    "same_patient": pair.same_patient,
                    "first_split": pair.splits[0],
                    "second_split": pair.splits[1],
                    "labels_differ": "|".join(pair.labels_differ),
                }
                for pair in self.pairs
            ],
            "groups.csv": [
                {"group": number, "id": name} for number, group in enumerate(self.groups, 1) for name in group.ids
            ],
            "patients.csv": [
                {"patient": name, "splits": "|".join(splits)}
                for name, splits in self.patients_in_several_splits.items()
            ],
            "labels.csv": [{**asdict(entry), "suspicion": f"{entry.suspicion:.4f}"} for entry in self.doubtful_labels],
        }
        written = [into / "audit.json", *(into / name for name in tables)]
        write_text(written[0], json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        for name, rows in tables.items():
            write_text(into / name, _as_csv(_COLUMNS[name], rows))
        return written


_COLUMNS = {
    "duplicates.csv": (
        *("first", "second", "similarity", "same_patient", "first_split", "second_split", "labels_differ"),
    ),
    "groups.csv": ("group", "id"),
    "patients.csv": ("patient", "splits"),
    "labels.csv": ("id", "label", "given", "agree", "asked", "suspicion"),
}


def _as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()
