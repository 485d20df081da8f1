"""What a method makes of the films: codes of the searched films and of the queries, with what they cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_codes
from graphret._errors import DataError, InvalidParameterError
from graphret.comparison.bit_statistics import bit_statistics, precision_of_cuts
from graphret.comparison.memory import PeakMemory
from graphret.comparison.starts import Start, start_of
from graphret.comparison.training import auc_of, fidelity_of, masks_of, other_objective, trained_encoder
from graphret.comparison.training_accuracy import training_accuracy
from graphret.comparison.training_curve import read_training_state
from graphret.encoding import CODE_OF_ZEROS, encode_films
from graphret.files import Stage, Stages, digest, safe_name
from graphret.hashing import create_hasher

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Codes, Progress
    from graphret.comparison.experiment import Experiment, MethodSettings
    from graphret.comparison.films import ComparedFilms
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.hashing import Hasher

__all__ = ["Representation", "Representations"]

_TIMED_FILMS = 256
_EMPTY = 1e-6
"""Every value of a film whose code was all zeros."""


@dataclass(frozen=True, eq=False)
class Representation:
    """Codes of one method at one length.

    Parameters
    ----------
    method
        Its settings.
    n_bits
        Length of the binary code; None for a method of real values only.
    codes, query_codes
        float32 (n, d) and (q, d): real values; their signs are the bits where there are bits.
    key
        Digest of everything that decides the codes.
    stages
        Its folder.
    costs
        ``auc`` (by label, or None), ``training_seconds``, ``epochs`` that were finished, ``films_per_second``; None
        where there is no such thing; ``films_without_code``, whose code was all zeros; ``start`` of a training;
        ``masks``, as `segmentation_quality` has them; ``trainings``, how far it came; ``training_accuracy`` (see
        `training_accuracy`) and ``peak_megabytes`` of the process while the codes were made (`PeakMemory`); ``bits``
        (`bit_statistics` of the searched films, and `precision_of_cuts`), None where there are no bits; ``objective``,
        the loss that an encoder was trained with in the place of its own, or None; ``fidelity`` of an encoder with the
        options that it has.
    """

    method: MethodSettings
    n_bits: int | None
    codes: Codes
    query_codes: Codes
    key: str
    stages: Stages
    costs: dict[str, Any]

    def as_bits(self) -> tuple[Codes, Codes]:
        """+1 and -1 for the bits, of the searched films and of the queries; sign(0) = +1."""
        one, other = (np.where(values >= 0, 1, -1).astype(np.float32) for values in (self.codes, self.query_codes))
        return one, other


class Representations:
    """Makes the codes of every method, once; what is finished is read from its files.

    Parameters
    ----------
    experiment, films
        What is compared, and on what.
    out
        Folder of the comparison.
    progress
        Called by the long steps.
    """

    def __init__(self, experiment: Experiment, films: ComparedFilms, out: Path, progress: Progress | None) -> None:
        self.experiment, self.films, self.out, self.progress = experiment, films, out, progress
        self._made: dict[tuple[str, int | None], Representation] = {}

    def lengths(self, method: MethodSettings) -> list[int | None]:
        """Code lengths of a method: None for one that gives no bits.

        Raises
        ------
        UnknownNameError
            An encoder that is not registered.
        InvalidParameterError
            Lengths for an encoder that takes none.
        """
        if method.kind in {"encoder", "untrained"}:
            from graphret.encoders import encoder_spec

            if encoder_spec(method.name).kind == "dense":
                if method.bits:
                    raise InvalidParameterError(
                        "methods.bits",
                        method.bits,
                        "no bits",
                        f"{method.name!r} gives real values; a hasher makes bits of them",
                    )
                return [None]
        return list(method.bits or self.experiment.bits)

    def make(self, method: MethodSettings, n_bits: int | None) -> Representation:
        """Codes of a method at one length; trained, encoded or fitted if they are not there yet."""
        known = self._made.get((method.label, n_bits))
        if known is None:
            known = self._make(method, n_bits)
            self._made[method.label, n_bits] = known
        return known

    def forget(self, method: MethodSettings, n_bits: int | None) -> None:
        """Let go of the codes of a method in memory, unless a hasher stands on it."""
        if not any(other.on == method.label for other in self.experiment.methods):
            self._made.pop((method.label, n_bits), None)

    def base_of(self, method: MethodSettings) -> Representation:
        """Codes that a hasher stands on."""
        return self.make(*self._base(method))

    def _base(self, method: MethodSettings) -> tuple[MethodSettings, int | None]:
        base = next(other for other in self.experiment.methods if other.label == method.on)
        lengths = self.lengths(base)
        if len(lengths) != 1:
            raise InvalidParameterError(
                "methods.on", method.on, "a method with codes of one length", f"it has {lengths}"
            )
        return base, lengths[0]

    def _make(self, method: MethodSettings, n_bits: int | None) -> Representation:
        base = self.base_of(method) if method.kind == "hasher" else None
        start = self._start(method, n_bits)
        deciding = self._deciding(method, n_bits, start)
        key = digest(deciding, self.films.key)
        # A larger budget goes on where the training of a smaller one ended, so the folder does not depend on it.
        place = digest({name: value for name, value in deciding.items() if name != "budget"}, self.films.key)
        label = method.label if n_bits is None else f"{method.label}-{n_bits}"
        stages = Stages(self.out / "methods" / f"{safe_name(label)}-{place[:8]}")
        done = stages.load("codes", key)
        if done is None:
            with PeakMemory() as memory:
                codes, query_codes, costs = self._compute(method, n_bits, base, start, stages, key)
            check_codes(codes)
            check_codes(query_codes, name="codes of the queries")
            binary, seed = n_bits is not None, self.experiment.seed
            costs["training_accuracy"] = training_accuracy(codes, self.films.database, binary=binary, seed=seed)
            costs["peak_megabytes"] = memory.megabytes
            done = Stage(costs, {"codes": codes, "query_codes": query_codes})
            stages.save("codes", key, *done)
        follows = {"objective": other_objective(self.experiment, method), "fidelity": fidelity_of(method)}
        costs, arrays = {**done.record, **follows}, done.arrays
        made = Representation(method, n_bits, arrays["codes"], arrays["query_codes"], key, stages, costs)
        return replace(made, costs={**costs, "bits": self._bits(made)})

    def _bits(self, made: Representation) -> dict[str, Any] | None:
        """What the bits are like; in a stage of its own, so that codes of before have it too."""
        if made.n_bits is None:
            return None
        exclude = self.experiment.data.exclude
        key = digest(made.key, exclude)
        done = made.stages.load("bits", key)
        if done is None:
            films = self.films.queries, self.films.database
            cuts = precision_of_cuts((made.query_codes, made.codes), films, exclude=exclude)
            made.stages.save("bits", key, {**bit_statistics(made.codes), **cuts})
            done = made.stages.read("bits", key)
        return done.record

    def _start(self, method: MethodSettings, n_bits: int | None) -> Start:
        """First weights of a training; those of the next shorter code where the method grows."""
        if method.kind != "encoder":
            return Start()
        shorter = [length for length in self.lengths(method) if length is not None and length < (n_bits or 0)]
        if not method.grow or not shorter:
            return start_of(self.experiment, method, n_bits, len(self.films.table.label_names))
        before = self.make(method, max(shorter))
        name = f"{method.label}, {max(shorter)} bits"
        return Start(name, name, weights=str(before.stages.folder / "encoder"), key=before.key)

    def key_of(self, method: MethodSettings, n_bits: int | None) -> str:
        """Digest of everything that decides the codes of a method at one length."""
        return digest(self._deciding(method, n_bits, self._start(method, n_bits)), self.films.key)

    def _deciding(self, method: MethodSettings, n_bits: int | None, start: Start) -> dict[str, Any]:
        experiment = self.experiment
        deciding: dict[str, Any] = {
            "kind": method.kind,
            "name": method.name,
            "n_bits": n_bits,
            "options": method.options,
            "seed": experiment.seed,
        }
        if method.kind == "hasher":
            return {**deciding, "on": self.key_of(*self._base(method))}
        if method.kind == "random":
            return deciding
        deciding["size"] = experiment.data.size
        if method.kind == "encoder":
            budget = experiment.budget
            deciding["training"] = {**experiment.training, **method.training}
            deciding["budget"] = [budget.epochs, budget.max_minutes]
            if start != Start():
                deciding["start"] = start.key or start.had
        return deciding

    def _compute(
        self,
        method: MethodSettings,
        n_bits: int | None,
        base: Representation | None,
        start: Start,
        stages: Stages,
        key: str,
    ) -> tuple[Codes, Codes, dict[str, Any]]:
        if method.kind == "random":
            generator = np.random.default_rng([self.experiment.seed, n_bits or 1])
            sizes = len(self.films.database), len(self.films.queries)
            codes, query_codes = (generator.standard_normal((n, n_bits or 1), dtype=np.float32) for n in sizes)
            return codes, query_codes, {"auc": None, "training_seconds": None, "films_per_second": None}
        if base is not None:
            return self._fit(method, int(n_bits or 0), base)
        return self._encode(method, n_bits, start, stages, key)

    def _fitted(self, method: MethodSettings, n_bits: int, base: Representation) -> tuple[Hasher, float]:
        """Fit a hasher to the codes of the searched films of the training split, with their labels if it takes them.

        Returned with the seconds that it took.
        """
        rows = np.flatnonzero(self.films.database.splits == "train")
        if not rows.size:
            raise DataError('no searched film is of the split "train": a hasher has nothing to learn from')
        hasher = create_hasher(method.name, n_bits, **{"seed": self.experiment.seed, **method.options})
        began = time.perf_counter()
        hasher.fit(base.codes[rows], self.films.database.labels[rows] if hasher.needs_labels else None)
        return hasher, time.perf_counter() - began

    def _fit(self, method: MethodSettings, n_bits: int, base: Representation) -> tuple[Codes, Codes, dict[str, Any]]:
        """Codes of a hasher."""
        hasher, seconds = self._fitted(method, n_bits, base)
        codes, query_codes = (
            np.ascontiguousarray(hasher.project(c), np.float32) for c in (base.codes, base.query_codes)
        )
        costs = {
            "auc": None,
            "training_seconds": seconds + (base.costs["training_seconds"] or 0.0),
            "fitting_seconds": seconds,
            "films_per_second": _rate_with(hasher, base.codes, base.costs["films_per_second"]),
            "start": base.costs.get("start"),
        }
        return codes, query_codes, costs

    def costs_of_encoding(self, made: Representation) -> dict[str, Any]:
        """Encode some films once more; the encoder is loaded, and a hasher fitted again, which is not timed.

        Returns
        -------
        dict
            films_per_second, and encoder_bytes (weights of the encoder as they are stored; None for one that is not
            trained); both None for random codes. A hasher stands on an encoder, and has its costs too.
        """
        method = made.method
        if method.kind == "random":
            return {"films_per_second": None, "encoder_bytes": None}
        if method.kind == "hasher":
            base = self.base_of(method)
            of_base = self.costs_of_encoding(base)
            hasher, _ = self._fitted(method, int(made.n_bits or 0), base)
            return {**of_base, "films_per_second": _rate_with(hasher, base.codes, of_base["films_per_second"])}
        encoder, _ = self._encoder(method, made.n_bits, self._start(method, made.n_bits), made.stages, made.key)
        weights = made.stages.folder / "encoder" / "encoder.safetensors"
        size = weights.stat().st_size if method.kind == "encoder" else None
        return {"films_per_second": self._films_per_second(encoder), "encoder_bytes": size}

    def _encode(
        self, method: MethodSettings, n_bits: int | None, start: Start, stages: Stages, key: str
    ) -> tuple[Codes, Codes, dict[str, Any]]:
        experiment, films = self.experiment, self.films
        encoder, seconds = self._encoder(method, n_bits, start, stages, key)
        (codes, n_empty), (query_codes, n_empty_queries) = (
            self._codes(encoder, table, stages.folder / f"encode-{name}")
            for name, table in (("database", films.database), ("queries", films.queries))
        )
        auc = auc_of(encoder, films.asking_split) if method.kind == "encoder" else None
        rate = self._films_per_second(encoder)
        done = encoder.record.get("training", {}).get("epochs done")
        costs = {"auc": auc, "training_seconds": seconds, "epochs": done, "films_per_second": rate}
        costs["films_without_code"] = n_empty + n_empty_queries
        costs["start"] = start.to_json()
        costs["masks"] = masks_of(encoder, films.asking_split) if method.kind == "encoder" else None
        state = read_training_state(stages.folder / "encoder") if method.kind == "encoder" else None
        costs["trainings"] = [] if state is None else [{"seed": experiment.seed, **state}]
        return codes, query_codes, costs

    def _encoder(
        self, method: MethodSettings, n_bits: int | None, start: Start, stages: Stages, key: str
    ) -> tuple[Encoder, float | None]:
        """Encoder of a method, trained if it is not yet, with the seconds of its training."""
        experiment, films = self.experiment, self.films
        if method.kind == "untrained":
            from graphret.encoders import Encoder

            names, size = films.table.label_names, experiment.data.size
            return Encoder.untrained(method.name, names, size, experiment.seed, n_bits=n_bits, **method.options), None
        return trained_encoder(experiment, method, n_bits, films.table, stages, key, start, self.progress)

    def _codes(self, encoder: Encoder, table: ImageTable, folder: Path) -> tuple[Codes, int]:
        """Codes of all films of a table, and how many of them were all zeros.

        Zeros have no cosine. As bits they are +1 everywhere, so such a film gets one value in every place.
        """
        encoded = encode_films(table, encoder, folder, progress=self.progress)
        wrong = [problem for problem in encoded.problems if problem.reason != CODE_OF_ZEROS]
        if wrong:
            raise DataError(f"{len(wrong)} films have no code, first {wrong[0].id}: {wrong[0].reason}")
        codes = np.full((len(table), encoded.codes.shape[1]), _EMPTY, dtype=np.float32)
        codes[encoded.rows] = encoded.codes
        return codes, len(table) - len(encoded.rows)

    def _films_per_second(self, encoder: Encoder) -> float:
        """Decode, resize and encode some of the films once more, after a first batch that nobody times."""
        n = min(_TIMED_FILMS, len(self.films.database))
        table = self.films.database.select(np.arange(n))
        encoder.encode(np.stack([encoder.prepare(table.read_pixels(0, colour=encoder.reads_colour))]))
        began = time.perf_counter()
        encode_films(table, encoder)
        return n / (time.perf_counter() - began)


def _rate_with(hasher: Hasher, codes: Codes, rate: float | None) -> float | None:
    """Films a second of a hasher and its encoder, which has to run first."""
    timed = codes[:_TIMED_FILMS]
    began = time.perf_counter()
    hasher.transform(timed)
    seconds_a_film = (time.perf_counter() - began) / len(timed)
    return None if rate is None else 1 / (1 / rate + seconds_a_film)
