"""How many requests may be in flight: additive increase, multiplicative decrease (Chiu & Jain 1989)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST = 8  # requests in flight at the start


class Throttle:
    """Each good reply raises the limit by 1/limit; a reply that says "too much" halves it.

    Requests sent before the last cut cannot cut again: they tell of the same moment. A server that says how long to
    wait holds everyone back.
    """

    def __init__(self, most: int):
        """`most`: the highest limit."""
        self.most, self.limit = most, float(min(FIRST, most))
        self.in_flight, self.cuts = 0, 0
        self._free = threading.Condition()
        self._last_cut = self._open_at = 0.0  # time.monotonic()

    @contextmanager
    def slot(self) -> Iterator[float]:
        """A place among the requests in flight; gives the time it was taken."""
        with self._free:
            while True:
                wait = self._open_at - time.monotonic()
                if wait <= 0.0 and self.in_flight < int(self.limit):
                    break
                self._free.wait(max(wait, 0.001) if wait > 0.0 else None)
            self.in_flight += 1
        try:
            yield time.monotonic()
        finally:
            with self._free:
                self.in_flight -= 1
                self._free.notify_all()

    def well(self) -> None:
        """A good reply."""
        with self._free:
            self.limit = min(self.limit + 1.0 / self.limit, float(self.most))
            self._free.notify_all()

    def too_much(self, sent: float, wait: float) -> None:
        """The server says it has too much to do: to a request sent at this time."""
        with self._free:
            now = time.monotonic()
            self._open_at = max(self._open_at, now + wait)
            if sent >= self._last_cut:
                self.limit, self._last_cut, self.cuts = max(1.0, self.limit / 2.0), now, self.cuts + 1
            self._free.notify_all()
