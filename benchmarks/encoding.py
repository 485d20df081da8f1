"""Films a second through DenseNet-121: ours beside torch, OpenVINO and ONNX Runtime, and with decoding.

    python benchmarks/encoding.py [--size 224] [--batch 16] [--runs 5] [--encoder FOLDER]

Three parts, each with runs that alternate between what is compared. Network: images in memory to codes. Ranking: the
ten nearest films of real films by the codes of each method, beside those by eager torch. Decoding: `encode_films` from
PNG files beside the network alone on the same films, prepared. Without --encoder the weights are random, which changes
no time; the ranking part then only says something about rounding.
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
from record import append, limits_table, parser_of, say, spread, write_results

if TYPE_CHECKING:
    import argparse

    from graphret.data import ImageTable
    from graphret.encoders import Encoder

NEAREST = 10
N_PATTERNS = 8
"""Generated films that are drawn (a second each); the others differ from them by their grain."""


def cosines(codes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Cosine of every code to its reference, in float64."""
    codes, reference = codes.astype(np.float64), reference.astype(np.float64)
    return (codes * reference).sum(1) / np.linalg.norm(codes, axis=1) / np.linalg.norm(reference, axis=1)


def nearest(codes: np.ndarray) -> np.ndarray:
    """The ten nearest others of every film."""
    from graphret.neighbors import nearest_neighbors

    return nearest_neighbors(codes, min(NEAREST, len(codes) - 1), method="exact").neighbors


def overlap(found: np.ndarray, expected: np.ndarray) -> float:
    """Mean share of the expected neighbours that were found, whatever their order."""
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, expected, strict=True)]))


def measure_network(methods: dict[str, Any], images: np.ndarray, runs: int) -> dict[str, Any]:
    """Seconds of every method on the same images, in turns."""
    names = list(methods)
    codes = {name: methods[name](images) for name in names}  # also the warm-up
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for run in range(runs):
        turn = run % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.perf_counter()
            methods[name](images)
            seconds[name].append(time.perf_counter() - start)
        say(
            f"network, run {run + 1}: " + ", ".join(f"{name} {len(images) / seconds[name][-1]:.1f}/s" for name in names)
        )
    reference = codes[names[0]]
    rows = {}
    for name in names:
        found = cosines(codes[name], reference)
        rows[name] = {
            "seconds": seconds[name],
            "films_per_second": [len(images) / value for value in seconds[name]],
            "times_eager": [eager / own for eager, own in zip(seconds[names[0]], seconds[name], strict=True)],
            "cosine_min": float(found.min()),
            "cosine_mean": float(found.mean()),
        }
    return rows


def measure_ranking(methods: dict[str, Any], films: np.ndarray) -> dict[str, float]:
    """Overlap of the ten nearest films with those of the first method."""
    neighbors = {name: nearest(encode(films)) for name, encode in methods.items()}
    first = next(iter(neighbors.values()))
    return {name: overlap(found, first) for name, found in neighbors.items()}


def measure_decoding(table: ImageTable, encoder: Encoder, runs: int, batch: int, threads: int) -> dict[str, Any]:
    """The whole way from files beside the network alone, on the same films."""
    from graphret.encoding import encode_films

    encoder.prepare(table.read_pixels(0))  # compiled, or loaded from numba's cache
    start = time.perf_counter()
    images = np.stack([encoder.prepare(table.read_pixels(row)) for row in range(len(table))])
    decoding = (time.perf_counter() - start) / len(table)
    start = time.perf_counter()
    for path in table.paths.tolist():
        with Image.open(path) as picture:
            picture.load()
    loading = (time.perf_counter() - start) / len(table)
    network, whole = [], []
    for run in range(runs):
        for kind in ("network", "whole") if run % 2 else ("whole", "network"):
            start = time.perf_counter()
            if kind == "network":
                encoder.encode(images, batch_size=batch)
                network.append(time.perf_counter() - start)
            else:
                with tempfile.TemporaryDirectory() as folder:
                    encode_films(table, encoder, folder, batch_size=batch)
                    whole.append(time.perf_counter() - start)
        say(f"decoding, run {run + 1}: network {network[-1]:.2f} s, with decoding {whole[-1]:.2f} s")
    return {
        "films": len(table),
        "megabytes": sum(Path(path).stat().st_size for path in table.paths.tolist()) / 1e6,
        "pillow_ms": 1e3 * loading,
        "decode_and_prepare_ms": 1e3 * decoding,
        "network_s": network,
        "whole_s": whole,
        "share": [alone / both for alone, both in zip(network, whole, strict=True)],
        # Decoding takes processor time from the network whatever the order; this is what is left if nobody ever waits.
        "share_without_waits": [alone / (alone + len(table) * decoding / threads) for alone in network],
    }


def film_tables(options: argparse.Namespace, folder: Path) -> dict[str, ImageTable]:
    """Generated films of 1024 px, and NIH's as they are where they are."""
    from graphret.data import ImageTable, read_dataset
    from graphret.data.images import write_png
    from graphret.data.phantom import phantom_films

    say("generated films of 1024 px")
    patterns, _ = phantom_films(min(options.films, N_PATTERNS), size=options.film_size, seed=0)
    rng = np.random.default_rng(0)
    paths = []
    for row in range(options.films):
        paths.append(str(folder / f"{row}.png"))
        # The grain of a detector: PNG would pack films without it too well, and without it they would repeat.
        grain = rng.normal(0, 0.01, patterns[0].shape).astype(np.float32)
        write_png(paths[-1], np.clip(patterns[row % len(patterns)] + grain, 0, 1))
    ids = [f"generated-{row}" for row in range(options.films)]
    generated = ImageTable(ids=ids, paths=paths, labels=[], label_names=())
    tables = {f"generated, {options.film_size} px": generated}
    root = options.data_root / "nih"
    if root.exists():
        nih = read_dataset("nih", root=root)
        tables["NIH, shorter side 256 px"] = nih.select(list(range(min(len(nih), options.films))))
    return tables


