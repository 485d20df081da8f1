"""When a gain is clear: its mean, its whole interval and its p-value all say so."""

from types import SimpleNamespace

import pytest

from graphret.tuning.contest import ALPHA, _is_clear


@pytest.mark.parametrize(
    ("mean", "low", "p_value", "expected"),
    [
        (0.1, 0.05, ALPHA / 2, True),
        (0.1, 0.0, ALPHA / 2, False),
        (0.1, -0.01, ALPHA / 2, False),
        (0.1, 0.05, ALPHA, False),
        (0.1, 0.05, float("nan"), False),
        (-0.1, -0.15, ALPHA / 2, False),
    ],
)
def test_every_part_has_to_hold(mean, low, p_value, expected):
    assert _is_clear(SimpleNamespace(mean=mean, low=low, p_value=p_value), ALPHA) is expected
