"""From the rows of `scaling.py` to its record and tables: fitted exponents, and what 10 and 100 million films cost.

The formulas are those of ``docs/scaling.md``; every figure comes from the rows, or, for edges per film at k = 50, from
communities.json beside them.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment_line
from record import limits_table, spread

if TYPE_CHECKING:
    from pathlib import Path

K, KEPT, DIMENSIONS = 50, 0.8, 1024
"""What an archive is computed with: neighbours of a film, share that threshold "auto" keeps, length of a code."""
ARCHIVES = (1_000_000, 10_000_000, 100_000_000)
MEMORIES = (64, 256, 1024)
"""GB of machines that the end is computed for, beside the one that was measured."""
DAY = 86_400.0
LARGEST_ID = 2**31 - 1
LIMIT = 1.1


def fitted(sizes: list[float], seconds: list[float]) -> tuple[float, float] | None:
    """Least squares of log seconds = log c + b log size; (c, b), or None with fewer than three sizes.

    >>> fitted([1, 10, 100], [2, 20, 200])
    (2.0, 1.0)
    """
    if len(sizes) < 3:
        return None
    power, constant = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return round(float(np.exp(constant)), 15), round(float(power), 12)


def record_of(rows: list[dict[str, Any]], results: Path) -> dict[str, Any]:
    """The record: of each part the last call, a fit of every method, and what follows."""
    environments = {row["session"]: row["environment"] for row in rows if row["part"] == "session"}
    record: dict[str, Any] = {"parts": {}}
    for part in ("communities", "neighbors"):
        of_part = [row for row in rows if row["part"] == part]
        if of_part:
            session = of_part[-1]["session"]
            sizes = [_summary(row) for row in of_part if row["session"] == session]
            methods = dict.fromkeys(row["method"] for row in sizes)
            fits = {method: _fit(sizes, method, "n_edges" if part == "communities" else "n") for method in methods}
            record["parts"][part] = {"environment": environments[session], "sizes": sizes, "fits": fits}
    record["archives"] = _archives(record, _edges_per_film(results))
    return record


def _summary(row: dict[str, Any]) -> dict[str, Any]:
    """A row with medians beside its runs."""
    found = {key: value for key, value in row.items() if key not in {"session", "part"}}
    if "runs" in row:
        for key in ("seconds", "processor_seconds", "modularity", "recall", "graph_seconds"):
            if key in row["runs"][0]:
                found[key] = statistics.median(run[key] for run in row["runs"])
    return found


def _fit(sizes: list[dict[str, Any]], method: str, size: str) -> dict[str, float] | None:
    """Fit of a method, with its largest measured size, from which figures are carried on."""
    of_method = [row for row in sizes if row["method"] == method and "seconds" in row]
    fit = fitted([row[size] for row in of_method], [row["seconds"] for row in of_method])
    if fit is None:
        return None
    largest = of_method[-1]
    before = of_method[-2]
    slope = float(np.log(largest["seconds"] / before["seconds"]) / np.log(largest[size] / before[size]))
    found = {"constant": fit[0], "exponent": fit[1], "last_exponent": slope}
    found |= {"size": largest[size], "seconds": largest["seconds"]}
    for key in ("extra_bytes", "graph_extra_bytes"):
        if key in largest:
            found[f"{key}_per_size"] = max(0.0, (largest[key] - before[key]) / (largest[size] - before[size]))
    return found


def _edges_per_film(results: Path) -> dict[str, Any]:
    """Edges a film of the measured graphs of k = 50 (the most), else the most that k and the threshold allow."""
    file = results / "communities.json"
    if file.exists():
        graphs = [measured["graph"] for measured in json.loads(file.read_text(encoding="utf-8"))["sets"]]
        counts = [
            graph["n_edges"] / graph["n_nodes"] for graph in graphs if graph["k"] == K and graph["n_nodes"] >= 50_000
        ]
        if counts:
            return {"edges": max(counts), "source": "the densest graph of communities.json"}
    return {"edges": KEPT * K, "source": f"the most that k = {K} and the threshold allow (no measured graph of this k)"}


def power_of(step: str, fit: dict[str, float]) -> float:
    """The power that a step is carried on with.

    Exact search compares all pairs in the end: 2. Of the others the fitted exponent, or the slope between the two
    largest sizes where that is steeper: fixed costs flatten the small sizes and would promise too much.
    """
    return 2.0 if step == "kNN, exact" else max(fit["exponent"], fit["last_exponent"])


def carried_on(fit: dict[str, float], size: float, power: float) -> float:
    """Seconds at another size, from the largest that was measured."""
    return float(fit["seconds"] * (size / fit["size"]) ** power)


def reached(fit: dict[str, float], seconds: float, power: float) -> float:
    """The size that takes so many seconds; the inverse of `carried_on`."""
    return float(fit["size"] * (seconds / fit["seconds"]) ** (1.0 / power))


def _archives(record: dict[str, Any], density: dict[str, Any]) -> dict[str, Any]:
    """Bytes of a film, and seconds of every step, for archives that nobody measured here."""
    edges = density["edges"]
    parts = record["parts"]
    fits = {
        f"{title}, {method}": (fit, size)
        for part, title, size in (("neighbors", "kNN", 1.0), ("communities", "communities", edges))
        for method, fit in parts.get(part, {}).get("fits", {}).items()
        if fit
    }
    steps = {
        name: {
            "power": power_of(name, fit),
            "seconds": {str(films): carried_on(fit, films * size, power_of(name, fit)) for films in ARCHIVES},
            "films_in_a_day": reached(fit, DAY, power_of(name, fit)) / size,
        }
        for name, (fit, size) in fits.items()
    }
    film = {"codes": 4.0 * DIMENSIONS, "table": 8.0 * K, "graph": 8.0 + 16.0 * edges}
    peaks = {name: fit["extra_bytes_per_size"] * size for name, (fit, size) in fits.items()}
    for name, (fit, _) in fits.items():
        if "graph_extra_bytes_per_size" in fit:
            peaks["graph of the table"] = film["table"] + fit["graph_extra_bytes_per_size"]
        if name.startswith("communities"):
            peaks[name] += film["graph"]
    memories = [next(iter(parts.values()))["environment"]["memory_gb"], *MEMORIES]
    ends = {
        name: {str(memory): memory * 2**30 / size for memory in memories} for name, size in peaks.items() if size > 0
    }
    dimensions = parts["neighbors"]["sizes"][0]["d"] if "neighbors" in parts else None
    about = {"density": density, "k": K, "dimensions": DIMENSIONS, "timed_dimensions": dimensions}
    return {**about, "bytes_per_film": film, "peak_bytes_per_film": peaks, "films_in_memory": ends, "steps": steps}


def markdown(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    parts = record["parts"]
    lines = ["# Growth", "", "Every size in a process of its own. Median (smallest to largest) of the runs.", ""]
    if "communities" in parts:
        lines += _communities_section(parts["communities"])
    if "neighbors" in parts:
        lines += _neighbors_section(parts["neighbors"])
    return "\n".join([*lines, *_archives_section(record["archives"])])


def _communities_section(part: dict[str, Any]) -> list[str]:
    lines = [
        "## Communities of planted graphs",
        "",
        "| nodes | edges | method | threads | seconds | ns an edge | processor seconds | memory beyond the graph, GB | the same in CSRs | modularity | communities | of the planted ones |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['n_nodes']:,} | {row['n_edges']:,} | `{row['method']}` | {row['threads']} | {_spread(row, 'seconds', 3)} | "
        f"{1e9 * row['seconds'] / row['n_edges']:.0f} | {row['processor_seconds']:.3f} | {row['extra_bytes'] / 2**30:.3f} | "
        f"{row['extra_bytes'] / row['csr_bytes']:.2f} | {_spread(row, 'modularity', 4)} | {row['runs'][0]['communities']} | "
        f"{row['planted_modularity']:.4f} ({row['planted_communities']}) |"
        for row in part["sizes"]
    ]
    limits = [
        (f"`{method}`: fitted exponent of the seconds in edges", fit["exponent"], "<", LIMIT)
        for method, fit in part["fits"].items()
        if fit
    ]
    return [*lines, "", *(limits_table(limits) if limits else []), "", environment_line(part["environment"]), ""]


def _neighbors_section(part: dict[str, Any]) -> list[str]:
    first = part["sizes"][0]
    lines = [
        f"## kNN tables of generated codes, {first['d']} dimensions, k = {first['k']}, {first['threads']} threads",
        "",
        "| codes | method | runs | seconds | processor seconds | memory beyond the codes, GB | recall (of the table) | its graph, seconds | memory beyond the table, GB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in part["sizes"]:
        if row["skipped"]:
            lines.append(
                f"| {row['n']:,} | {row['method']} | skipped: {row['predicted_seconds']:.0f} s predicted | | | | | | |"
            )
            continue
        lines.append(
            f"| {row['n']:,} | {row['method']} | {len(row['runs'])} | {_spread(row, 'seconds', 2)} | {row['processor_seconds']:.2f} | "
            f"{row['extra_bytes'] / 2**30:.3f} | {row['recall']:.5f} | {row['graph_seconds']:.2f} | {row['graph_extra_bytes'] / 2**30:.3f} |"
        )
    lines += [
        "",
        "| method | fitted exponent of the seconds in codes | between the two largest sizes |",
        "|---|---|---|",
    ]
    lines += [
        f"| {method} | {fit['exponent']:.3f} | {fit['last_exponent']:.3f} |"
        for method, fit in part["fits"].items()
        if fit
    ]
    return [*lines, "", environment_line(part["environment"]), ""]


def _spread(row: dict[str, Any], key: str, digits: int) -> str:
    return spread([run[key] for run in row["runs"]], digits)


def _archives_section(archives: dict[str, Any]) -> list[str]:
    """What nobody measured: carried on from the largest sizes."""
    density, steps = archives["density"], archives["steps"]
    header = [f"{films:,} films" for films in ARCHIVES]
    titles = {
        "codes": f"codes on disk, {archives['dimensions']} x float32",
        "table": f"kNN table, k = {archives['k']}",
        "graph": f"graph (CSR), {density['edges']:.1f} edges a film",
    }
    lines = [
        "## On paper: archives that were not measured",
        "",
        "Formulas, and what they leave out, are in docs/scaling.md. Seconds are carried on from the largest size measured, peaks with "
        "their growth between the two largest, with "
        f"the machine and threads above; kNN of {archives['timed_dimensions']}-dimensional codes. Edges a film: {density['source']}.",
        "",
        f"| on disk, or in memory for good | bytes a film | {' | '.join(header)} |",
        f"|---|---|{'---|' * len(header)}",
    ]
    for name, size in archives["bytes_per_film"].items():
        lines.append(f"| {titles[name]} | {size:.0f} | {' | '.join(_gigabytes(films * size) for films in ARCHIVES)} |")
    lines += [
        "",
        f"| seconds of a step | power | {' | '.join(header)} | films in a day |",
        f"|---|---|{'---|' * len(header)}---|",
    ]
    for name, step in steps.items():
        cells = " | ".join(_duration(step["seconds"][str(films)]) for films in ARCHIVES)
        lines.append(f"| {name} | {step['power']:.2f} | {cells} | {_millions(step['films_in_a_day'])} |")
    ends = archives["films_in_memory"]
    if ends:
        memories = [*next(iter(ends.values()))]
        lines += [
            "",
            "Peak memory of a step, and where one machine ends:",
            "",
            f"| step | bytes a film | {' | '.join(f'{float(memory):.0f} GB end at' for memory in memories)} |",
            f"|---|---|{'---|' * len(memories)}",
        ]
        for name, of_memory in ends.items():
            cells = " | ".join(_millions(of_memory[memory]) for memory in memories)
            lines.append(f"| {name} | {archives['peak_bytes_per_film'][name]:.0f} | {cells} |")
        lines += ["", f"Ids are int32: no archive has more than {LARGEST_ID:,} films.", ""]
    return lines


def _gigabytes(size: float) -> str:
    return f"{size / 2**30:,.1f} GB"


def _millions(films: float) -> str:
    """Films in millions; what int32 ids can not number is not promised."""
    return "more than int32 ids" if films > LARGEST_ID else f"{films / 1e6:,.1f} million"


def _duration(seconds: float) -> str:
    for unit, length in (("days", DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.1f} s"