def limits_of(record: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    """Floors of the issue."""
    from peers_encoding import OURS

    ours = record["network"][OURS]
    rows = [
        ("torch eager / graphret, float32", statistics.median(ours["times_eager"]), ">=", 1.6),
        ("torch eager / graphret, the default precision", statistics.median(ours["times_eager"]), ">=", 2),
        ("smallest cosine to eager", ours["cosine_min"], ">=", 0.9999),
    ]
    if record["ranking"]:
        rows.append(("overlap of the ten nearest with eager's", record["ranking"]["overlap"][OURS], ">=", 0.999))
    for name, found in record["decoding"].items():
        rows.append(
            (f"share of the network's rate with decoding, {name}", statistics.median(found["share"]), ">=", 0.85)
        )
    return rows


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"# Encoding: DenseNet-121 features at {record['size']} px, {record['threads']} threads, batches of {record['batch']}",
        "",
        f"Weights: {record['weights']}. {record['images']} images in memory a run, {record['runs']} runs in turns: "
        "median (smallest to largest). Times eager: run by run.",
        "",
        *limits_table(limits_of(record)),
        "",
        "| method | films/s | times eager | smallest cosine to eager | 1 - mean cosine | seconds to make |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in record["network"].items():
        lines.append(
            f"| {name} | {spread(row['films_per_second'], 1)} | {spread(row['times_eager'], 2)} | "
            f"{row['cosine_min']:.8f} | {max(0.0, 1 - row['cosine_mean']):.1e} | {record['making_s'][name]:.1f} |"
        )
    lines += [f"| {name} | left out: {why} | | | | |" for name, why in record["left_out"].items()]
    if record["ranking"]:
        lines += [
            "",
            f"Ten nearest of {record['ranking']['films']} NIH films, share that is the same as by eager's codes:",
            "",
        ]
        lines += ["| method | overlap |", "|---|---|"]
        lines += [f"| {name} | {value:.5f} |" for name, value in record["ranking"]["overlap"].items()]
    lines += [
        "",
        "Decoding takes one thread's time a film, of which Pillow's own decoder a part. The last column is the share that is left "
        "if no thread ever waits.",
        "",
        "| PNG films | films | MB a film | decode and prepare, ms | Pillow, ms | network alone, films/s | from files, films/s | share | without waits |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in record["decoding"].items():
        alone, whole = ([row["films"] / value for value in row[key]] for key in ("network_s", "whole_s"))
        lines.append(
            f"| {name} | {row['films']} | {row['megabytes'] / row['films']:.2f} | {row['decode_and_prepare_ms']:.1f} | "
            f"{row['pillow_ms']:.1f} | {spread(alone, 1)} | {spread(whole, 1)} | "
            f"{100 * statistics.median(row['share']):.1f} % | {100 * statistics.median(row['share_without_waits']):.1f} % |"
        )
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--images", type=int, default=32, help="images of a run of the network part")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--films", type=int, default=192, help="PNG films of a run of the decoding part")
    parser.add_argument("--film-size", type=int, default=1024)
    parser.add_argument("--ranked", type=int, default=200, help="NIH films of the ranking part")
    parser.add_argument("--encoder", type=Path, help="folder of a trained DenseNet-121")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"))
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    found = environment()
    import torch
    from peers_encoding import EAGER, OURS, OURS_BFLOAT16, methods_of

    from graphret.encoders import Encoder, load_encoder

    torch.set_num_threads(options.threads)
    if options.encoder is None:
        encoder = Encoder.untrained("densenet121", ["Mass"], options.size, seed=0, device="cpu")
    else:
        encoder = load_encoder(options.encoder, size=options.size, device="cpu")
    images = np.random.default_rng(0).random((options.images, options.size, options.size), dtype=np.float32)
    methods, making, left_out = methods_of(encoder, options.batch, options.threads)
    record: dict[str, Any] = {
        "environment": found, "size": options.size, "batch": options.batch, "threads": options.threads,
        "runs": options.runs, "images": options.images, "weights": "trained" if encoder.trained else "random (seed 0)",
        "making_s": making, "left_out": left_out, "ranking": None,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        tables = film_tables(options, Path(folder))
        nih = next((table for name, table in tables.items() if name.startswith("NIH")), None)
        record["network"] = measure_network(methods, images, options.runs)
        if nih is not None:
            from graphret import read_dataset

            ranked = read_dataset("nih", root=options.data_root / "nih")
            ranked = ranked.select(list(range(min(len(ranked), options.ranked))))
            films = np.stack([encoder.prepare(ranked.read_pixels(row)) for row in range(len(ranked))])
            chosen = {name: methods[name] for name in (EAGER, OURS, OURS_BFLOAT16)}
            record["ranking"] = {"films": len(ranked), "overlap": measure_ranking(chosen, films)}
        record["decoding"] = {
            name: measure_decoding(table, encoder, options.runs, 32, options.threads) for name, table in tables.items()
        }
    append(options.results / "encoding.jsonl", record)
    write_results(options.results, "encoding", record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
