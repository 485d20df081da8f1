"""Films a second of a training on a CUDA device, beside the same network on synthetic data, and what bfloat16 changes.

    python benchmarks/gpu_training.py [--films 4096] [--size 128] [--encoder densenet121]
    python benchmarks/gpu_training.py --device cpu --films 48 --size 32 --batch 8 --encoder resnet18

Ours is `graphret.train` from PNG files, decoded once: the rate of its last epoch, mixed precision chosen. Synthetic is a
loop of torch on one batch that stays on the device: the same network, channels last, the same precision, fused Adam,
cross entropy. Precision: trainings of a small network with "no" and "bf16" from the same seeds; the difference of their
validation AUC beside the spread between seeds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment, environment_line
from PIL import Image
from record import limits_table, parser_of, say, write_results

import graphret
from graphret.data import ImageTable
from graphret.encoders import create

if TYPE_CHECKING:
    import argparse

SHARE = 0.80
"""Least share of the synthetic rate."""
LABELS = ("bright top", "bright side")


def films_of(folder: Path, n: int, side: int) -> ImageTable:
    """Noise that is a little brighter at the top, or at a side, where a label says so: PNG files and their table."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (n, 2)).astype(np.int8)
    paths = []
    for row in range(n):
        film = random.integers(0, 200, (side, side), dtype=np.uint8)
        film[: side // 3] += np.uint8(25 * labels[row, 0])
        film[:, : side // 3] += np.uint8(25 * labels[row, 1])
        paths.append(str(folder / f"{row:06d}.png"))
        Image.fromarray(film).save(paths[-1], compress_level=1)
    splits = np.where(np.arange(n) < 0.8 * n, "train", "valid")
    columns: dict[str, Any] = {"ids": [Path(path).stem for path in paths], "paths": paths}
    return ImageTable(**columns, labels=labels, label_names=LABELS, splits=splits)


def synthetic_rate(name: str, size: int, batch: int, device: str, precision: str, seconds: float) -> float:
    """Films a second of training steps on one batch."""
    import torch

    torch.manual_seed(0)
    network: Any = create(name, n_labels=len(LABELS)).to(device).to(memory_format=torch.channels_last).train()
    images = torch.rand((batch, 1, size, size), device=device).contiguous(memory_format=torch.channels_last)
    truth = torch.randint(0, 2, (batch, len(LABELS)), device=device).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=device == "cuda" or None)
    loss_of = torch.nn.BCEWithLogitsLoss()
    kind = torch.device(device).type
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True

    def step() -> None:
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(network(images).float(), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def wait() -> None:
        if kind == "cuda":
            torch.cuda.synchronize()

    try:
        for _ in range(3):
            step()
        wait()
        n_steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(5):
                step()
            wait()
            n_steps += 5
        return batch * n_steps / (time.perf_counter() - start)
    finally:
        torch.backends.cudnn.benchmark = before


def our_rate(table: ImageTable, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Films a second of the last epoch of a training, and the precision that was chosen."""
    import json

    encoder = graphret.train(
        table, options.encoder, out=out, size=options.size, batch_size=options.batch, epochs=options.epochs,
        device=options.device, weights=None,
    )  # fmt: skip
    epochs = json.loads((out / "history.json").read_text())["epochs"]
    rates = [epoch["films_per_second"] for epoch in epochs]
    return {"films_per_second": rates, "precision": encoder.record["training"]["mixed_precision"]}


def precision_scores(table: ImageTable, options: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Best validation AUC by precision, one for each seed."""
    scores: dict[str, list[float]] = {"no": [], "bf16": []}
    for seed in range(options.seeds):
        for precision, of_seeds in scores.items():
            out = folder / f"{precision}-{seed}"
            encoder = graphret.train(
                table, "resnet18", out=out, size=min(options.size, 64), batch_size=options.batch, epochs=options.epochs,
                device=options.device, mixed_precision=precision, seed=seed,
            )  # fmt: skip
            of_seeds.append(float(encoder.record["validation"]["score"]))
            say(f"seed {seed}, {precision}: AUC {of_seeds[-1]:.4f}")
    return scores


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    ours, scores = record["ours"], record["scores"]
    rate, synthetic = ours["films_per_second"][-1], record["synthetic"]
    share = rate / synthetic
    differences = [half - full for full, half in zip(scores["no"], scores["bf16"], strict=True)]
    spread = statistics.stdev(scores["no"]) if len(scores["no"]) > 1 else float("nan")
    limits = [("share of the synthetic rate", share, ">=", SHARE)] if record["device"] == "cuda" else []
    lines = [
        f"# Training on one {record['card']}: {record['encoder']}, {record['size']} px, batch {record['batch']}",
        "",
        f"Precision {ours['precision']}. Synthetic data: {synthetic:.0f} films/s. `graphret.train`, last of "
        f"{len(ours['films_per_second'])} epochs: {rate:.0f} films/s, {100 * share:.0f} % of it.",
        "",
        f"AUC of {len(differences)} trainings of ResNet-18: bf16 less float32 "
        f"{statistics.mean(differences):+.4f} (from {min(differences):+.4f} to {max(differences):+.4f}); standard "
        f"deviation between seeds in float32 {spread:.4f}.",
        "",
        *(limits_table(limits) if limits else ["On a processor no limit is asked for."]),
        "",
        environment_line(record["environment"]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    import torch

    parser = parser_of(__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--films", type=int, default=4096)
    parser.add_argument("--size", type=int, default=128, help="side of the network's input in px")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="densenet121")
    parser.add_argument("--seconds", type=float, default=5.0, help="of the synthetic steps")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = films_of(folder, options.films, options.size)
        ours = our_rate(table, options, folder / "ours")
        how = (options.encoder, options.size, options.batch, options.device, ours["precision"], options.seconds)
        record = {
            "device": options.device,
            "card": torch.cuda.get_device_name() if options.device == "cuda" else "processor",
            "encoder": options.encoder,
            "size": options.size,
            "batch": options.batch,
            "ours": ours,
            "synthetic": synthetic_rate(*how),
            "scores": precision_scores(table, options, folder),
            "environment": environment(),
        }
    text = markdown(record)
    write_results(options.results, f"gpu_training_{options.device}", record, text)
    print(text)


if __name__ == "__main__":
    main()
