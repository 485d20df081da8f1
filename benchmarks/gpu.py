"""kNN graphs on a CUDA device: graphret beside torch brute force, and beside what the device's products alone cost.

    python benchmarks/gpu.py [--sizes 112120x1024 1000000x256] [--k 50] [--runs 5]
    python benchmarks/gpu.py --device cpu --n 5000        the same script where there is no device, to see that it works

Timed is the way from codes in the memory of the host to ids and cosines there, copies to and from the device included.
Brute force is unit rows, tiles of products and top-k on the device, with and without TF32. The floor is 2 n^2 d over the
rate of products of the same depth, measured in the same run: no method that forms every product is faster; ours may be
where it proves that it need not form them, or by symmetry. The methods take turns in one process.
"""

from __future__ import annotations

import gc
import importlib.util
import re
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmark_codes import generated
from environment import environment, environment_line
from knn_truth import Truth
from record import parser_of, say, spread, write_results
from simulated_codes import N_FILMS, simulate

from graphret.neighbors import nearest_neighbors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import torch

SIZES = ("112120x1024", "1000000x256")
QUERIES, TILE = 4_096, 131_072
"""Rows and columns of a tile of products: 2 GiB in float32."""
RATE_SECONDS = 1.0


def codes_of(n: int, n_dimensions: int) -> tuple[np.ndarray, str]:
    """Simulated NIH codes where they have this length and the labels are here, else generated ones; and which."""
    if n_dimensions == 1024 and n <= N_FILMS and importlib.util.find_spec("torchxrayvision") is not None:
        return simulate(n).codes, "codes simulated from the real NIH labels"
    return generated(n, n_dimensions), "generated codes, 200 groups"


def brute_force(
    codes: np.ndarray, k: int, device: str, *, queries_at_once: int = QUERIES, tile: int = TILE
) -> tuple[np.ndarray, np.ndarray]:
    """Ids int64 (n, k) and cosines float32 (n, k) of the k nearest of every row, itself left out."""
    import torch

    unit = torch.nn.functional.normalize(torch.from_numpy(codes).to(device), dim=1)
    n = len(unit)
    ids, cosines = np.empty((n, k), dtype=np.int64), np.empty((n, k), dtype=np.float32)
    for start in range(0, n, queries_at_once):
        queries = unit[start : start + queries_at_once]
        values: list[torch.Tensor] = []
        places: list[torch.Tensor] = []
        for first in range(0, n, tile):
            products = queries @ unit[first : first + tile].T
            begin, end = max(start, first), min(start + len(queries), first + products.shape[1])
            if begin < end:  # rows that are in this tile themselves
                selves = torch.arange(begin, end, device=device)
                products[selves - start, selves - first] = -torch.inf
            top = products.topk(min(k, products.shape[1]), dim=1)
            values.append(top.values)
            places.append(top.indices + first)
        best = torch.cat(values, dim=1).topk(k, dim=1)
        rows = slice(start, start + len(queries))
        cosines[rows] = best.values.cpu().numpy()
        ids[rows] = torch.cat(places, dim=1).gather(1, best.indices).cpu().numpy()
    return ids, cosines


def product_rate(n_dimensions: int, device: str) -> float:
    """Floating-point operations a second of the products that brute force forms, without anything around them."""
    import torch

    width = TILE if device == "cuda" else 8_192
    queries = torch.randn(QUERIES, n_dimensions, device=device)
    database = torch.randn(width, n_dimensions, device=device)
    out = torch.empty(QUERIES, width, device=device)
    torch.mm(queries, database.T, out=out)
    wait(device)
    repeats, start = 0, time.perf_counter()
    while time.perf_counter() - start < RATE_SECONDS:
        for _ in range(4):
            torch.mm(queries, database.T, out=out)
        wait(device)
        repeats += 4
    return repeats * 2.0 * QUERIES * width * n_dimensions / (time.perf_counter() - start)


def set_tf32(*, allowed: bool) -> None:
    """Let float32 products be formed from inputs cut to 10 bits, or not."""
    import torch

    torch.set_float32_matmul_precision("high" if allowed else "highest")  # sets torch's older and newer switch alike


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def faiss_has_device() -> bool:
    """Whether this Faiss is a GPU build that sees a device."""
    import faiss

    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def methods_of(codes: np.ndarray, k: int, device: str) -> dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]]:
    """Every method, ready to run."""

    def ours(backend: str, method: str) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
        def run() -> tuple[np.ndarray, np.ndarray]:
            table = nearest_neighbors(codes, k, backend=backend, method=method)
            return table.neighbors, table.similarities

        return run

    def brute(*, tf32: bool) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
        def run() -> tuple[np.ndarray, np.ndarray]:
            set_tf32(allowed=tf32)
            try:
                return brute_force(codes, k, device)
            finally:
                set_tf32(allowed=False)

        return run

    backends = ["torch"] if device == "cuda" else ["faiss"]
    if device == "cuda" and faiss_has_device():
        backends.append("faiss")
    methods = {"torch brute force": brute(tf32=False)}
    if device == "cuda":
        methods["torch brute force, TF32"] = brute(tf32=True)
    for backend in backends:
        for method in ("exact", "auto"):
            methods[f"graphret {method}, {backend}"] = ours(backend, method)
    return methods


