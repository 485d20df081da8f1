"""Checks of the options of rankings."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._errors import InvalidParameterError

__all__ = ["check_real"]


def check_real(name: str, value: Any, allowed: str, *, above: float, below: float = np.inf) -> float:
    """Return a number with ``above < value < below`` as float, or say what is allowed."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not above < value < below:
        raise InvalidParameterError(name, value, allowed)
    return float(value)
