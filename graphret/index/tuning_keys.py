"""The keys of a tuning that something reads, with their types: another tuning is refused when the index is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret.index.manifest_keys import is_count, is_number, is_packed_floats

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["tuning_problem"]

FORMAT = "graphret tuning"
_GAINS = ("mean", "low", "high")


def tuning_problem(content: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a tuning; None where everything that is read of it is there.

    Examples
    --------
    >>> tuning_problem({"format": "zip"})
    "its format is 'zip', and not 'graphret tuning'"
    """
    if content.get("format") != FORMAT:
        return f"its format is {str(content.get('format'))[:40]!r}, and not {FORMAT!r}"
    apart = content.get("apart", [])
    fits = {
        "schema_version": is_count(content.get("schema_version")),
        "tuned_on": isinstance(content.get("tuned_on"), dict),
        "ranking, options": _is_ranking(content),
        "apart": isinstance(apart, list) and all(map(_is_ranking, apart)),
        "difference": "difference" not in content or (_is_gain(content["difference"]) and "criterion" in content),
        "own_gain": content.get("own_gain") is None or _is_gain(content["own_gain"]),
        "metric": content.get("metric") is None or _is_metric(content["metric"]),
    }
    wrong = next((name for name, is_right in fits.items() if not is_right), None)
    return None if wrong is None else f"its key {wrong!r} is missing or of a wrong type"


def _is_ranking(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("ranking"), str):
        return False
    options = entry.get("options")
    kinds = (str, int, float, bool, type(None))
    return isinstance(options, dict) and all(isinstance(value, kinds) for value in options.values())


def _is_gain(gain: Any) -> bool:
    return isinstance(gain, dict) and all(gain.get(name) is None or is_number(gain[name]) for name in _GAINS)


def _is_metric(metric: Any) -> bool:
    if not isinstance(metric, dict) or not isinstance(metric.get("shape"), list):
        return False
    shape = metric["shape"]
    if len(shape) != 2 or not all(map(is_count, shape)) or shape[0] < 1:
        return False
    is_packed = is_packed_floats(metric.get("numbers"), shape[0] * shape[1])
    return is_packed and is_count(metric.get("n_discriminant")) and is_number(metric.get("discriminant_share"))
