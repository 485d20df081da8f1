"""What every result file carries: machine, threads, versions, commit. No host names, no paths."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "numpy", "scipy", "numba", "faiss-cpu", "faiss-gpu", "torch", "torchvision",
    "igraph", "leidenalg", "networkit", "scikit-network", "graspologic-native", "networkx",
    "pynndescent", "hnswlib", "usearch", "threadpoolctl",
)  # fmt: skip
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment() -> dict[str, object]:
    """Describe the machine and the software of this run; call it first, so that the load is that of others."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "thread_variables": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
    }


def environment_line(found: dict[str, object]) -> str:
    """Say the environment in one line of Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in dict(found["versions"]).items())
    threads = "".join(f", {name}={value}" for name, value in dict(found["thread_variables"]).items())
    return (
        f"{found['processor']}, {found['processors']} processors{threads}, {found['memory_gb']} GB, "
        f"load before the run {found['load_before']}, Python {found['python']}; "
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
    """Short hash of HEAD; says so when the code that ran is not the code of the commit."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", "../graphret", "*.py")
    return f"{commit} with uncommitted changes" if commit and changed else commit or "unknown"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
        )
    except OSError:
        return ""
    return done.stdout.strip()
