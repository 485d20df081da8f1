"""How close the code of a method is to its paper: the words that registries, tables and pages use."""

from __future__ import annotations

__all__ = ["FIDELITIES", "FORMULA"]

FORMULA = "formula of the paper"
FIDELITIES = (FORMULA, "changed formula", "parts of the paper", "abstract only", "public implementation")
"""As the paper prints it (what it leaves open is filled in); changed where the docstring says so; from what survives of
the paper's text; from the paper's abstract; from somebody's code, without the paper."""
