"""JSON that somebody else may have written: strict, of bounded size, and every way in which it is none is one error."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["canonical_json", "parse_json"]


def parse_json(content: bytes) -> dict[str, Any]:
    """Read a JSON object, or say in one line why it is none.

    Raises
    ------
    ValueError
        Not UTF-8, not JSON, no object, nested too deeply, NaN or an infinity (``1e999`` is one), a lone surrogate.

    Examples
    --------
    >>> parse_json(b'{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse_json(b'{"a": 1e999}')
    Traceback (most recent call last):
    ValueError: it holds a number that is not finite
    """
    try:
        found = json.loads(content)
        # what cannot be written again as JSON in UTF-8 was none
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeError as error:
        raise ValueError("it holds text that is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    except ValueError as error:
        not_finite = "Out of range float" in str(error)
        raise ValueError(
            "it holds a number that is not finite" if not_finite else f"it is not JSON ({error})"
        ) from error
    if not isinstance(found, dict):
        raise ValueError(f"it is not a JSON object but a {type(found).__name__}")  # noqa: TRY004 - one error for all
    return found


def canonical_json(content: dict[str, Any]) -> bytes:
    """Return the one text of a JSON object: keys sorted, indent 1, UTF-8, a newline at the end."""
    return (json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
