"""The sets of the ranking study: an archive, validation queries and test queries each, no patient on both sides.

    sim20k, sim107k       codes simulated from the real NIH labels (`simulated_codes`): archives of 20,000 films, and of all
                          112,120 but the last 5,000; queries from the last 5,000 films
    fashion-pixels        Fashion-MNIST, pixels: 20,000 training images, queries from other training images and from t10k
    fashion-network       the same images by a small network trained on the archive (128 values after a ReLU)
    kermany, nih          real films by our DenseNet-121 at 64 px, trained from scratch on the training films
    kermany-untrained, nih-untrained      the same films by the network with its first random weights
    mednist, mednist-untrained            six kinds of images by the network that was trained on Kermany's films (it
                                          has seen none of them), and by the untrained one
    mednist-own, mednist-own-32, mednist-untrained-32     the same images by a ResNet-18 that was trained on those of the
                          archive, at 64 and at 32 px, and by one with its first random weights

Validation asks the training films; the test of real films asks training and validation films together. Codes are made
once and kept as .npz in the work folder.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmark_codes import FASHION, codes_of, fashion_mnist
from record import WORK, say
from simulated_codes import N_FILMS, simulate

if TYPE_CHECKING:
    from graphret import ImageTable
    from graphret.encoders import Encoder

FOLDER = WORK / "ranking"
N_QUERIES = 1000
SIMULATED_QUERIES = 5000
NAMES = (
    "sim20k", "sim107k", "fashion-pixels", "fashion-network", "kermany", "kermany-untrained", "nih", "nih-untrained",
    "mednist", "mednist-untrained", "mednist-own", "mednist-own-32", "mednist-untrained-32",
)  # fmt: skip

TRAINED_ON_THEM = ("fashion-network", "kermany", "nih", "mednist-own", "mednist-own-32")
"""Sets whose encoder was trained on films of the archive."""


@dataclass(frozen=True)
class Side:
    """An archive and queries to it; labels are bool (., L), patients and splits str; no splits where no encoder was trained."""

    codes: np.ndarray
    labels: np.ndarray
    patients: np.ndarray
    query_codes: np.ndarray
    query_labels: np.ndarray
    query_patients: np.ndarray
    splits: np.ndarray | None = None

    @property
    def forbidden(self) -> list[np.ndarray]:
        """For each query the films of its patient."""
        order = np.argsort(self.patients, kind="stable")
        ordered = self.patients[order]
        first = np.searchsorted(ordered, self.query_patients, side="left")
        last = np.searchsorted(ordered, self.query_patients, side="right")
        return [order[start:stop].astype(np.int32) for start, stop in zip(first, last, strict=True)]


def side_of(name: str, part: str, data_root: Path) -> Side:
    """Read one side, "validation" or "test", of a set; what is not there yet is made."""
    file = FOLDER / f"{name}.npz"
    if name == "sim107k":
        return _simulated(N_FILMS - SIMULATED_QUERIES, part)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        say(f"making {file.name}")
        partial = file.with_name(f"partial-{file.name}")
        np.savez(partial, **_MAKERS[name](data_root))
        partial.replace(file)
    if name == "sim20k":
        return _simulated(20_000, part)
    with np.load(file, allow_pickle=False) as kept:
        codes, labels, patients, splits = (kept[key] for key in ("codes", "labels", "patients", "splits"))
        left_out = kept[f"left_out_{part}"]
    archive = np.isin(splits, ["train"] if part == "validation" or name.startswith("fashion") else ["train", "valid"])
    archive[left_out] = False
    asking = (splits == ("valid" if part == "validation" else "test")) & labels.any(axis=1)
    return Side(
        *(values[archive] for values in (codes, labels, patients)),
        *(values[asking] for values in (codes, labels, patients)),
        splits=splits[archive] if name in TRAINED_ON_THEM else None,
    )


def _simulated(n: int, part: str) -> Side:
    """The first n films, asked with half of the patients of the last 5,000 that have a finding; at most 1,000 queries."""
    archive = simulate_labels()
    codes = codes_of("d2")
    labels = archive["labels"].astype(bool)
    rows = np.arange(N_FILMS - SIMULATED_QUERIES, N_FILMS)
    rows = rows[labels[rows].any(axis=1)]
    side = np.array([int(patient) % 2 for patient in archive["patients"][rows]])
    rows = rows[side == (part == "test")][:N_QUERIES]
    patients = archive["patients"]
    return Side(codes[:n], labels[:n], patients[:n], codes[rows], labels[rows], patients[rows])


def simulate_labels() -> dict[str, np.ndarray]:
    """Labels and patients of the simulated films."""
    file = FOLDER / "sim20k.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **_simulated_films(Path()))
    with np.load(file, allow_pickle=False) as kept:
        return {"labels": kept["labels"], "patients": kept["patients"]}


def _simulated_films(_: Path) -> dict[str, np.ndarray]:
    films = simulate()
    return {"labels": films.labels, "patients": films.patients}


def _fashion_pixels(_: Path) -> dict[str, np.ndarray]:
    with gzip.open(FASHION.with_name("train-labels-idx1-ubyte.gz")) as file:
        train = np.frombuffer(file.read(), np.uint8, offset=8)
    with gzip.open(FASHION.with_name("t10k-labels-idx1-ubyte.gz")) as file:
        test = np.frombuffer(file.read(), np.uint8, offset=8)
    with gzip.open(FASHION.with_name("t10k-images-idx3-ubyte.gz")) as file:
        test_images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32)
    train_images = fashion_mnist()
    codes = np.concatenate([train_images[:20_000], train_images[50_000:51_000], test_images[:N_QUERIES]])
    kinds = np.concatenate([train[:20_000], train[50_000:51_000], test[:N_QUERIES]])
    splits = np.repeat(["train", "valid", "test"], [20_000, 1000, N_QUERIES])
    return _single_label(codes, kinds, splits)


def _fashion_network(data_root: Path) -> dict[str, np.ndarray]:
    """Two convolutions and a hidden layer of 128, three epochs on the archive's images."""
    import torch
    from torch import nn

    side = _MAKERS["fashion-pixels"](data_root)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = torch.from_numpy(side["codes"] / 255.0).reshape(-1, 1, 28, 28)
    kinds = torch.from_numpy(side["labels"].argmax(axis=1))
    trunk = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(),
    )  # fmt: skip
    head = nn.Linear(128, 10)
    optimiser = torch.optim.Adam([*trunk.parameters(), *head.parameters()], lr=1e-3)
    n_train = int((side["splits"] == "train").sum())
    for _ in range(3):
        for rows in torch.randperm(n_train).split(64):
            loss = nn.functional.cross_entropy(head(trunk(images[rows])), kinds[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        codes = torch.cat([trunk(block) for block in images.split(1000)]).numpy()
    return side | {"codes": codes}


def _single_label(codes: np.ndarray, kinds: np.ndarray, splits: np.ndarray) -> dict[str, np.ndarray]:
    nobody = np.empty(0, np.int64)
    patients = np.arange(len(codes)).astype(str)
    return {
        "codes": codes,
        "labels": kinds[:, None] == np.unique(kinds),
        "patients": patients,
        "splits": splits,
        "left_out_validation": nobody,
        "left_out_test": nobody,
    }


def _real_films(spec: str, *, trained: bool, data_root: Path) -> dict[str, np.ndarray]:
    import graphret
    from graphret.encoders import Encoder

    table = _films(spec, data_root)
    if not trained:
        return _encoded(table, Encoder.untrained("densenet121", table.label_names, size=64, seed=0), data_root)
    folder = WORK / ("kermany" if spec == "mednist" else spec) / "densenet121-64"
    return _encoded(table, graphret.load_encoder(folder), data_root)


def _own_network(size: int, *, trained: bool, data_root: Path) -> dict[str, np.ndarray]:
    """MedNIST by a ResNet-18, three epochs on its training images or none."""
    import graphret
    from graphret.encoders import Encoder

    table = _films("mednist", data_root)
    if not trained:
        return _encoded(table, Encoder.untrained("resnet18", table.label_names, size=size, seed=0), data_root)
    learnt = table.select(np.isin(table.splits, ["train", "valid"]))
    encoder = graphret.train(learnt, "resnet18", out=FOLDER / f"resnet18-mednist-{size}", size=size, epochs=3)
    return _encoded(table, encoder, data_root)


def _films(spec: str, data_root: Path) -> ImageTable:
    import graphret

    table = graphret.read_dataset("folder" if spec == "mednist" else spec, data_root / spec)
    if spec == "mednist":  # two fifths of the images
        table = table.select(np.random.default_rng(0).permutation(len(table))[:4800])
    return table


def _encoded(table: ImageTable, encoder: Encoder, data_root: Path) -> dict[str, np.ndarray]:
    from real_films import NearDuplicates

    duplicates = NearDuplicates.read(data_root / "near_duplicates.csv", table)
    codes = np.concatenate(
        [
            encoder.encode(
                np.stack([encoder.prepare(table.read(row)) for row in range(first, min(first + 64, len(table)))])
            )
            for first in range(0, len(table), 64)
        ]
    )
    splits = table.splits
    left_out = {
        f"left_out_{part}": np.array(duplicates.of_queries(np.isin(splits, archive), splits == queries), dtype=np.int64)
        for part, archive, queries in (("validation", ["train"], "valid"), ("test", ["train", "valid"], "test"))
    }
    return {
        "codes": codes.astype(np.float32),
        "labels": table.relevance(),
        "patients": table.patients.astype(str),
        "splits": splits.astype(str),
        **left_out,
    }


_MAKERS = {
    "sim20k": _simulated_films,
    "fashion-pixels": _fashion_pixels,
    "fashion-network": _fashion_network,
    **{
        f"{spec}{suffix}": lambda root, spec=spec, trained=not suffix: _real_films(
            spec, trained=trained, data_root=root
        )
        for spec in ("kermany", "nih", "mednist")
        for suffix in ("", "-untrained")
    },
    "mednist-own": lambda root: _own_network(64, trained=True, data_root=root),
    "mednist-own-32": lambda root: _own_network(32, trained=True, data_root=root),
    "mednist-untrained-32": lambda root: _own_network(32, trained=False, data_root=root),
}
