"""What a build starts from, checked in full before anything is computed or written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import as_array, check_codes
from graphret._errors import CodesError, DataError, EncoderError, InvalidParameterError
from graphret._labels import read_labels
from graphret.data import ImageTable
from graphret.files import npy_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes
    from graphret.encoders import Encoder

__all__ = ["check_encoder", "check_films", "codes_hash", "describe_codes", "is_kept"]

_MEMBERS = ("prepare", "encode", "save", "fingerprint", "code_length", "name", "size")


def check_encoder(encoder: Any, code_length: int | None = None) -> Encoder:
    """Return the encoder, or say that it is none, or none for these codes.

    Raises
    ------
    InvalidParameterError
        Another kind of object; a name or a path must be loaded first.
    EncoderError
        Its codes have another length than ``code_length``.
    """
    if isinstance(encoder, type) or not all(hasattr(encoder, member) for member in _MEMBERS):
        hint = "graphret.load_encoder(path or name) opens one"
        if callable(encoder) and not isinstance(encoder, type):
            hint = "graphret.ModelEncoder(model, size=..., pixels=(0, 1)) makes one of a module or a function"
        raise InvalidParameterError("encoder", encoder, "an Encoder", hint)
    if code_length is not None and encoder.code_length != code_length:
        raise EncoderError(
            f"the codes have {code_length} dimensions, those of the encoder {encoder.name} have "
            f"{encoder.code_length}: give the encoder that made the codes, or none"
        )
    checked: Encoder = encoder
    return checked


def is_kept(encoder: Encoder) -> bool:
    """Say whether an index holds the encoder itself, or only which one it was (`ModelEncoder`)."""
    return bool(getattr(encoder, "kept_in_index", True))


def check_films(table: ImageTable, given: dict[str, Any]) -> ImageTable:
    """Return a table whose films can be encoded.

    Raises
    ------
    InvalidParameterError
        A description that only codes need was given as well.
    DataError
        The table is empty, or not one film of it has a file.
    """
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise InvalidParameterError(named[0], given[named[0]], "nothing", "the table of films says it already")
    if not len(table):
        raise DataError("the table has no film: there is nothing to build an index of")
    if not np.any(table.paths != ""):
        raise DataError("no film of the table has a file: give the codes, and the table as films=...")
    return table


def describe_codes(
    codes: Any,
    *,
    films: ImageTable | None,
    ids: Any,
    labels: Any,
    patients: Any,
    label_names: Any,
    splits: Any,
) -> tuple[Codes, ImageTable]:
    """Return checked codes and the table of their films.

    Raises
    ------
    CodesError
        Not float32 (n, d), values that are not finite, rows of zeros.
    InvalidParameterError
        A description of another length than there are codes, labels of no known form, or both ``films`` and single
        columns.
    DataError
        An id twice, a label other than 1, 0, -1, an unknown split.
    """
    array = as_array("codes", codes)
    if array.dtype.kind != "f":
        raise CodesError(f"codes have dtype {array.dtype}: give float32 (n, d)")
    array = check_codes(array)
    n_films = len(array)
    given = {"ids": ids, "labels": labels, "patients": patients, "label_names": label_names, "splits": splits}
    named = [name for name, value in given.items() if value is not None]
    if films is not None:
        if named:
            raise InvalidParameterError(named[0], given[named[0]], "nothing", "films says it already")
        if len(films) != n_films:
            raise InvalidParameterError("films", f"{len(films)} films", f"{n_films} films, one for every code")
        return array, films
    if ids is not None:
        for name in ("labels", "patients", "splits"):
            _check_order(name, given[name], ids)
    for name in ("ids", "patients", "splits"):
        if given[name] is not None and len(given[name]) != n_films:
            raise InvalidParameterError(name, f"{len(given[name])} rows", f"{n_films} rows, one for every code")
    read = read_labels(np.zeros((n_films, 0), np.int8) if labels is None else labels, label_names)
    if len(read) != n_films:
        raise InvalidParameterError("labels", f"{len(read)} rows", f"{n_films} rows, one for every code")
    table = ImageTable(
        ids=_as_text(np.arange(n_films) if ids is None else ids),
        paths=np.array([], dtype=np.str_),
        labels=read.matrix,
        label_names=read.names,
        patients=_as_text([] if patients is None else patients),
        splits=_as_text([] if splits is None else splits),
    )
    return array, table


def _check_order(name: str, values: Any, ids: Any) -> None:
    """Refuse what pandas has in another order of the films than ``ids``: rows are taken by their places."""
    index = getattr(values, "index", None)
    if index is None or callable(index):  # a list has a method of that name
        return
    named, films = [str(entry) for entry in index], [str(entry) for entry in ids]
    if named != films and sorted(named) == sorted(films):
        raise InvalidParameterError(
            name,
            "an index that names the films in another order than ids",
            "the order of ids",
            f"{name}.loc[ids] has it",
        )


def _as_text(values: Any) -> NDArray[np.str_]:
    """Return names as text; whole numbers, which archives number their films and patients with, as their digits."""
    array = np.asarray(values)
    if array.size == 0 or array.dtype.kind in "iu":
        return array.astype(np.str_)
    return array


def codes_hash(codes: Codes) -> str:
    """Return the sha256 of codes: that of the file `codes.npy`, which says dtype and shape before the values."""
    return npy_digest(codes)
