"""What every hasher is: fitted on codes, it gives each code its bits, and the real values whose signs they are."""

from __future__ import annotations

import json
import zipfile
from abc import ABC, abstractmethod
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from graphret._checks import as_array, check_integer
from graphret._errors import CodesError, EncoderError, InvalidParameterError, MissingFileError
from graphret._fidelity import FORMULA
from graphret._threads import one_blas_thread
from graphret.files import replacing
from graphret.hashing.bits import n_bytes_of, pack_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes, Float32Array
    from graphret.hashing.bits import PackedBits

__all__ = ["Hasher", "LinearHasher"]

SCHEMA = "graphret.hasher"
VERSION = 1
BLOCK_ROWS = 4_096
"""Rows that are encoded at once: their products stay in the cache while they are packed."""


class Hasher(ABC):
    """A way to turn codes into bits; see `list_hashers`.

    Parameters
    ----------
    n_bits
        Bits of a code, >= 1.
    seed
        Of everything random in `fit`: same codes, labels, options and seed, same bits.

    Attributes
    ----------
    name
        Name in the registry.
    needs_labels
        Whether `fit` learns from labels.
    paper
        The source of the method.
    fidelity
        How close the code is to it: one of `graphret._fidelity.FIDELITIES`. The docstring says what departs.
    options
        What the constructor was given beside bits and seed, defaults included; a file keeps them.
    """

    name: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    paper: ClassVar[str]
    fidelity: ClassVar[str] = FORMULA
    _known: ClassVar[dict[str, type[Hasher]]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            Hasher._known[cls.name] = cls

    def __init__(self, n_bits: int, *, seed: int = 0, **options: Any) -> None:
        self.n_bits = check_integer("n_bits", n_bits, 1, "the length of a code")
        self.seed = check_integer("seed", seed, 0)
        self.options = options
        self._arrays: dict[str, NDArray[Any]] = {}

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"{type(self).__name__}({self.n_bits}, seed={self.seed}{options})"

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` or `load` gave it what it encodes with."""
        return bool(self._arrays)

    @property
    def n_dimensions(self) -> int:
        """Length of the codes that it was fitted on."""
        return int(self._array("n_dimensions"))

    def fit(self, codes: Any, labels: Any = None) -> Self:
        """Learn from codes, and for the supervised methods from labels too.

        Parameters
        ----------
        codes
            Real (n, d), finite; may be memory-mapped.
        labels
            Needed by the supervised methods, refused by the others. Bool or int8 (n, L): 1 positive, 0 negative, -1
            unknown; or int (n,), one class a film, -1 unknown. Two films are similar when they share a positive label,
            dissimilar when they certainly do not, and unknown otherwise.

        Returns
        -------
        Hasher
            Itself. It does not depend on the number of threads: the BLAS runs with one.

        Raises
        ------
        CodesError, InvalidParameterError
            Codes that are not finite or too few, labels that do not fit them, more bits than the method can make.
        """
        codes = _check(codes, None)
        if len(codes) < 2:
            raise CodesError(f"codes have {len(codes)} row: a hasher is fitted on at least two")
        if not self.needs_labels and labels is not None:
            raise InvalidParameterError(
                "labels", "labels", f"none: {self.name!r} learns from codes alone", "a supervised method takes them"
            )
        if self.needs_labels and labels is None:
            raise InvalidParameterError(
                "labels", None, f"labels of the codes: {self.name!r} learns from pairs of films"
            )
        for first in range(0, len(codes), BLOCK_ROWS):
            finite = np.isfinite(codes[first : first + BLOCK_ROWS]).all(axis=1)
            if not finite.all():
                row = first + int(np.flatnonzero(~finite)[0])
                raise CodesError(f"codes: row {row} holds NaN or infinity: remove or re-encode it")
        with one_blas_thread():
            arrays = self._fit(codes, labels)
        self._arrays = {"n_dimensions": np.array(codes.shape[1]), **arrays}
        return self

    def project(self, codes: Any, *, n_threads: int | None = None) -> Float32Array:
        """Compute the real values whose signs are the bits.

        Parameters
        ----------
        codes
            Real (n, d), finite, d as in `fit`.
        n_threads
            Threads of the BLAS; ``None``: as many as it is set to.

        Returns
        -------
        numpy.ndarray
            float32 (n, n_bits). Products are rounded as the BLAS rounds them, so that a value within rounding of 0 may
            get another sign in another batch.

        Raises
        ------
        CodesError, EncoderError
            Codes of another length or not finite; not fitted.
        """
        codes = _check(codes, self.n_dimensions)
        out = np.empty((len(codes), self.n_bits), np.float32)
        with _blas_threads(n_threads):
            for first in range(0, len(codes), BLOCK_ROWS):
                rows = slice(first, first + BLOCK_ROWS)
                out[rows] = self._finite(codes[rows], first)
        return out

    def transform(self, codes: Any, *, n_threads: int | None = None) -> PackedBits:
        """Compute the bits: the signs of `project`, packed by `pack_bits`; uint8 (n, ceil(n_bits / 8))."""
        codes = _check(codes, self.n_dimensions)
        out = np.empty((len(codes), n_bytes_of(self.n_bits)), np.uint8)
        with _blas_threads(n_threads):
            for first in range(0, len(codes), BLOCK_ROWS):
                rows = slice(first, first + BLOCK_ROWS)
                out[rows] = pack_bits(self._finite(codes[rows], first))
        return out

    def save(self, path: str | Path) -> None:
        """Write the fitted hasher to one .npz file: arrays, name, bits, seed and options, nothing pickled.

        The file is written beside its place and renamed, so that it is there complete or not at all.
        """
        self._array("n_dimensions")
        path = Path(path)
        about = {"name": self.name, "n_bits": self.n_bits, "seed": self.seed, "options": self.options}
        header = json.dumps({"schema": SCHEMA, "version": VERSION, **about})
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, header=np.array(header), **self._arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a hasher that `save` wrote; its bits are identical.

        ``Hasher.load`` opens any method, the class of a method only its own.

        Raises
        ------
        MissingFileError
            No such file.
        EncoderError
            Not a hasher, of a newer version, damaged, or of another method than this class.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(path, "hasher", "save() writes one")
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            about = json.loads(str(arrays.pop("header")))
            schema, version, name = about["schema"], about["version"], about["name"]
        except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise EncoderError(f"{path} is not a hasher that save() wrote: {error} (fit and save it again)") from error
        if schema != SCHEMA or version != VERSION:
            raise EncoderError(
                f"{path} holds {schema} {version}, this graphret reads {SCHEMA} {VERSION}: update graphret"
            )
        if name not in Hasher._known or not issubclass(Hasher._known[name], cls):
            raise EncoderError(f"{path} holds the hasher {name!r}, not {cls.__name__}: Hasher.load opens any")
        try:
            made = Hasher._known[name](about["n_bits"], seed=about["seed"], **about["options"])
        except (KeyError, TypeError, ValueError) as error:
            raise EncoderError(f"{path} holds {name!r} with options that it does not have: {error}") from error
        made._arrays = arrays
        return cast("Self", made)

    @abstractmethod
    def _fit(self, codes: Codes, labels: Any) -> dict[str, NDArray[Any]]:
        """Learn the arrays that `_project_rows` needs; codes are finite, n >= 2."""

    @abstractmethod
    def _project_rows(self, codes: Codes) -> Float32Array:
        """Values of some rows, float32 (rows, n_bits)."""

    def _array(self, name: str) -> NDArray[Any]:
        if name not in self._arrays:
            raise EncoderError(f"{self!r} is not fitted: call fit(codes) first, or load a saved one")
        return self._arrays[name]

    def _finite(self, codes: Codes, first: int) -> Float32Array:
        """Values of some rows; NaN or infinity in a code makes its values so, and they are fewer to look through."""
        with np.errstate(invalid="ignore", over="ignore"):
            values = self._project_rows(np.ascontiguousarray(codes, np.float32))
        wrong = ~np.isfinite(values).all(axis=1)
        if wrong.any():
            row = first + int(np.flatnonzero(wrong)[0])
            raise CodesError(f"codes: row {row} holds NaN, infinity or values too large: remove or re-encode it")
        return values

    def _check_bits(self, n_dimensions: int, n_rows: int) -> None:
        """Refuse more bits than there are directions to cut along."""
        if self.n_bits > n_dimensions:
            raise InvalidParameterError(
                "n_bits",
                self.n_bits,
                f"an integer <= {n_dimensions}: {self.name!r} makes at most one bit a dimension",
                "'lsh', 'spectral_hashing', 'ksh' and 'mlh' can make more",
            )
        if n_rows <= self.n_bits:
            raise CodesError(f"codes have {n_rows} rows: {self.name!r} needs more rows than bits ({self.n_bits})")


class LinearHasher(Hasher):
    """A hasher whose values are ``x W + c``: one matrix product."""

    def _project_rows(self, codes: Codes) -> Float32Array:
        values: Float32Array = codes @ self._array("weights")
        values += self._array("offsets")
        return values

    @property
    def weights(self) -> Float32Array:
        """W, float32 (d, n_bits)."""
        return self._array("weights")


def linear_arrays(directions: NDArray[Any], mean: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Arrays of a linear hasher that cuts along directions (d, n_bits) through the mean (d,)."""
    directions = np.asarray(directions, np.float64)
    return {
        "weights": np.ascontiguousarray(directions, np.float32),
        "offsets": (-(mean @ directions)).astype(np.float32),
    }


def _check(codes: Any, n_dimensions: int | None) -> NDArray[Any]:
    array = as_array("codes", codes)
    if array.ndim != 2 or array.shape[1] == 0:
        raise CodesError(f"codes have shape {array.shape}: give a float32 array (n, d) with d >= 1")
    if array.dtype.kind not in "fiu":
        raise CodesError(f"codes have dtype {array.dtype}: give float32 (n, d)")
    if n_dimensions is not None and array.shape[1] != n_dimensions:
        raise CodesError(
            f"codes have {array.shape[1]} dimensions, the hasher was fitted on {n_dimensions}: use the same encoder"
        )
    return array


def _blas_threads(n_threads: int | None) -> Any:
    if n_threads is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(check_integer("n_threads", n_threads, 1), user_api="blas")
