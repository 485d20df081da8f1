"""Generated radiograph-like films, for tests, demonstrations and benchmarks where no archive is at hand.

No figure measured on them says anything about patients. What they keep of the real thing: 13 findings with the
co-occurrence of ChestX-ray14, several films a patient with a shared anatomy, two views, subtle signs, and differences
of exposure, position and devices that have nothing to do with the findings.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from graphret._checks import check_integer
from graphret._errors import DataError, InvalidParameterError
from graphret.data.cards import read_dataset_spec
from graphret.data.images import write_png
from graphret.data.phantom_anatomy import Anatomy, Thorax, blob, noise, patient_anatomy, ramp, thorax
from graphret.data.phantom_findings import Finding, add_findings, change_body
from graphret.data.phantom_plan import FINDINGS, VIEWS, FilmPlan, plan_films
from graphret.data.splits import split_by_patient
from graphret.data.table import ImageTable
from graphret.files import make_folder, remove_partials, replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphret._types import Float32Array, Progress

__all__ = ["generate_phantom", "phantom_films"]


def generate_phantom(
    root: str | Path, n_films: int, *, size: int = 64, seed: int = 0, progress: Progress | None = None
) -> None:
    """Write generated films that ``read_dataset("phantom", root)`` reads.

    ``images/*.png`` are 8-bit grey films, ``masks/*.png`` 16-bit pictures in which bit j marks the pixels of finding j
    (in the order of the dataset spec's labels), ``films.csv`` lists id, path, labels, patient, view, split and mask.
    The table is written last.

    Parameters
    ----------
    root
        Folder to write to; it is made, and must not hold a ``films.csv`` yet.
    n_films
        How many films, >= 1.
    size
        Side in pixels, >= 16.
    seed
        >= 0. Film i depends on (seed, i, size) only: a larger set begins with the smaller one.
    progress
        Called as ``progress("films", done, total)``.

    Raises
    ------
    InvalidParameterError
        A number is out of range.
    DataError
        ``root`` already holds a data set.

    Notes
    -----
    O(n_films size^2); at 64 px about 200 films a second and core with their files, 600 in memory (`phantom_films`).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     generate_phantom(root, 3, size=32, seed=1)
    ...     sorted(path.name for path in Path(root, "images").iterdir())
    ['p00000_00.png', 'p00000_01.png', 'p00000_02.png']
    """
    n_films, size, seed = _check(n_films, size, seed)
    root = Path(root)
    if (root / "films.csv").exists():
        raise DataError(f"{root} already holds films.csv: give an empty folder, or remove it first")
    plan = plan_films(n_films, seed)
    ids = _ids(plan)
    for folder in ("images", "masks"):
        remove_partials(make_folder(root / folder))
    for number, (film, masks) in enumerate(_draw_films(plan, size, seed)):
        write_png(root / "images" / f"{ids[number]}.png", film)
        bits = (masks.astype(np.uint16) << np.arange(len(FINDINGS), dtype=np.uint16)[:, None, None]).sum(0, np.uint16)
        with replacing(root / "masks" / f"{ids[number]}.png", durable=False) as file:
            Image.fromarray(bits).save(file, format="PNG", compress_level=1)
        if progress is not None:
            progress("films", number + 1, n_films)
    table = _table(plan, ids, seed)
    lines = ["id,path,labels,patient,view,split,mask"]
    for row, name in enumerate(ids):
        labels = "|".join(np.array(FINDINGS)[plan.findings[row]]) or "No Finding"
        where = f"{table.patients[row]},{table.views[row]},{table.splits[row]}"
        lines.append(f"{name},images/{name}.png,{labels},{where},masks/{name}.png")
    write_text(root / "films.csv", "\n".join(lines) + "\n")


def phantom_films(n_films: int, size: int = 64, seed: int = 0) -> tuple[Float32Array, ImageTable]:
    """Generate films in memory: float32 (n, size, size) in [0, 1], and their table (without paths).

    The films are those of `generate_phantom` before their values are rounded to 8 bits.

    Raises
    ------
    InvalidParameterError
        A number is out of range.

    Examples
    --------
    >>> films, table = phantom_films(4, size=32)
    >>> films.shape, films.dtype, len(table)
    ((4, 32, 32), dtype('float32'), 4)
    """
    n_films, size, seed = _check(n_films, size, seed)
    plan = plan_films(n_films, seed)
    films = np.empty((n_films, size, size), dtype=np.float32)
    for number, (film, _) in enumerate(_draw_films(plan, size, seed)):
        films[number] = film
    return films, _table(plan, _ids(plan), seed)


def _check(n_films: int, size: int, seed: int) -> tuple[int, int, int]:
    if check_integer("size", size, 16, "smaller films show no findings") > 4096:
        raise InvalidParameterError("size", size, "an integer <= 4096")
    return check_integer("n_films", n_films, 1), int(size), check_integer("seed", seed, 0)


def _ids(plan: FilmPlan) -> list[str]:
    first = np.searchsorted(plan.patients, plan.patients)
    return [
        f"p{patient:05d}_{row - start:02d}"
        for row, (patient, start) in enumerate(zip(plan.patients, first, strict=True))
    ]


def _table(plan: FilmPlan, ids: list[str], seed: int) -> ImageTable:
    patients = np.array([film.partition("_")[0] for film in ids])
    spec = read_dataset_spec("phantom")
    return ImageTable(
        ids=np.array(ids),
        paths=np.array([""] * len(ids)),
        labels=plan.findings.astype(np.int8),
        label_names=FINDINGS,
        patients=patients,
        views=np.array(VIEWS)[plan.is_ap.astype(int)],
        splits=split_by_patient(patients, spec.splits.fractions, seed),
        spec=spec.name,
    )


def _draw_films(plan: FilmPlan, size: int, seed: int) -> Iterator[tuple[Float32Array, NDArray[np.bool_]]]:
    """Yield every film and its masks, bool (13, size, size)."""
    line = np.linspace(1 / size - 1, 1 - 1 / size, size, dtype=np.float32)
    for number, patient in enumerate(plan.patients):
        film, signs = (np.random.default_rng([seed, stream, number]) for stream in (2, 3))
        body = patient_anatomy(seed, int(patient))
        yield _draw(body, plan.findings[number], bool(plan.is_ap[number]), film, signs, line)


def _draw(
    body: Anatomy,
    shown: NDArray[np.bool_],
    is_ap: bool,
    rng: np.random.Generator,
    signs: np.random.Generator,
    line: Float32Array,
) -> tuple[Float32Array, NDArray[np.bool_]]:
    """Draw one film: position, devices and grain from ``rng``, findings from ``signs``; neither moves the other."""
    body = _breathe(body, is_ap, rng)
    findings = {}
    for name in np.array(FINDINGS)[shown].tolist():
        own = np.random.default_rng(signs.integers(2**62))
        findings[name] = Finding(float(signs.random()), int(signs.integers(2)), own)
        change_body(name, findings[name], body)
    chest = thorax(body, *_position(rng, line))
    masks = np.zeros((len(FINDINGS), len(line), len(line)), dtype=bool)
    for name, mask in add_findings(findings, chest).items():
        masks[FINDINGS.index(name)] = mask
    _add_devices(chest, is_ap, rng)
    return _expose(chest.density, is_ap, rng), masks


def _breathe(body: Anatomy, is_ap: bool, rng: np.random.Generator) -> Anatomy:
    """Vary a patient's anatomy from film to film; an AP film is taken lying, from the front, in shallow breath."""
    deviate = rng.standard_normal(4).tolist()
    return dataclasses.replace(
        body,
        diaphragm=body.diaphragm + 0.04 * deviate[0] - 0.08 * is_ap,
        heart=body.heart * (1.0 + 0.04 * deviate[1] + 0.12 * is_ap),
        mediastinum=body.mediastinum * (1.0 + 0.06 * deviate[2] + 0.2 * is_ap),
        tissue=body.tissue + 0.03 * deviate[3] + 0.04 * is_ap,
    )


def _position(rng: np.random.Generator, line: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Coordinates of every pixel after a small turn, shift and change of scale."""
    angle, du, dv, scale = (rng.standard_normal(4) * (0.06, 0.05, 0.05, 0.06)).tolist()
    cosine, sine = math.cos(angle) * math.exp(scale), math.sin(angle) * math.exp(scale)
    u, v = line[None, :] + du, line[:, None] + dv
    return cosine * u - sine * v, sine * u + cosine * v


def _add_devices(chest: Thorax, is_ap: bool, rng: np.random.Generator) -> None:
    """Leads, wires and a pacemaker: bright, common on AP films, and told by no label."""
    for _ in range(int(rng.poisson(1.6 if is_ap else 0.3))):
        u, v = rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.6)
        chest.density += blob(chest.u, chest.v, u, v, 0.07, 0.07) * rng.uniform(0.1, 0.4)
        bend, slope = rng.uniform(-0.8, 0.8), rng.uniform(-1.0, 1.0)
        wire = chest.u - u - slope * (chest.v - v) - bend * (chest.v - v) ** 2
        chest.density += np.maximum(1.0 - (wire / 0.035) ** 2, 0.0) * (chest.v < v) * rng.uniform(0.05, 0.2)
    if rng.random() < 0.06:
        u, v = (-0.5, 0.5)[int(rng.integers(2))], rng.uniform(-0.55, -0.35)
        box = np.maximum(np.abs(chest.u - u) / 0.14, np.abs(chest.v - v) / 0.11)
        chest.density += ramp(1.0 - box, 0.2) * 0.5


def _expose(density: Float32Array, is_ap: bool, rng: np.random.Generator) -> Float32Array:
    """From absorption to a displayed film: scatter, dose, window, gamma, grain, collimation."""
    size = density.shape[0]
    contrast = rng.uniform(0.75, 1.15) * (0.85 if is_ap else 1.0)
    level = rng.uniform(-0.08, 0.08) + (0.05 if is_ap else 0.0)
    film = (0.45 + level) + (density - 0.55) * contrast
    film = np.minimum(film, 0.7 + 0.45 * (film - 0.7))  # the shoulder of the film's curve
    film += noise(rng, size, 2) * 0.03
    film += rng.standard_normal(film.shape, dtype=np.float32) * (rng.uniform(0.015, 0.05) * (1.3 if is_ap else 1.0))
    film = np.clip(film, 0.0, 1.0) ** math.exp(rng.normal(0.0, 0.15))
    if rng.random() < 0.3:  # the collimator's edge
        edge = int(rng.integers(1, max(2, size // 12)))
        film[:edge] = film[:, :edge] = film[-edge:] = film[:, -edge:] = 0.0
    shown: Float32Array = film.astype(np.float32)
    return shown
