"""Checks of the options of rankings."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._errors import InvalidParameterError

__all__ = ["check_real"]


def check_real(
    name: str,
    value: Any,
    allowed: str,
    *,
    at_least: float = -np.inf,
    above: float = -np.inf,
    below: float = np.inf,
    at_most: float = np.inf,
) -> float:
    """Return a number within the bounds as float, or say what is allowed; NaN and infinity are outside of any."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not (at_least <= value <= at_most and above < value < below):
        raise InvalidParameterError(name, value, allowed)
    return float(value)
