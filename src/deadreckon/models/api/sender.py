"""Requests sent until their reply counts: places in flight, cost held first, full-jitter retries.

A retry waits uniform(0, backoff * 2^k), as in "full jitter" (Brooker, "Exponential backoff and jitter", 2015), or as
long as the server asks for.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from deadreckon.errors import ServerRefused
from deadreckon.models.api.exchange import Exchange
from deadreckon.models.api.reply import Heard, Spoilt
from deadreckon.models.api.request import Request
from deadreckon.models.api.terms import Purse, Terms
from deadreckon.models.api.throttle import Throttle

LONGEST_WAIT_S = 60.0
DOWN = ("connection", "timeout", "cut_off", "http_5", "http_429")  # what a server that is gone looks like
CROWDED = ("http_429", "http_503", "http_529")

Log = Callable[[str, tuple[int, int] | None, bool], None]  # (key, tokens held or spent, whether perhaps billed)


def quiet(_key: str, _tokens: tuple[int, int] | None, _perhaps: bool) -> None:
    """Log nothing."""


class Sender:
    """Sends requests from any number of threads."""

    def __init__(self, wire: Exchange, terms: Terms):
        """Limits and purse are its own."""
        self.wire, self.terms = wire, terms
        self.throttle, self.purse = Throttle(terms.concurrency), Purse(terms)
        self.closing = threading.Event()
        self.sent: Log = quiet  # before each attempt
        self.back: Log = quiet  # after an attempt without an answer
        self.models: frozenset[str] = frozenset()  # what the server calls the model; empty: not checked
        self.spoilt: Counter[str] = Counter()  # attempts without an answer, by code
        self.begun = time.monotonic()
        self._last_well = 0.0

    def send(self, request: Request, key: str = "", *, strict: bool = True) -> Heard:
        """The reply, after as many attempts as the terms allow. Spoilt, ServerRefused, CapReached."""
        first = time.monotonic()
        for attempt in range(self.terms.attempts):
            try:
                return self._once(request, key, strict=strict)
            except Spoilt as spoilt:
                if not spoilt.again or self.closing.is_set():
                    raise
                last = spoilt
            if attempt + 1 < self.terms.attempts:
                self.closing.wait(random.uniform(0.0, min(LONGEST_WAIT_S, self.terms.backoff * 2.0**attempt)))
        if last.code.startswith(DOWN) and self._last_well < first and self._gone(request):
            raise ServerRefused(
                f"{self.wire.url} has not answered {self.terms.attempts} attempts in {time.monotonic() - first:.0f} s"
                f" ({last.code}): start it again; the same command resumes"
            )
        raise last

    def news(self) -> str:
        """How the asking goes, in a line."""
        purse, rate = self.purse, self.purse.answers / max(time.monotonic() - self.begun, 1e-9)
        cost = f", cost {purse.cost:.4g}" if self.terms.price_in or self.terms.price_out else ""
        faults = "".join(f", {code} {n}" for code, n in self.spoilt.most_common(4))
        return f"{purse.answers} answers, {rate:.1f}/s, {purse.tokens} tokens{cost}{faults}"

    def _gone(self, request: Request) -> bool:
        """Whether even the shortest request gets no answer: then it is not this one's fault."""
        chat = request.endpoint == "chat"
        least = Request(request.model, request.endpoint, (("user", "a"),) if chat else (), "" if chat else "a", 1)
        try:
            heard = self._once(least, "least", strict=False)
        except Spoilt as spoilt:
            return spoilt.code.startswith(DOWN)
        self.back("least", (heard.prompt_tokens, heard.tokens), False)
        return False

    def _once(self, request: Request, key: str, *, strict: bool) -> Heard:
        with self.throttle.slot() as sent:
            held = self.purse.hold(request.most_tokens())
            spent: tuple[int, int] | None = (0, 0)
            perhaps = answered = False
            try:
                self.sent(key, held, False)
                heard = self.wire.exchange(request, strict=strict)
                spent, answered = (heard.prompt_tokens, heard.tokens), True
                if self.models and heard.model not in self.models:
                    answered = False
                    raise Spoilt("model", spent=spent)
            except Spoilt as spoilt:
                self.spoilt[spoilt.code] += 1
                if spoilt.billed:
                    spent, perhaps = spoilt.spent, True
                if spoilt.wait > 0.0 or spoilt.code in CROWDED:
                    self.throttle.too_much(sent, spoilt.wait)
                raise
            finally:
                if spent is not None and not (spent[0] >= 0 and 0 <= spent[1] <= held[1]):
                    spent = None  # a server that does not say what it used, or says what cannot be
                self.purse.settle(held, spent, perhaps=perhaps)
                if not answered:
                    self.back(key, held if spent is None else spent, perhaps)
        self.throttle.well()
        self._last_well = time.monotonic()
        return heard
