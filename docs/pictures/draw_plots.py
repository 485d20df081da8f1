"""Draw docs/pictures/precision_at_k.png: what `graphret plot precision-at-k` draws, of generated codes.

Run as ``python docs/pictures/draw_plots.py``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import graphret
from graphret.plotting import plot

PICTURE = Path(__file__).with_name("precision_at_k.png")
N_FILMS, N_FINDINGS, SEED = 900, 6, 5


def draw(path: Path) -> None:
    """Codes in loose groups, one a finding; every fifth film is a query."""
    kinds = np.arange(N_FILMS) % N_FINDINGS
    noise = np.random.default_rng(SEED).normal(size=(N_FILMS, 24))
    codes = (noise + 2.2 * np.eye(24)[kinds]).astype(np.float32)
    labels = {f"finding {number}": kinds == number for number in range(N_FINDINGS)}
    splits = np.where(np.arange(N_FILMS) % 5, "train", "test")
    with tempfile.TemporaryDirectory() as folder:
        index = graphret.build(codes, labels=labels, splits=splits, out=f"{folder}/index", k=20, tune=False)
        plot("precision-at-k", index, rankings="nearest,region_growing,alpha_qe").save(path)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
