"""Films a second through an encoder on a CUDA device, beside the plain network, and what bfloat16 changes.

    python benchmarks/gpu_codes.py [--films 8192] [--size 224] [--encoder densenet121]
    python benchmarks/gpu_codes.py --device cpu --films 24 --size 32 --encoder resnet18     where there is no device

From memory: images in the memory of the host to codes there, in float32 and in bfloat16, at the batch that the encoder
chooses and at 32; beside them the network alone in torch, channels last, on one batch that is on the device already.
From files: `encode_films` on JPEG films of 1,024 px, decoded by threads and by processes (their start counts), beside the
decoding alone. Rankings: how many of the ten nearest
films by bfloat16 codes are others than by float32 codes, and how many change by rounding alone (float32 codes of
another size of the batch); bfloat16 may be the default of an encoder where the two are alike. Methods take turns.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment, environment_line
from PIL import Image
from record import limits_table, parser_of, say, spread, write_results

from graphret.data import ImageTable
from graphret.data.isolated import Decoding
from graphret.encoders import Encoder, create, load_encoder
from graphret.encoding import encode_films
from graphret.neighbors import nearest_neighbors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from graphret.encoders.encoder import Precision

NEAREST, N_PATTERNS, RUNS = 10, 8, 3
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
FROM_MEMORY, FROM_FILES = 0.85, 0.60
"""Least shares of the plain network's rate in the same precision; from files also where decoding is the limit."""


