"""Models behind an OpenAI-compatible server (vLLM, llama.cpp, Ollama, hosted)::

    openai:qwen3:8b,url=http://127.0.0.1:11434/v1
    openai:toy,url=http://127.0.0.1:8000/v1,endpoint=completions,score=yes
    openai:gpt-4o-mini,key=OPENAI_API_KEY

`key` names the environment variable that holds the key; the key itself is never written anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import cast

from deadreckon.contracts import Ask, ChatReader, Journal, Json, Reader, Remote, Scorer, TextReader
from deadreckon.errors import BadOption
from deadreckon.models.api.contract import LAWS
from deadreckon.models.api.doctor import settle
from deadreckon.models.api.memory import Forgetful, Memory
from deadreckon.models.api.request import Endpoint
from deadreckon.models.api.sender import Sender
from deadreckon.models.api.session import Address, Line, Manner, ScorerSession, TextSession
from deadreckon.models.api.terms import Terms
from deadreckon.models.api.wire import OPENAI, Wire, base_url
from deadreckon.specs import known_only, one_of, parse_spec, read_option

CAPACITY = 64  # rollouts in flight, and in one part
OPTIONS = ("url", "endpoint", "score", "key")
YES_NO = one_of("yes", "no")


class OpenAIModel(Remote, Reader):
    """A served model. What it can give is found out by `connect`."""

    seed = None
    capacity = CAPACITY
    context = math.inf  # a server says what is too long for it

    def __init__(self, name: str, address: Address):
        """Nothing is sent before `connect`."""
        self.name, self.address = name, address
        self.identity: Mapping[str, str] = {
            "engine": "openai",
            "url": address.url,
            "served": address.model,
            "endpoint": address.endpoint,
        }
        self.line: Line | None = None

    def connect(self, terms: str, *, temperature: float, law: bool) -> Json:
        """See `Remote.connect`."""
        where, limits = self.address, Terms.of(terms)
        wire = Wire(where.url, where.key, timeout=limits.timeout, most=limits.concurrency)
        sender = Sender(wire, limits)
        score = law and isinstance(self, Scorer)
        with ExitStack() as stack:
            stack.callback(wire.close)
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


class OpenAIText(OpenAIModel, TextReader):
    """A served model that goes on with a text."""


class OpenAIChat(OpenAIModel, ChatReader):
    """A served model that answers a conversation; the server applies the template."""


class OpenAIScorer(OpenAIText, Scorer):
    """A served model whose completions endpoint echoes prompts with log-probabilities, and so scores texts."""

    def session(self) -> ScorerSession:
        """Begin work."""
        return ScorerSession(self.connected())


def load_openai(rest: str) -> OpenAIModel:
    """From a spec after the colon: the model's name as the server knows it, then options. BadOption."""
    served, comma, options = rest.partition(",")
    if not served or "=" in served:
        raise BadOption(f"spec openai:{rest!r} does not name a model: write openai:MODEL,url=http://HOST:PORT/v1")
    given = parse_spec(f"openai:{options}")[1] if comma else {}
    known_only("openai", given, OPTIONS)
    endpoint = cast(Endpoint, read_option("openai", given, "endpoint", one_of("chat", "completions"), "chat"))
    score = read_option("openai", given, "score", YES_NO, "no") == "yes"
    if score and endpoint == "chat":
        raise BadOption("openai score=yes: only a completions endpoint can score texts, add endpoint=completions")
    address = Address(served, base_url(given.get("url", OPENAI)), endpoint, given.get("key", ""))
    kind = OpenAIScorer if score else OpenAIChat if endpoint == "chat" else OpenAIText
    return kind(f"openai:{rest}", address)
