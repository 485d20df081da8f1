"""What every table calls a row of a report, and which rows have figures."""

from __future__ import annotations

from typing import Any

from graphret._fidelity import FORMULA
from graphret.encoders import encoder_spec, list_encoders
from graphret.hashing.registry import HASHERS

__all__ = ["departure_of", "measured", "names_of"]


def measured(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows with figures."""
    return [row for row in report["rows"] if not row["error"]]


def departure_of(row: dict[str, Any]) -> tuple[str, str] | None:
    """What the code of a row follows in the place of its paper's formula, and its source; None where it is that one.

    An encoder that was trained with another loss than its own says which. A row may name what is not registered here.

    Examples
    --------
    >>> departure_of({"kind": "hasher", "registered": "lsh", "costs": None})
    ('changed formula', 'Charikar, STOC 2002')
    """
    name = row["registered"]
    if row["kind"] == "hasher" and name in HASHERS:
        fidelity, paper = HASHERS[name].fidelity, HASHERS[name].paper
    elif row["kind"] == "encoder" and name in list_encoders():
        spec = encoder_spec(name)
        costs = row["costs"] or {}
        objective = costs.get("objective")
        fidelity = f"another loss: {objective}" if objective else costs.get("fidelity") or spec.fidelity
        paper = spec.paper
    else:
        return None
    return None if fidelity == FORMULA else (fidelity, paper)


def names_of(row: dict[str, Any]) -> tuple[str, str, str]:
    """Method, bits and ranking of a row, with the marks of fidelity and of another start."""
    method = f"{row['method']} *" if departure_of(row) else row["method"]
    start = (row["costs"] or {}).get("start") or {}
    if start.get("why"):
        method += f", {start['had']} start"
    return method, "" if row["n_bits"] is None else str(row["n_bits"]), row["ranking"]
