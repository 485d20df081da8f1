"""Checks of the options of hashers."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._errors import InvalidParameterError

__all__ = ["check_number"]


def check_number(name: str, value: Any, minimum: float, *, above: bool = False) -> float:
    """Return a finite number >= ``minimum`` (> with ``above``) as float, or say what is allowed."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or value < minimum or (above and value == minimum):
        raise InvalidParameterError(name, value, f"a number {'>' if above else '>='} {minimum:g}")
    return float(value)
