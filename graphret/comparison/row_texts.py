"""What every table calls a row of a report, and which rows have figures."""

from __future__ import annotations

from typing import Any

from graphret.encoders import encoder_spec, list_encoders
from graphret.encoders.registry.spec import FORMULA

__all__ = ["is_marked", "measured", "names_of"]


def measured(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows with figures."""
    return [row for row in report["rows"] if not row["error"]]


def is_marked(row: dict[str, Any]) -> bool:
    """Whether the code of a row's encoder is not the formula of its paper."""
    name = row["registered"]  # an experiment may name what is not registered; such a row has no figures
    return row["kind"] == "encoder" and name in list_encoders() and encoder_spec(name).fidelity != FORMULA


def names_of(row: dict[str, Any]) -> tuple[str, str, str]:
    """Method, bits and ranking of a row, with the marks of fidelity and of another start."""
    method = f"{row['method']} *" if is_marked(row) else row["method"]
    start = (row["costs"] or {}).get("start") or {}
    if start.get("why"):
        method += f", {start['had']} start"
    return method, "" if row["n_bits"] is None else str(row["n_bits"]), row["ranking"]
