"""An encoder without torch: block means, one seeded projection, ReLU. Also used by the processes that tests kill."""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from graphret._errors import InvalidParameterError


class Begun:
    def __init__(self, codes):
        self.codes = codes

    def result(self):
        return self.codes


class FakeEncoder:
    name = "fake"
    label_names = ("Edema", "Mass")

    def __init__(self, seed=0, size=8, code_length=12):
        self.seed = seed
        self.size = size
        self.code_length = code_length
        self.n_encoded = 0
        self.batches = []
        rng = np.random.default_rng(seed)
        self._matrix = rng.normal(size=(size * size, code_length)).astype(np.float32)

    @property
    def fingerprint(self):
        return hashlib.sha256(f"{self.seed} {self.size} {self.code_length}".encode()).hexdigest()

    def prepare(self, film):
        film = np.asarray(film)
        if film.dtype.kind == "u":
            film = film.astype(np.float32) / np.float32(np.iinfo(film.dtype).max)
        if film.ndim != 2 or not (film.min() >= 0 and film.max() <= 1):
            raise InvalidParameterError("film", film.shape, "float32 (h, w) in [0, 1]")
        rows = np.array_split(film, self.size, axis=0)
        return np.array(
            [[block.mean() for block in np.array_split(row, self.size, axis=1)] for row in rows], dtype=np.float32
        )

    def encode(self, images, *, precision="float32", batch_size=64):
        assert images.shape[1:] == (self.size, self.size)
        assert images.dtype == np.float32
        self.n_encoded += len(images)
        self.batches.append((len(images), precision))
        return np.maximum(images.reshape(len(images), -1) @ self._matrix, 0)

    @contextmanager
    def encoding(self, **how):
        yield lambda images: Begun(self.encode(images, **how))

    def save(self, folder):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "encoder.json").write_text(json.dumps({"seed": self.seed}))
        (folder / "encoder.safetensors").write_bytes(self._matrix.tobytes())
