"""Whether `torch.compile` would pay for codes on a CUDA device.

    python benchmarks/gpu_compile.py [--encoder densenet121] [--size 224] [--precision bfloat16]
    python benchmarks/gpu_compile.py --device cpu --films 8 --size 32 --encoder resnet18 --backend eager

Films a second of the network in torch (channels last), of `Encoder.encode`, which folds it and replays it as a CUDA
graph, and of the network compiled for one batch, its kernels replayed as a graph too. Compiling takes its time: the
record says how long, and after how many films it is won back beside ours.
"""

from __future__ import annotations

import math
import re
import time
from functools import partial
from typing import Any

from environment import environment, environment_line
from gpu_codes import PRECISIONS, encoder_of, images_of, plain_rate, seconds_of
from record import parser_of, write_results


def compiled_rate(encoder: Any, precision: str, batch: int, size: int, backend: str) -> tuple[float, float]:
    """Films a second of the compiled network, and the seconds until its first batch is done."""
    import torch

    seconds = 0.0
    how: dict[str, Any] = {"mode": "reduce-overhead"} if backend == "inductor" else {}

    def compiled(method: Any) -> Any:
        made = torch.compile(method, backend=backend, dynamic=False, **how)

        def timed(images: Any) -> Any:
            nonlocal seconds
            if seconds:
                return made(images)
            start = time.perf_counter()
            codes = made(images)
            if images.is_cuda:
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
            return codes

        return timed

    return plain_rate(encoder, precision, batch, size, compiled), seconds


def films_until_it_pays(ours: float, compiled: float, seconds: float) -> int | None:
    """Films after which the seconds of compiling are won back; None where the compiled network is not faster."""
    return math.ceil(seconds / (1 / ours - 1 / compiled)) if compiled > ours else None


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    lines = [
        f"# torch.compile on one {record['card']}: {record['encoder']}, {record['size']} px, {record['precision']}",
        "",
        "| network | films/s |",
        "|---|---|",
        f"| torch, channels last, on the device | {record['plain']:.0f} |",
        f"| ours, from memory to codes in memory | {record['ours']:.0f} |",
    ]
    if record["compiled"] is None:
        lines += ["", f"It cannot be compiled here: {record['reason']}"]
    else:
        pays = films_until_it_pays(record["ours"], record["compiled"], record["compile_seconds"])
        lines += [
            f"| compiled ({record['backend']}), on the device | {record['compiled']:.0f} |",
            "",
            f"Compiling took {record['compile_seconds']:.0f} s, "
            + ("which nothing wins back." if pays is None else f"won back after {pays:,} films."),
        ]
    return "\n".join([*lines, "", environment_line(record["environment"])]) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    import torch

    parser = parser_of(__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--films", type=int, default=4096, help="images in memory")
    parser.add_argument("--size", type=int, default=224, help="side of the network's input in px")
    parser.add_argument("--encoder", default="densenet121", help="a name, or the folder of a trained encoder")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--backend", default="inductor", help="of torch.compile; eager compiles nothing")
    options = parser.parse_args(arguments)
    encoder = encoder_of(options)
    images, batch = images_of(options.films, encoder.size), encoder.films_at_once(options.precision)
    encode = partial(encoder.encode, images, precision=options.precision, batch_size=batch)
    encode()  # a graph is captured meanwhile
    record: dict[str, Any] = {
        "device": options.device,
        "card": torch.cuda.get_device_name() if options.device == "cuda" else "processor",
        "encoder": encoder.name,
        "size": encoder.size,
        "precision": options.precision,
        "backend": options.backend,
        "batch": batch,
        "plain": plain_rate(encoder, options.precision, batch, encoder.size),
        "ours": len(images) / seconds_of(encode),
        "compiled": None,
        "environment": environment(),
    }
    try:
        rate, seconds = compiled_rate(encoder, options.precision, batch, encoder.size, options.backend)
        record |= {"compiled": rate, "compile_seconds": seconds}
    except Exception as error:  # noqa: BLE001 - of a compiler, which may lack anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        record["reason"] = re.sub(r"/\S*", "(path)", reason)  # a record names no folder
    text = markdown(record)
    write_results(options.results, f"gpu_compile_{options.device}", record, text)
    print(text)


if __name__ == "__main__":
    main()
