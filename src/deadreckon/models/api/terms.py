"""How a server may be asked, and what it may cost. None of it changes an answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from deadreckon.errors import BadOption, CapReached
from deadreckon.specs import known_only, parse_spec, read_option

KINDS = {
    "concurrency": (int, 1, 1024),
    "attempts": (int, 1, 100),
    "timeout": (float, 0.01, 86400.0),
    "backoff": (float, 0.0, 3600.0),
    "cap_tokens": (int, 1, 10**15),
    "cap_cost": (float, 0.0, 1e12),
    "price_in": (float, 0.0, 1e9),
    "price_out": (float, 0.0, 1e9),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Limits on a run's requests. Prices are for a million tokens, in the currency of `cap_cost`."""

    concurrency: int = 32  # most requests in flight
    attempts: int = 8  # at one request, before its rollout ends as a fault
    timeout: float = 120.0  # seconds, for a whole reply
    backoff: float = 0.5  # seconds: a retry waits uniform(0, backoff * 2^k), 60 at most, or what the server asks for
    cap_tokens: int = 0  # 0: no cap
    cap_cost: float = 0.0
    price_in: float = 0.0
    price_out: float = 0.0

    @classmethod
    def of(cls, text: str) -> Terms:
        """From "concurrency=8,cap_tokens=100000". BadOption: unknown, out of range, a cap on cost without prices."""
        options = parse_spec(f"terms:{text}")[1] if text else {}
        known_only("terms", options, KINDS)
        found: dict[str, float] = {}
        for name, text in options.items():
            kind, low, high = KINDS[name]
            value = read_option("terms", options, name, kind, 0)
            if not low <= value <= high:
                raise BadOption(f"terms {name}={text}: give {low} to {high}")
            found[name] = value
        terms = cls(**found)  # type: ignore[arg-type]
        if terms.cap_cost and not (terms.price_in or terms.price_out):
            raise BadOption(f"terms cap_cost={terms.cap_cost:g} without prices: add price_in= and price_out=")
        return terms

    def cost(self, tokens: tuple[int, int]) -> float:
        """Of (prompt, written) tokens."""
        return (tokens[0] * self.price_in + tokens[1] * self.price_out) / 1e6


class Purse:
    """What was spent and what is held for requests in flight: spent + held never passes a cap.

    A request is sent only once its worst case is held. The prompt's bound grows with what the server reports.
    """

    def __init__(self, terms: Terms):
        """Nothing spent."""
        self.terms = terms
        self.spent, self.held = (0, 0), (0, 0)
        self.perhaps = (0, 0)  # of `spent`: held for requests without an answer, which may have been billed
        self.requests = self.answers = 0
        self._over = 0  # tokens by which a prompt has passed its bound
        self._change = threading.Condition()

    def hold(self, most: tuple[int, int]) -> tuple[int, int]:
        """Set the worst case aside, waiting for requests in flight where only they stand in the way. CapReached."""
        with self._change:
            most = (most[0] + self._over, most[1])
            while not self._fits(self.held, most):
                if self.held == (0, 0):
                    raise CapReached(self._full(most))
                self._change.wait()
            self.held = _plus(self.held, most)
            self.requests += 1
        return most

    def settle(self, held: tuple[int, int], spent: tuple[int, int] | None, *, perhaps: bool = False) -> None:
        """Give back what was held and count what was spent; None: all that was held may have been billed."""
        with self._change:
            self.held = (self.held[0] - held[0], self.held[1] - held[1])
            self.spent = _plus(self.spent, held if spent is None else spent)
            if spent is None or perhaps:
                self.perhaps = _plus(self.perhaps, held if spent is None else spent)
            else:
                self.answers += spent != (0, 0)
                self._over = max(self._over, self._over + spent[0] - held[0])
            self._change.notify_all()

    def add(self, spent: tuple[int, int], *, perhaps: bool = False) -> None:
        """Count what an earlier session of this run has spent."""
        with self._change:
            self.spent = _plus(self.spent, spent)
            if perhaps:
                self.perhaps = _plus(self.perhaps, spent)

    @property
    def tokens(self) -> int:
        """Spent, prompt and written."""
        return sum(self.spent)

    @property
    def cost(self) -> float:
        """Spent; 0 without prices."""
        return self.terms.cost(self.spent)

    def _fits(self, held: tuple[int, int], more: tuple[int, int]) -> bool:
        total = _plus(_plus(self.spent, held), more)
        terms = self.terms
        tokens_fit = not terms.cap_tokens or sum(total) <= terms.cap_tokens
        return tokens_fit and (not terms.cap_cost or terms.cost(total) <= terms.cap_cost)

    def _full(self, most: tuple[int, int]) -> str:
        terms = self.terms
        if terms.cap_tokens and self.tokens + sum(most) > terms.cap_tokens:
            at = f"{self.tokens} tokens spent, the next request may take {sum(most)}, cap_tokens={terms.cap_tokens}"
        else:
            at = f"{self.cost:.6g} spent, the next request may cost {terms.cost(most):.6g}, cap_cost={terms.cap_cost:g}"
        return f"{at}: what is answered is kept; the same command with a higher cap resumes"


def _plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]
