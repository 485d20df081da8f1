"""The version of the package, read by what writes it into files."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
