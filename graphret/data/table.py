"""The table of films: ids, files, labels, patients, views and splits, one row a film."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphret._errors import DataError, DatasetSpecError, FilmError, UnknownNameError
from graphret.data.columns import is_text, numbers_of, text_column
from graphret.data.entries import further_entries, label_entries, read_only, text_entries
from graphret.data.film_html import film_figure, film_row
from graphret.data.frames import LABEL_PREFIX, fields_of_frame
from graphret.data.images import read_film, read_pixels
from graphret.data.listing import file_problem
from graphret.data.origin import SpecOrigin
from graphret.data.splits import SPLITS, StrArray, shared_patients, split_by_patient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import BoolArray, Float32Array

__all__ = ["FilmProblem", "ImageTable"]

Column: TypeAlias = NDArray[Any]
_TEXT_COLUMNS = {"id": "ids", "path": "paths", "patient": "patients", "view": "views", "split": "splits"}
_SHOWN = 8  # films in a notebook


def _unknown() -> StrArray:
    return np.array([], dtype=np.str_)


@dataclass(frozen=True)
class FilmProblem:
    """A film that was left out of a table, and why.

    ``n_files`` is larger than 1 where one entry stands for many of a kind. ``is_film`` is False for a file that was
    passed over because it is no film, as a text beside the films, or the thumbnails of a system.
    """

    id: str
    path: str
    reason: str
    n_files: int = 1
    is_film: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class ImageTable:
    """Films and what is known of them.

    Every column is a numpy array of n rows, read-only. An empty sequence for ``paths``, ``patients``, ``views`` or
    ``splits`` means that the column is not known: no files, every film its own patient, no views, all films in
    "train". A single film with an empty patient is its own patient as well, named by its id.

    Parameters
    ----------
    ids
        str (n,), unique.
    paths
        str (n,), absolute path of the film, "" where there is none (codes made elsewhere).
    labels
        Any form that `read_labels` takes; kept as int8 (n, L): 1 positive, 0 negative, -1 uncertain.
    label_names
        L names, unique. Without them those that the labels bring: classes, names of each film, columns of a data frame.
    patients, views
        str (n,).
    splits
        str (n,): "train", "valid" or "test".
    columns
        Further columns by name, arrays (n,) of text, integers, floats or booleans. A column with a few very long texts
        is of variable width (`columns.text_column`).
    problems
        Films that were left out, and why; also files that are no films, see `FilmProblem`.
    spec, root
        Where the table came from; "" when made in memory.
    origin
        The dataset spec itself, as it was when the table was read; None when made in memory.

    Raises
    ------
    DataError
        A column of a wrong length, an id twice, a label other than 1, 0, -1, an unknown split, a text that is not
        UTF-8.

    Examples
    --------
    >>> table = ImageTable(ids=["a", "b"], paths=[], labels=[[1, 0], [0, -1]], label_names=("Edema", "Mass"))
    >>> len(table), table.patients, table.relevance()
    (2, array(['a', 'b'], dtype='<U1'), array([[ True, False], [False,  True]]))
    """

    ids: StrArray
    paths: StrArray
    labels: NDArray[np.int8]
    label_names: tuple[str, ...] = ()
    patients: StrArray = field(default_factory=_unknown)
    views: StrArray = field(default_factory=_unknown)
    splits: StrArray = field(default_factory=_unknown)
    columns: dict[str, Column] = field(default_factory=dict)
    problems: tuple[FilmProblem, ...] = ()
    spec: str = ""
    root: str = ""
    origin: SpecOrigin | None = None

    def __post_init__(self) -> None:
        ids = text_entries("ids", self.ids)
        n = len(ids)
        names, counts = np.unique(ids, return_counts=True)
        if np.any(counts > 1):
            raise DataError(f"the id {str(names[counts > 1][0])!r} occurs more than once: give every film its own id")
        if np.any(ids == ""):
            raise DataError(f"row {int(np.argmax(ids == ''))} has no id: give every film its own id")
        labels, label_names = label_entries(self.labels, n, self.label_names)
        patients = text_entries("patients", self.patients, n)
        splits = text_entries("splits", self.splits, n, "train")
        bad = np.setdiff1d(splits, SPLITS)
        if bad.size:
            row = int(np.argmax(splits == bad[0]))
            raise DataError(f"split {str(bad[0])!r} of film {ids[row]} is not known: give one of {', '.join(SPLITS)}")
        columns = {}
        for name, values in self.columns.items():
            if name in _TEXT_COLUMNS or name.startswith(LABEL_PREFIX):
                raise DataError(f"a further column may not be called {name!r}: rename it")
            columns[str(name)] = further_entries(name, values, n)
        for name, value in (
            ("ids", ids),
            ("paths", text_entries("paths", self.paths, n)),
            ("labels", labels),
            ("label_names", label_names),
            ("patients", read_only(np.where(patients == "", ids, patients))),
            ("views", text_entries("views", self.views, n)),
            ("splits", splits),
            ("columns", columns),
            ("problems", tuple(self.problems)),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counts = {name: int((self.splits == name).sum()) for name in SPLITS}
        splits = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        left_out = f"; {self.n_left_out:,} left out" if self.n_left_out else ""
        return f"<ImageTable: {len(self):,} films ({splits}), {len(self.label_names)} labels{left_out}>"

    def _repr_html_(self) -> str:
        return film_row(repr(self), [self.figure(row) for row in range(min(_SHOWN, len(self)))])

    def figure(self, row: int, *lines: str) -> str:
        """Return a film as HTML for notebooks: its picture if it can be read, its id, labels, and further lines."""
        return film_figure(str(self.paths[row]), [str(self.ids[row]), ", ".join(self.label_texts(row)), *lines])

    def label_texts(self, row: int) -> list[str]:
        """Return the labels of a film that are positive, and with "?" those that are uncertain."""
        marks = {1: "", -1: "?"}
        values = zip(self.label_names, self.labels[row].tolist(), strict=True)
        return [f"{name}{marks[value]}" for name, value in values if value in marks]

    @property
    def channels(self) -> int | None:
        """1 or 3, as the dataset spec says; None without one."""
        return None if self.origin is None else self.origin.spec.channels

    @property
    def n_left_out(self) -> int:
        """Number of films that were left out."""
        return sum(problem.n_files for problem in self.problems if problem.is_film)

    @property
    def n_other_files(self) -> int:
        """Number of files that were passed over because they are no films."""
        return sum(problem.n_files for problem in self.problems if not problem.is_film)

    def select(self, rows: Sequence[int] | Column) -> ImageTable:
        """Keep some rows: a bool mask (n,) or positions, in their order.

        ``problems`` are those of the reading and stay. O(rows).

        Raises
        ------
        DataError
            The mask has another length than the table, or a position is outside it or given twice.
        """
        wanted = np.asarray(rows)
        if wanted.size == 0:
            wanted = wanted.astype(bool if len(self) == 0 else np.int64)
        if wanted.ndim != 1 or wanted.dtype.kind not in "biu":
            raise DataError(f"rows {wanted.dtype} {wanted.shape}: give a bool mask (n,) or positions")
        if wanted.dtype.kind == "b":
            if len(wanted) != len(self):
                raise DataError(f"the mask has {len(wanted)} rows, the table {len(self)}")
            wanted = np.flatnonzero(wanted)
        if wanted.size and (wanted.min() < -len(self) or wanted.max() >= len(self)):
            raise DataError(f"positions {wanted.min()}..{wanted.max()}: the table has the rows 0..{len(self) - 1}")
        return replace(
            self,
            **{name: getattr(self, name)[wanted] for name in (*_TEXT_COLUMNS.values(), "labels")},
            columns={name: values[wanted] for name, values in self.columns.items()},
        )

    def split(self, name: str) -> ImageTable:
        """Keep the films of one split: "train", "valid" or "test" (it may be empty).

        Raises
        ------
        UnknownNameError
            There is no split of that name.
        """
        if name not in SPLITS:
            raise UnknownNameError("split", name, SPLITS)
        return self.select(self.splits == name)

    def with_split_by_patient(self, fractions: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0) -> ImageTable:
        """Replace the splits by seeded ones that never share a patient; see `splits.split_by_patient`."""
        return replace(self, splits=split_by_patient(self.patients, fractions, seed))

    def check_patients(self) -> None:
        """Say which patients have films in more than one split.

        Raises
        ------
        DataError
            At least one has.
        """
        shared = shared_patients(self.patients, self.splits)
        if shared:
            raise DataError(
                f"{len(shared)} patients have films in more than one split, first {', '.join(shared[:3])}: split by "
                "patient (ImageTable.with_split_by_patient), or set allow_shared_patients = true in the dataset spec"
            )

    def relevance(self, uncertain: str = "positive") -> BoolArray:
        """Return the labels as bool (n, L); an uncertain label counts as ``uncertain``.

        Parameters
        ----------
        uncertain
            "positive" (how retrieval is evaluated) or "negative".

        Raises
        ------
        UnknownNameError
            Another policy.
        """
        if uncertain not in {"positive", "negative"}:
            raise UnknownNameError("uncertain", uncertain, ("positive", "negative"))
        relevant: BoolArray = self.labels != 0 if uncertain == "positive" else self.labels == 1
        return relevant

    def read(self, row: int) -> Float32Array:
        """Decode the film of one row: float32 (h, w) in [0, 1], see `read_film`.

        Raises
        ------
        FilmError
            It cannot be decoded, or the table has no file for it.
        """
        return read_film(self.film_path(row))

    def read_pixels(self, row: int, *, colour: bool = False) -> NDArray[Any]:
        """Decode the film of one row as it is stored: (h, w), or (h, w, 3) with ``colour``, see `read_pixels`.

        Raises
        ------
        FilmError
            As `read`.
        """
        return read_pixels(self.film_path(row), colour=colour)

    def film_path(self, row: int) -> str:
        """Return the path of the film of one row; raises `FilmError` where there is none, or it is no regular file."""
        path = str(self.paths[row])
        if not path:
            raise FilmError(str(self.ids[row]), "the table has no file for it (its codes were made elsewhere)")
        reason = file_problem(path)
        if reason:
            raise FilmError(path, reason)
        return path

    def column(self, name: str) -> Column:
        """Return a column (n,) by name: id, path, patient, view, split, or a further column.

        Raises
        ------
        UnknownNameError
            There is no such column.
        """
        if name in _TEXT_COLUMNS:
            values: Column = getattr(self, _TEXT_COLUMNS[name])
            return values
        if name not in self.columns:
            raise UnknownNameError("column", name, (*_TEXT_COLUMNS, *self.columns))
        return self.columns[name]

    def to_arrow(self) -> Any:
        """Return a `pyarrow.Table`: id, path, patient, view, split, ``label:NAME`` (int8) and the further columns.

        Label names, dataset spec (name and content), root and problems travel in the schema's metadata, as JSON under
        "graphret".
        """
        import pyarrow as pa

        texts = {name: getattr(self, attribute) for name, attribute in _TEXT_COLUMNS.items()}
        arrays = {name: pa.array(values.tolist(), pa.string()) for name, values in texts.items()}
        for number, name in enumerate(self.label_names):
            arrays[LABEL_PREFIX + name] = pa.array(self.labels[:, number])
        for name, values in self.columns.items():
            arrays[name] = pa.array(values.tolist(), pa.string()) if is_text(values) else pa.array(values)
        record = {
            "label_names": self.label_names,
            "spec": self.spec,
            "root": self.root,
            "origin": None if self.origin is None else self.origin.to_json(),
            "problems": [list(astuple(problem)) for problem in self.problems],
        }
        return pa.table(arrays).replace_schema_metadata({"graphret": json.dumps(record)})

    @classmethod
    def from_pandas(
        cls, frame: Any, labels: Any = None, *, ids: str | None = None, paths: str | None = None,
        patients: str | None = None, views: str | None = None, splits: str | None = None, root: str = "",
    ) -> ImageTable:  # fmt: skip
        """Make a table of a pandas DataFrame.

        Parameters
        ----------
        frame
            One row a film.
        labels
            The column of classes or lists of names, or a list of columns of 1, 0, -1; or labels themselves, in any
            form that `graphret.build` takes. ``None``: the columns "label:NAME".
        ids, paths, patients, views, splits
            Names of columns; ``None``: "id", "path", "patient", "view", "split" where they are there. Without ids the
            index of the frame names the films.
        root
            Folder that relative paths are in; "" for the present one. All other columns are kept as ``columns``.

        Raises
        ------
        InvalidParameterError
            A column that is not there, or labels of no known form.
        DataError
            As `ImageTable`.
        """
        given = {"ids": ids, "paths": paths, "patients": patients, "views": views, "splits": splits}
        named = {field: (usual, given[field]) for usual, field in _TEXT_COLUMNS.items()}
        return cls(**fields_of_frame(frame, labels, named, root))

    @classmethod
    def from_arrow(cls, table: Any) -> ImageTable:
        """Read back what `to_arrow` made, also after a round through Parquet.

        Raises
        ------
        DataError
            The metadata or a column is missing or wrong.
        """
        try:
            record = json.loads(table.schema.metadata[b"graphret"])
            label_names = tuple(str(name) for name in record["label_names"])
            texts = {
                attribute: np.array(table[name].to_pylist(), dtype=np.str_) for name, attribute in _TEXT_COLUMNS.items()
            }
            labels = np.zeros((table.num_rows, len(label_names)), dtype=np.int8)
            for number, name in enumerate(label_names):
                labels[:, number] = numbers_of(table[LABEL_PREFIX + name])
            known = {*_TEXT_COLUMNS, *(LABEL_PREFIX + name for name in label_names)}
            columns = {name: _from_arrow(table[name]) for name in table.column_names if name not in known}
            problems = tuple(_problem(*problem) for problem in record["problems"])
            spec, root = str(record["spec"]), str(record["root"])
            stored = record.get("origin")  # a table of `graphret encode` may be older than it
            origin = None if stored is None else SpecOrigin.from_json(stored)
        except (AttributeError, DatasetSpecError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"this Arrow table was not made by ImageTable.to_arrow: {error!r}") from error
        return cls(
            labels=labels,
            label_names=label_names,
            columns=columns,
            problems=problems,
            spec=spec,
            root=root,
            origin=origin,
            **texts,
        )


def _problem(name: str, path: str, reason: str, n_files: int = 1, is_film: bool = True) -> FilmProblem:
    return FilmProblem(str(name), str(path), str(reason), int(n_files), bool(is_film))


def _from_arrow(chunks: Any) -> Column:
    is_string = str(chunks.type) in {"string", "large_string"}
    return text_column(chunks.to_pylist()) if is_string else numbers_of(chunks)
