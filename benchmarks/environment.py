"""What every result file carries: machine, threads, versions, commit. No host names, no paths."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "numpy", "scipy", "numba", "faiss-cpu", "faiss-gpu-cu12", "torch", "torchvision",
    "igraph", "leidenalg", "scikit-network", "networkx",
)  # fmt: skip


def environment() -> dict[str, object]:
    """Describe the machine and the software of this run."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
    }


def environment_line(found: dict[str, object]) -> str:
    """Say the environment in one line of Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in dict(found["versions"]).items())
    return (
        f"{found['processor']}, {found['processors']} processors, {found['memory_gb']} GB, Python {found['python']}; "
        f"{versions}; {found['date']}, commit {found['commit']}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return done.stdout.strip() or "unknown"