def images_of(n: int, size: int) -> np.ndarray:
    """Smooth patterns with grain, float32 (n, size, size): films that differ a little, of a few kinds."""
    random = np.random.default_rng(0)
    coarse = random.random((N_PATTERNS, 8, 8))
    patterns = np.repeat(np.repeat(coarse, -(-size // 8), axis=1), -(-size // 8), axis=2)[:, :size, :size]
    images = np.empty((n, size, size), np.float32)
    for row in range(n):
        grain = random.random((size, size), dtype=np.float32)
        images[row] = 0.7 * patterns[row % N_PATTERNS] + 0.3 * grain * random.random()
    return images


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def plain_rate(
    encoder: Encoder, precision: str, batch: int, size: int, compiled: Callable[[Any], Any] = lambda method: method
) -> float:
    """Films a second of the network in torch, channels last, TF32 off, on one batch that stays on the device.

    ``compiled`` makes another form of the network's method; what it needs before the first batches is not counted.
    """
    import torch

    device = torch.device(encoder.device)
    network: Any = create(encoder.name, n_labels=1)
    network = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    images = torch.rand((batch, 1, size, size), device=device).contiguous(memory_format=torch.channels_last)
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False)
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
    features = compiled(network.features)

    def run(repeats: int) -> None:
        for _ in range(repeats):
            features(images)
        if device.type == "cuda":
            torch.cuda.synchronize()

    with torch.inference_mode(), flags, autocast:
        run(3)
        repeats = max(1, int(1.0 / (seconds_of(lambda: run(1)))))
        return batch * repeats / seconds_of(lambda: run(repeats))


def measure_memory(encoder: Encoder, images: np.ndarray) -> dict[Precision, Any]:
    """Films a second of `Encoder.encode` at both batches and precisions, and of the network alone."""
    rows: dict[Precision, Any] = {}
    for precision in PRECISIONS:
        chosen = encoder.films_at_once(precision)
        rows[precision] = {"batch": chosen, "plain": [], "ours": [], "batch_32": []}
        encoder.encode(images[: 8 * chosen], precision=precision, batch_size=chosen)  # a graph is captured meanwhile
    for run in range(RUNS):
        for precision, row in rows.items():
            row["plain"].append(plain_rate(encoder, precision, row["batch"], encoder.size))
            for name, batch in (("ours", row["batch"]), ("batch_32", 32)):
                work = partial(encoder.encode, images, precision=precision, batch_size=batch)
                row[name].append(len(images) / seconds_of(work))
            say(f"run {run + 1}, {precision}: plain {row['plain'][-1]:.0f}/s, ours {row['ours'][-1]:.0f}/s")
    return rows


def changed_neighbors(codes: np.ndarray, reference: np.ndarray) -> float:
    """Share of the ten nearest of every film that are others than by the reference."""
    k = min(NEAREST, len(codes) - 1)
    found, expected = (nearest_neighbors(values, k, method="exact").neighbors for values in (codes, reference))
    same = [len(np.intersect1d(a, b)) / k for a, b in zip(found, expected, strict=True)]
    return 1.0 - float(np.mean(same))


def measure_rankings(encoder: Encoder, images: np.ndarray) -> dict[str, float]:
    """What bfloat16, and what rounding alone changes among the ten nearest."""
    chosen = encoder.films_at_once()
    reference = encoder.encode(images, batch_size=chosen)
    other_batch = encoder.encode(images, batch_size=max(1, chosen // 2))
    return {
        "changed_by_rounding": changed_neighbors(other_batch, reference),
        "changed_by_bfloat16": changed_neighbors(encoder.encode(images, precision="bfloat16"), reference),
        "films": len(images),
    }


def measure_files(encoder: Encoder, folder: Path, n: int, side: int) -> dict[str, Any]:
    """Films a second from JPEG files, of the decoding alone, and of both together."""
    patterns = images_of(N_PATTERNS, side)

    def write(row: int) -> None:
        grey = (255 * patterns[row % N_PATTERNS]).astype(np.uint8)
        grey[:8, :8] = row % 251  # neighbours in the list are never alike
        Image.fromarray(grey).save(folder / f"{row:06d}.jpg", quality=92)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(n)))
    paths = sorted(map(str, folder.glob("*.jpg")))
    columns: dict[str, Any] = {"ids": [Path(path).stem for path in paths], "paths": paths, "labels": []}
    table = ImageTable(**columns, label_names=())

    class OnlyDecoding:
        """An encoder that does nothing with its films."""

        code_length, name, size, only_resizes = 1, "none", encoder.size, True

        def prepare(self, film: np.ndarray) -> np.ndarray:
            return encoder.prepare(film)

        def encode(self, images: np.ndarray, **_: Any) -> np.ndarray:
            return np.ones((len(images), 1), np.float32)

        def encoding(self, **_: Any) -> Any:
            def begin(images: np.ndarray) -> Future[np.ndarray]:
                done: Future[np.ndarray] = Future()
                done.set_result(self.encode(images))
                return done

            return nullcontext(begin)

    nothing: Any = OnlyDecoding()
    encode_films(table, encoder)  # what is compiled and captured once
    rates: dict[str, Any] = {decoders: {"decoding": [], "both": []} for decoders in ("threads", "processes")}
    for run in range(RUNS):
        for decoders, row in rates.items():
            how = Decoding(decoders=decoders)
            for name, codes_of in (("decoding", nothing), ("both", encoder)):
                row[name].append(n / seconds_of(partial(encode_films, table, codes_of, decoding=how)))
            say(f"run {run + 1}, {decoders}: decoding {row['decoding'][-1]:.0f}/s, with codes {row['both'][-1]:.0f}/s")
    return {"films": n, "side": side} | rates


def limits_of(record: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    """What must hold on a GPU."""
    if record["device"] == "cpu":
        return []
    memory, files = record["memory"], record["files"]["processes"]
    shares = {name: statistics.median(row["ours"]) / statistics.median(row["plain"]) for name, row in memory.items()}
    limits = [(f"from memory, {name}: share of the plain network", shares[name], ">=", FROM_MEMORY) for name in shares]
    possible = min(
        FROM_FILES * statistics.median(memory["float32"]["plain"]), 0.9 * statistics.median(files["decoding"])
    )
    return [*limits, ("from files, films/s", statistics.median(files["both"]), ">=", possible)]


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    files, rankings, limits = record["files"], record["rankings"], limits_of(record)
    lines = [
        f"# Codes on one {record['card']}: {record['encoder']}, {record['size']} px",
        "",
        "| from memory | batch | plain network, films/s | ours | ours, batch 32 |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {row['batch']} | {spread(row['plain'], 0)} | {spread(row['ours'], 0)} | "
            f"{spread(row['batch_32'], 0)} |"
            for name, row in record["memory"].items()
        ),
        "",
        f"| from {files['films']} JPEG files of {files['side']} px | films/s | decoding alone |",
        "|---|---|---|",
        *(
            f"| {name} | {spread(files[name]['both'], 0)} | {spread(files[name]['decoding'], 0)} |"
            for name in ("threads", "processes")
        ),
        "",
        f"Of the ten nearest of {rankings['films']} films, bfloat16 changes {100 * rankings['changed_by_bfloat16']:.2f} %, "
        f"another size of the batch {100 * rankings['changed_by_rounding']:.2f} %.",
        "",
        *(limits_table(limits) if limits else ["On a processor no limit is asked for."]),
        "",
        environment_line(record["environment"]),
    ]
    return "\n".join(lines) + "\n"


def encoder_of(options: argparse.Namespace) -> Encoder:
    """A saved encoder, or one by name with random weights; those change no time."""
    if Path(options.encoder).is_dir():
        return load_encoder(options.encoder, device=options.device)
    if importlib.util.find_spec("torchvision") is None:
        raise SystemExit("the networks come from torchvision, which is not installed here")
    return Encoder.untrained(options.encoder, ["Mass"], options.size, seed=0, device=options.device)


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    import torch

    parser = parser_of(__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--films", type=int, default=8192, help="images in memory")
    parser.add_argument("--files", type=int, default=4096, help="JPEG files")
    parser.add_argument("--side", type=int, default=1024, help="side of the JPEG films in px")
    parser.add_argument("--size", type=int, default=224, help="side of the network's input in px")
    parser.add_argument("--encoder", default="densenet121", help="a name, or the folder of a trained encoder")
    options = parser.parse_args(arguments)
    encoder = encoder_of(options)
    images = images_of(options.films, encoder.size)
    with tempfile.TemporaryDirectory() as folder:
        record = {
            "device": options.device,
            "card": torch.cuda.get_device_name() if options.device == "cuda" else "processor",
            "encoder": encoder.name,
            "size": encoder.size,
            "memory": measure_memory(encoder, images),
            "rankings": measure_rankings(encoder, images),
            "files": measure_files(encoder, Path(folder), options.files, options.side),
            "environment": environment(),
        }
    text = markdown(record)
    write_results(options.results, f"gpu_codes_{options.device}", record, text)
    print(text)


if __name__ == "__main__":
    main()
