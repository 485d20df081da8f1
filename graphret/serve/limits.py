"""How much one address may ask for, and how large a request may be."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

__all__ = ["Rate"]

_ADDRESSES = 10_000
BURST = 10


class Rate:
    """Count requests of addresses: so many a second on average, and ten times as many at once (a token bucket).

    Parameters
    ----------
    per_second
        Requests a second, > 0.
    burst
        Requests that may come at once; None for ten seconds' worth.

    Examples
    --------
    >>> rate = Rate(0.001, burst=2)
    >>> [rate.allows("a"), rate.allows("a"), rate.allows("a"), rate.allows("b")]
    [True, True, False, True]
    """

    def __init__(self, per_second: float, burst: float | None = None) -> None:
        self._rate, self._burst = per_second, per_second * BURST if burst is None else burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, address: str) -> bool:
        """Take one request of an address; False where it has none left."""
        now = time.monotonic()
        with self._lock:
            left, then = self._left.pop(address, (self._burst, now))
            left = min(self._burst, left + (now - then) * self._rate)
            allowed = left >= 1
            self._left[address] = (left - 1 if allowed else left, now)
            if len(self._left) > _ADDRESSES:
                self._left.popitem(last=False)
        return allowed