def timed(
    method: Callable[[], tuple[np.ndarray, np.ndarray]], truth: Truth, codes: np.ndarray, device: str
) -> dict[str, Any]:
    """One run: seconds, the largest memory that torch held on the device, recall."""
    import torch

    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    wait(device)
    start = time.perf_counter()
    ids, cosines = method()
    wait(device)
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    return {"seconds": seconds, "device_peak_gb": peak, **truth.judge(codes, ids, cosines)}


def measure(size: str, options: argparse.Namespace) -> dict[str, Any]:
    """All runs at one size."""
    n, n_dimensions = map(int, size.split("x"))
    n = min(n, options.n or n)
    codes, origin = codes_of(n, n_dimensions)
    say(f"{n:,} x {n_dimensions}, {origin}: brute force on a sample of rows")
    truth = Truth.of(codes, options.k)
    rates = {}
    for tf32 in (False, True) if options.device == "cuda" else (False,):
        set_tf32(allowed=tf32)
        rates["TF32" if tf32 else "float32"] = product_rate(n_dimensions, options.device)
    set_tf32(allowed=False)
    for method in methods_of(codes[:3_000], min(options.k, 100), options.device).values():
        method()  # compiles, and starts the libraries
    methods = methods_of(codes, options.k, options.device)
    rows = []
    for run in range(options.runs):
        turn = run % len(methods)
        for name in [*methods][turn:] + [*methods][:turn]:
            rows.append({"run": run, "method": name, **timed(methods[name], truth, codes, options.device)})
            say(f"{name}: {rows[-1]['seconds']:.2f} s, recall {rows[-1]['recall']:.5f}")
    floors = {name: 2.0 * n * n * n_dimensions / rate for name, rate in rates.items()}
    return {
        "n": n,
        "d": n_dimensions,
        "codes": origin,
        "k": options.k,
        "rates": rates,
        "floors_s": floors,
        "rows": rows,
    }


def section(measured: dict[str, Any]) -> list[str]:
    """The Markdown of one size."""
    by_method: dict[str, list[dict[str, Any]]] = {}
    for row in measured["rows"]:
        by_method.setdefault(row["method"], []).append(row)
    brute = {row["run"]: row["seconds"] for row in by_method["torch brute force"]}
    rates = ", ".join(
        f"{name} {rate / 1e12:.1f} TFLOP/s, so all products take {measured['floors_s'][name]:.2f} s"
        for name, rate in measured["rates"].items()
    )
    lines = [
        f"## {measured['n']:,} x {measured['d']}, k = {measured['k']}, {measured['codes']}",
        "",
        f"Products alone: {rates}.",
        "",
        "| method | seconds | brute force / this, median of the runs | seconds / floor in float32 | recall | device memory held by torch, GB |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in by_method.items():
        seconds = [row["seconds"] for row in rows]
        ratio = statistics.median(brute[row["run"]] / row["seconds"] for row in rows)
        peaks = [row["device_peak_gb"] for row in rows]
        # Faiss allocates on the device without torch, which therefore does not see it
        memory = "-" if None in peaks or name.endswith("faiss") else f"{max(peaks):.2f}"
        lines.append(
            f"| {name} | {spread(seconds, 2)} | {ratio:.2f} "
            f"| {statistics.median(seconds) / measured['floors_s']['float32']:.2f} "
            f"| {min(row['recall'] for row in rows):.5f} | {memory} |"
        )
    return [*lines, ""]


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"# kNN graphs on {record['device']}",
        "",
        "Median (smallest to largest); recall on 1,000 rows, the lowest.",
        "",
    ]
    for measured in record["sets"]:
        lines += section(measured)
    return "\n".join([*lines, environment_line(record["environment"]), ""])


def size_of(text: str) -> str:
    """Check a size on the command line."""
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", text):
        raise ValueError(text)
    return text


def main(arguments: list[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--sizes", type=size_of, nargs="+", default=[*SIZES], metavar="NxD")
    parser.add_argument("--n", type=int, help="at most so many rows; results have a name of their own")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("gpu.py needs a CUDA device and torch sees none: --device cpu --n 5000 runs it without one")
    device = torch.cuda.get_device_name() if options.device == "cuda" else "the processor"
    record: dict[str, Any] = {"environment": environment(), "device": device, "sets": []}
    name = "_".join(
        ["gpu", *([] if options.device == "cuda" else ["cpu"]), *([] if options.n is None else [str(options.n)])]
    )
    for size in options.sizes:
        record["sets"].append(measure(size, options))
        write_results(options.results, name, record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
