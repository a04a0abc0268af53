"""A model behind an exchange: its contract is settled first, then it is asked."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import cast

from deadreckon.contracts import Ask, Journal, Json, Reader, Remote, Scorer
from deadreckon.models.api.contract import LAWS
from deadreckon.models.api.doctor import settle
from deadreckon.models.api.exchange import Exchange
from deadreckon.models.api.memory import Forgetful, Memory
from deadreckon.models.api.sender import Sender
from deadreckon.models.api.session import Address, Line, Manner, TextSession
from deadreckon.models.api.terms import Terms

CAPACITY = 64  # rollouts in flight, and in one part


class ServedModel(Remote, Reader):
    """A served model. What it can give is found out by `connect`."""

    seed = None
    capacity = CAPACITY
    context = math.inf  # a server says what is too long for it

    def __init__(self, name: str, address: Address, identity: Mapping[str, str]):
        """Nothing is sent before `connect`."""
        self.name, self.address, self.identity = name, address, identity
        self.line: Line | None = None

    @abstractmethod
    def dial(self, terms: Terms) -> Exchange:
        """A way to it, under these terms. BadOption."""

    def connect(self, terms: str, *, temperature: float, law: bool) -> Json:
        """See `Remote.connect`."""
        where, limits = self.address, Terms.of(terms)
        way = self.dial(limits)
        sender = Sender(way, limits)
        score = law and isinstance(self, Scorer)
        with ExitStack() as stack:
            stack.callback(way.close)
            found = settle(sender, where.model, where.endpoint, temperature, score=score)
            stack.pop_all()
        sender.models = frozenset({found.facts["says"]})
        broken = found.failed(LAWS) or ([] if found.passed("logprobs", "meaning") else ["logprobs"])
        seeds, several = found.facts["seed"] == "taken", found.passed("n")
        manner = Manner(where, seeds, several, "" if broken else found.facts["logprobs"])
        pool = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="deadreckon-ask")
        self.line = Line(manner, sender, Memory(Forgetful(), sender.purse), pool)
        self.identity = {
            **self.identity,
            "says": found.facts["says"],
            "seeds": found.facts["seed"],
            "samples": "n in a request" if several else "a request each",
            "logprobs": f"none: {broken[0]}" if broken else found.facts["logprobs"],
        }
        return found.json()

    def remember(self, journal: Journal) -> None:
        """See `Remote.remember`."""
        line = self.connected()
        before = line.sender.purse.spent
        memory = line.memory = Memory(journal, line.sender.purse)
        if before != (0, 0):
            memory.back("contract", before, False)
        line.sender.sent, line.sender.back = memory.sent, memory.back

    def watch(self, note: Callable[[str], None]) -> None:
        """See `Remote.watch`."""
        self.connected().note = note

    def close(self) -> None:
        """See `Remote.close`."""
        if self.line is not None:
            self.line.pool.shutdown(wait=False, cancel_futures=True)
            self.line.sender.wire.close()
            self.line = None

    def connected(self) -> Line:
        """The line to the server; with the default terms where `connect` was not called."""
        if self.line is None:
            self.connect("", temperature=1.0, law=True)
        return cast(Line, self.line)

    def session(self) -> TextSession:
        """Begin work."""
        return TextSession(self.connected())

    def length(self, ask: Ask) -> int:
        """Not known here: a bound, its UTF-8 bytes."""
        return Manner(self.address).request(ask, 0, 1).most_tokens()[0]
