"""Codes of a whole NIH archive, simulated from its real labels, patients and views (112,120 x 1024).

A latent z in R^40 is the sum of: 0.845 * sqrt(40) / 2 times the sum of one unit prototype per real finding; half a
patient vector; half a view vector for AP films; and N(0, I). The code is relu(W1 relu(W0 z + b0) + b1) through
40 -> 512 -> 1024 with W ~ N(0, 1 / fan_in), b0 ~ 0.3 N, b1 ~ 0.2 N - 0.3. Run this file to see how they behave.
"""

from __future__ import annotations

import csv
import functools
import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from record import parser_of

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip
N_FILMS = 112_120
LATENT, HIDDEN, LENGTH = 40, 512, 1024
# Every part is drawn from a stream of its own, so that the first n films are the same whatever n is.
ORDER, PROTOTYPES, PATIENTS, VIEW, NETWORK, NOISE = range(6)


@dataclass(frozen=True)
class SimulatedArchive:
    """Codes float32 (n, 1024), not scaled; labels int8 (n, 14); ids, patients and views str (n,)."""

    codes: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    patients: np.ndarray
    views: np.ndarray


def official_label_file() -> Path:
    """Find the official NIH label file inside the package torchxrayvision, without importing it."""
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        raise SystemExit("the NIH label file comes with torchxrayvision: pip install 'graphret[xray]'")
    found = sorted((Path(spec.origin).parent / "data").glob("Data_Entry_2017*.csv*"))
    if not found:
        raise SystemExit("this torchxrayvision holds no Data_Entry_2017 file: pip install 'graphret[xray]'")
    return found[-1]


@functools.cache
def official_rows(path: Path) -> list[dict[str, str]]:
    """Read what the official file says of every film."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def simulate(n: int | None = None, seed: int = 0, *, exposure: int = 0) -> SimulatedArchive:
    """Simulate the codes of n films (all of them by default), chosen and ordered by a seeded permutation.

    Another ``exposure`` takes the same films anew: same patient, view and findings, other noise. Such codes are queries
    that are not in the archive. Equal arguments give equal codes (up to the rounding of another BLAS).
    """
    rows = official_rows(official_label_file())
    n_patients = 1 + max(int(row["Patient ID"]) for row in rows)
    chosen = np.random.default_rng([seed, ORDER]).permutation(len(rows))[:n]
    rows = [rows[row] for row in chosen]
    labels = np.array([[name in row["Finding Labels"].split("|") for name in FINDINGS] for row in rows], dtype=np.int8)
    patients = np.array([int(row["Patient ID"]) for row in rows])
    views = np.array([row["View Position"] for row in rows])

    prototypes = np.random.default_rng([seed, PROTOTYPES]).standard_normal((len(FINDINGS), LATENT))
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    z = 0.845 * np.sqrt(LATENT) / 2.0 * (labels @ prototypes)
    z += 0.5 * np.random.default_rng([seed, PATIENTS]).standard_normal((n_patients, LATENT))[patients]
    z += 0.5 * np.outer(views == "AP", np.random.default_rng([seed, VIEW]).standard_normal(LATENT))
    z += np.random.default_rng([seed, NOISE, exposure]).standard_normal(z.shape)
    ids = np.array([row["Image Index"] for row in rows])
    return SimulatedArchive(_network(z, seed), labels, ids, patients.astype(str), views)


def _network(z: np.ndarray, seed: int) -> np.ndarray:
    """Push latent vectors through the random network, float32 (n, 1024)."""
    generator = np.random.default_rng([seed, NETWORK])
    first = generator.standard_normal((LATENT, HIDDEN)) / np.sqrt(LATENT)
    second = (generator.standard_normal((HIDDEN, LENGTH)) / np.sqrt(HIDDEN)).astype(np.float32)
    hidden_bias = 0.3 * generator.standard_normal(HIDDEN)
    bias = (0.2 * generator.standard_normal(LENGTH) - 0.3).astype(np.float32)
    codes = np.empty((len(z), LENGTH), dtype=np.float32)
    for start in range(0, len(z), 8192):
        block = slice(start, start + 8192)
        hidden = np.maximum(z[block] @ first + hidden_bias, 0.0).astype(np.float32)
        np.maximum(hidden @ second + bias, 0.0, out=codes[block])
    return codes


def main() -> None:
    """Print how the simulated codes behave beside what is expected of them."""
    from graphret.evaluation import evaluate_ranking
    from graphret.neighbors import ExactSearch

    parser = parser_of(__doc__)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    archive = simulate(options.n, options.seed)
    n_films = len(archive.ids)
    queries = np.flatnonzero(archive.labels.any(axis=1))[:1000]
    ranked = ExactSearch(archive.codes).search(archive.codes[queries], 10, forbidden=list(queries[:, None])).neighbors
    relevance = archive.labels.astype(bool)
    chooser = np.random.default_rng(1)
    chance = np.array([chooser.choice(n_films, 10, replace=False) for _ in queries])
    some = archive.codes[:2000] / np.linalg.norm(archive.codes[:2000], axis=1, keepdims=True)
    print(f"{n_films} films, {len(queries)} queries; expected of all 112,120 in brackets")
    for name, lists, expected in (("exact cosine", ranked, 0.48), ("chance", chance, 0.14)):
        scores = evaluate_ranking(lists, relevance[queries], relevance, ["P@10"])["P@10"]
        print(f"P@10, {name}: {np.nanmean(scores):.3f} (about {expected})")
    print(f"mean cosine: {(some @ some.T)[np.triu_indices(len(some), 1)].mean():.3f} (0.45 to 0.49, by seed)")


if __name__ == "__main__":
    main()
