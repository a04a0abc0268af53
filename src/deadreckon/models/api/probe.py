"""Questions to a server whose answers can be checked against each other; each is asked once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property

from deadreckon.errors import ServerRefused
from deadreckon.models.api.reply import Heard, Sample, Spoilt
from deadreckon.models.api.request import Endpoint, Request
from deadreckon.models.api.sender import Sender

PROMPT = "Some words and letters, none twice: river, q, stone, 7, lamp, x,"
OTHER = "A list of towns by the sea, in no order:"
TOKENS = 24
TOPS = (1000, 100, 20, 5, 1, 0)
WHOLE = 0.99  # of the mass

PIECE = "\ufffd"  # in the text of a token that is part of a character

LawOf = dict[str, float]  # text of a token: nats


class Probe:
    """One model on one endpoint."""

    def __init__(self, sender: Sender, model: str, endpoint: Endpoint, pool: ThreadPoolExecutor):
        """The sender's terms hold."""
        self.sender, self.model, self.endpoint, self.pool = sender, model, endpoint, pool
        self._drawn: dict[float, list[Sample]] = {}
        self._draws: list[Sample] = []

    def request(self, text: str = PROMPT, **asked: object) -> Request:
        """A request about `text`, greedy and with a seed unless said otherwise."""
        base = Request(
            self.model,
            self.endpoint,
            (("user", text),) if self.endpoint == "chat" else (),
            "" if self.endpoint == "chat" else text,
            max_tokens=TOKENS,
            temperature=0.0,
            seed=1 if self.seeds else None,
        )
        return replace(base, **asked)  # type: ignore[arg-type]

    def ask(self, request: Request) -> Heard:
        """Its reply, however wrong. Spoilt."""
        return self.sender.send(request, strict=False)

    def ask_all(self, requests: Sequence[Request]) -> list[Heard]:
        """Several at once. Spoilt."""
        return list(self.pool.map(self.ask, requests))

    def takes(self, request: Request) -> bool:
        """Whether the server answers this; False: it refuses openly."""
        try:
            self.ask(request)
        except Spoilt as spoilt:
            if spoilt.code.startswith("http_4"):
                return False
            raise
        return True

    # --- Facts, each found at its first use -------------------------------------------------------------

    @cached_property
    def exists(self) -> bool:
        """Whether this endpoint answers at all. ServerRefused where it is another reason than a missing path."""
        self.__dict__["seeds"] = False
        try:
            return self.takes(self.request(max_tokens=1))
        except ServerRefused as refused:
            if "404" not in str(refused):
                raise
            return False
        finally:
            del self.__dict__["seeds"]

    @cached_property
    def seeds(self) -> bool:
        """Whether a seed is taken."""
        self.__dict__["seeds"] = True
        taken = self.takes(self.request(max_tokens=1))
        del self.__dict__["seeds"]
        return taken

    @cached_property
    def top(self) -> int | None:
        """The most log-probabilities a token it takes a request for; None: it refuses all."""
        return next((k for k in TOPS if self.takes(self.request(max_tokens=1, logprobs=k))), None)

    @cached_property
    def told(self) -> int | None:
        """How many log-probabilities to ask for: None where none come back."""
        if self.top is None or not self.ask(self.request(max_tokens=1, logprobs=self.top)).samples[0].tokens:
            return None
        return self.top

    @cached_property
    def greedy(self) -> Heard:
        """The greedy text, with log-probabilities where there are any."""
        return self.ask(self.request(logprobs=None if self.told is None else min(self.told, 20)))

    @property
    def draws(self) -> list[Sample]:
        """Six draws at temperature 1 with seeds of their own."""
        return self.drawn(6)

    def drawn(self, count: int) -> list[Sample]:
        """The first `count` draws at temperature 1 with seeds of their own."""
        self._draws += self.seeded(range(len(self._draws), count))
        return self._draws[:count]

    def seeded(self, places: range) -> list[Sample]:
        """A new draw at temperature 1 with each of these seeds."""
        some = [self.request(temperature=1.0, seed=self.seed(i), logprobs=self.few) for i in places]
        return [heard.samples[0] for heard in self.ask_all(some)]

    @property
    def few(self) -> int | None:
        """At most 20 log-probabilities a token."""
        return None if self.told is None else min(self.told, 20)

    def seed(self, i: int) -> int | None:
        """The i-th seed, where seeds are taken."""
        return 1000 + i if self.seeds else None

    def first_law(self, text: str = PROMPT, **asked: object) -> LawOf:
        """The reported law of the first token; empty where none is."""
        heard = self.ask(self.request(text, max_tokens=1, logprobs=self.told, **asked))
        tokens = heard.samples[0].tokens
        return by_text(tokens[0].top) if tokens else {}

    @cached_property
    def law(self) -> LawOf:
        """The reported law of the first token at temperature 1."""
        return by_text(self.top_list)

    @cached_property
    def top_list(self) -> tuple[tuple[str, float], ...]:
        """The most likely first tokens at temperature 1, as reported."""
        tokens = self.ask(self.request(max_tokens=1, temperature=1.0, logprobs=self.told)).samples[0].tokens
        return tokens[0].top if tokens else ()

    @property
    def listed(self) -> float:
        """Their mass."""
        return mass(logp for _, logp in self.top_list)

    def first_tokens(self, temperature: float, count: int) -> list[Sample]:
        """The first `count` draws of one token."""
        drawn = self._drawn.setdefault(temperature, [])
        base = self.request(max_tokens=1, temperature=temperature, logprobs=0 if self.endpoint == "chat" else 1)
        some = [replace(base, seed=self.seed(100 + i)) for i in range(len(drawn), count)]
        drawn += [heard.samples[0] for heard in self.ask_all(some)]
        return drawn[:count]


def by_text(top: Sequence[tuple[str, float]]) -> LawOf:
    """A list of tokens as a law of their texts, without pieces of characters: many of them share one text."""
    return {text: logp for text, logp in top if PIECE not in text}


def gap(a: LawOf, b: LawOf) -> float:
    """The largest difference of two reported laws on the tokens they share, nats; nan where they share none."""
    shared = [abs(a[t] - b[t]) for t in a.keys() & b.keys() if min(a[t], b[t]) > -30.0]
    return max(shared, default=math.nan)


def mass(logps: Iterable[float]) -> float:
    """The sum of the probabilities with these logarithms."""
    return sum(math.exp(min(logp, 50.0)) for logp in logps)


def heated(law: LawOf, temperature: float) -> LawOf:
    """p^(1/T) over the tokens listed, normalised, nats."""
    scaled = {t: logp / temperature for t, logp in law.items()}
    top = max(scaled.values())
    total = top + math.log(sum(math.exp(x - top) for x in scaled.values()))
    return {t: x - total for t, x in scaled.items()}


def nucleus(law: LawOf, p: float) -> LawOf:
    """The most likely tokens of mass p, normalised, nats."""
    kept: LawOf = {}
    for t in sorted(law, key=lambda t: -law[t]):
        kept[t] = law[t]
        if mass(kept.values()) >= p:
            break
    total = math.log(mass(kept.values()))
    return {t: logp - total for t, logp in kept.items()}


def log_likelihood(law: LawOf, drawn: Sequence[str]) -> float:
    """Of the drawn tokens, nats; -inf where one cannot be drawn."""
    return sum(law.get(t, -math.inf) for t in drawn)


def entropy(law: LawOf) -> float:
    """Nats."""
    return -sum(math.exp(x) * x for x in law.values())
