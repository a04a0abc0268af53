"""Models behind an OpenAI-compatible server (vLLM, llama.cpp, Ollama, hosted)::

    openai:qwen3:8b,url=http://127.0.0.1:11434/v1
    openai:toy,url=http://127.0.0.1:8000/v1,endpoint=completions,score=yes
    openai:gpt-4o-mini,key=OPENAI_API_KEY

`key` names the environment variable that holds the key; the key itself is never written anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Ask, Journal, Json, Key, Remote, Reply, Scorer, nan
from deadreckon.errors import BadOption
from deadreckon.models.api.contract import LAWS
from deadreckon.models.api.doctor import settle
from deadreckon.models.api.memory import Forgetful, Memory
from deadreckon.models.api.reply import Heard, Sample, Spoilt
from deadreckon.models.api.request import Endpoint, Request
from deadreckon.models.api.sender import Sender
from deadreckon.models.api.terms import Terms
from deadreckon.models.api.wire import OPENAI, Wire, base_url
from deadreckon.seeds import hash64
from deadreckon.specs import known_only, one_of, parse_spec, read_option

CAPACITY = 64  # rollouts in flight, and in one part
OPTIONS = ("url", "endpoint", "score", "key")
YES_NO = one_of("yes", "no")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a model is, and how it is asked."""

    model: str
    url: str = OPENAI
    endpoint: Endpoint = "chat"
    key: str = ""  # the environment variable's name


class OpenAIModel(Remote):
    """A served model. What it can give is found out by `connect`."""

    seed = None
    capacity = CAPACITY

    def __init__(self, name: str, address: Address):
        """Nothing is sent before `connect`."""
        self.name, self.address = name, address
        self.identity: Mapping[str, str] = {
            "engine": "openai",
            "url": address.url,
            "served": address.model,
            "endpoint": address.endpoint,
        }
        self.terms = Terms()
        self.seeds, self.several = True, True  # whether the server takes a seed, and n > 1
        self.logprobs: int | None = None  # how many are asked for; None: none
        self.logprobs_at = ""  # "before" or "after" temperature
        self.sender: Sender | None = None
        self.memory: Memory | None = None
        self.pool: ThreadPoolExecutor | None = None

    def connect(self, terms: Mapping[str, str], *, temperature: float, law: bool) -> Json:
        """See `Remote.connect`."""
        self.terms = Terms.of(terms)
        sender = self.sender = self.open_sender()
        self.pool = ThreadPoolExecutor(self.terms.concurrency, thread_name_prefix="deadreckon-ask")
        self.remember(Forgetful())
        score = law and isinstance(self, Scorer)
        found = settle(sender, self.address.model, self.address.endpoint, temperature, score=score)
        sender.models = frozenset({found.facts["says"]})
        self.seeds, self.several = found.facts["seed"] == "taken", found.passed("n")
        broken = found.failed(LAWS) or ([] if found.passed("logprobs", "meaning") else ["logprobs"])
        if not broken:
            self.logprobs_at = found.facts["logprobs"].partition(" ")[0]
            self.logprobs = 0 if self.address.endpoint == "chat" else 1
        self.identity = {
            **self.identity,
            "says": found.facts["says"],
            "seeds": found.facts["seed"],
            "samples": "n in a request" if self.several else "a request each",
            "logprobs": f"none: {broken[0]}" if broken else f"{self.logprobs_at} temperature",
        }
        return found.json()

    def open_sender(self) -> Sender:
        """A sender of its own. BadOption."""
        where = self.address
        wire = Wire(where.url, where.key, timeout=self.terms.timeout, most=self.terms.concurrency)
        return Sender(wire, self.terms)

    def remember(self, journal: Journal) -> None:
        """See `Remote.remember`."""
        sender = self.ready()
        before = sender.purse.spent
        self.memory = Memory(journal, sender.purse)
        if before != (0, 0):
            self.memory.back("contract", before, False)
        sender.sent, sender.back = self.memory.sent, self.memory.back

    def ready(self) -> Sender:
        """The sender, once connected."""
        if self.sender is None:
            self.connect({}, temperature=1.0, law=True)
        return cast(Sender, self.sender)

    def session(self) -> OpenAISession:
        """Begin work."""
        self.ready()
        return OpenAISession(self)

    # --- From asks to requests and back -----------------------------------------------------------------

    def request(self, ask: Ask, sample: int, n: int) -> Request:
        """Samples `sample` ... `sample + n - 1` of an ask."""
        where, chat = self.address, self.address.endpoint == "chat"
        return Request(
            where.model,
            where.endpoint,
            (("user", ask.prompt),) if chat else (),
            "" if chat else ask.prompt,
            ask.max_tokens,
            ask.temperature,
            n,
            ask.stop,
            seed_of(ask.key, sample) if self.seeds else None,
            self.logprobs,
        )

    def logp(self, sample: Sample, temperature: float) -> float:
        """Nats of the sample as drawn; nan where the server's log-probabilities are not those of the draw."""
        same = temperature == 1.0 or (self.logprobs_at == "after" and temperature > 0.0)
        if self.logprobs is None or not same or not sample.tokens:
            return nan
        return sum(token.logp for token in sample.tokens)


class OpenAIScorer(OpenAIModel, Scorer):
    """A served model whose completions endpoint echoes prompts with log-probabilities, and so scores texts."""

    def session(self) -> OpenAIScorerSession:
        """Begin work."""
        self.ready()
        return OpenAIScorerSession(self)


def seed_of(key: Key, sample: int) -> int:
    """A seed of 31 bits for one sample of one ask: servers differ in what they take."""
    return hash64(key.seed, key.item, key.rollout, key.step, key.ask, sample) & 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Job:
    """One request to be made, and where its samples belong."""

    ask: int
    request: Request
    name: str  # in the journal


@dataclass(frozen=True, slots=True)
class OpenAISession:
    """A served model at work. Prompts are sent whole: nothing is remembered between calls but answers paid for."""

    model: OpenAIModel

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answer each ask, as many at once as the server bears. ServerRefused, CapReached."""
        jobs = [job for i, ask in enumerate(asks) for job in self._jobs(i, ask)]
        answers: list[list[Reply]] = [[] for _ in asks]
        heat = [ask.temperature for ask in asks]
        for job, reply in zip(jobs, ask_all(self.model, jobs, heat), strict=True):
            answers[job.ask].append(reply)
        return [joined(some) for some in answers]

    def _jobs(self, i: int, ask: Ask) -> list[Job]:
        size = ask.n if self.model.several else 1
        jobs = []
        for sample in range(0, ask.n, size):
            request, key = self.model.request(ask, sample, size), ask.key
            jobs.append(Job(i, request, request.key(key.seed, key.item, key.rollout, key.step, key.ask, sample)))
        return jobs


@dataclass(frozen=True, slots=True)
class OpenAIScorerSession(OpenAISession):
    """As OpenAISession, and scores."""

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Log-probability of each text after its ask's prompt, by echo; nan where a token straddles the prompt's end.

        At temperature 1 alone: a server reports one log-probability a token, which cannot be heated.
        """
        jobs = []
        for i, (ask, some) in enumerate(zip(asks, texts, strict=True)):
            for text in some if ask.temperature == 1.0 else ():
                where = self.model.address
                request = Request(where.model, where.endpoint, (), ask.prompt + text, 1, 1.0, logprobs=1, echo=True)
                jobs.append(Job(i, request, request.key()))
        found = iter(ask_all(self.model, jobs, [1.0] * len(asks), [len(asks[job.ask].prompt) for job in jobs]))
        return [
            np.array([next(found).logps[0] if ask.temperature == 1.0 else nan for _ in some])
            for ask, some in zip(asks, texts, strict=True)
        ]


def ask_all(model: OpenAIModel, jobs: Sequence[Job], heat: Sequence[float], echoed: Sequence[int] = ()) -> list[Reply]:
    """One reply a job: from memory, or sent; what is answered is kept before this returns or raises.

    `echoed`: the prompt's characters at each job, where what follows them is scored.
    """
    sender, memory, pool = model.ready(), cast(Memory, model.memory), cast(ThreadPoolExecutor, model.pool)
    replies = [memory.get(job.name) for job in jobs]
    first = {job.name: i for i, job in reversed(list(enumerate(jobs))) if replies[i] is None}
    running: dict[Future[Heard], int] = {
        pool.submit(sender.send, jobs[i].request, jobs[i].name): i for i in sorted(first.values())
    }
    try:
        while running:
            done = wait(running, return_when=FIRST_COMPLETED).done
            heard = [(running.pop(future), future) for future in done]
            kept = []
            for i, future in heard:
                replies[i], spent = outcome(model, future, heat[jobs[i].ask], echoed[i] if echoed else None)
                if spent is not None:
                    kept.append((jobs[i].name, cast(Reply, replies[i]), spent))
            memory.keep(kept)
    finally:
        _let_go(model, jobs, heat, running)
    return [
        cast(Reply, replies[first.get(job.name, i)] if replies[i] is None else replies[i]) for i, job in enumerate(jobs)
    ]


def _let_go(model: OpenAIModel, jobs: Sequence[Job], heat: Sequence[float], running: dict[Future[Heard], int]) -> None:
    """Where the run stops here: begin nothing, but keep the answers that are still under way."""
    if not running:
        return
    model.ready().closing.set()
    for future in running:
        future.cancel()
    wait(running)
    late = [(jobs[i], future) for future, i in running.items() if not future.cancelled() and future.exception() is None]
    replies = [(job.name, *outcome(model, future, heat[job.ask], None)) for job, future in late if not job.request.echo]
    cast(Memory, model.memory).keep([(name, reply, spent) for name, reply, spent in replies if spent is not None])


def outcome(
    model: OpenAIModel, future: Future[Heard], temperature: float, echoed: int | None
) -> tuple[Reply, tuple[int, int] | None]:
    """The reply and the tokens it took; None: it is a fault, which is not kept. ServerRefused, CapReached."""
    try:
        heard = future.result()
    except Spoilt as spoilt:
        return Reply((), (), (), 0, spoilt.code), None
    if echoed is not None:
        logps: tuple[float, ...] = tuple(after(sample, echoed) for sample in heard.samples)
    else:
        logps = tuple(model.logp(sample, temperature) for sample in heard.samples)
    texts = tuple(sample.text for sample in heard.samples)
    return Reply(texts, logps, (nan,) * len(logps), heard.tokens), (heard.prompt_tokens, heard.tokens)


def after(sample: Sample, prompt: int) -> float:
    """Nats of an echoed text after its first `prompt` characters, its one new token apart."""
    at, total = 0, 0.0
    for token in sample.tokens[:-1]:
        if at < prompt < at + len(token.text):
            return nan
        total += token.logp if at >= prompt else 0.0
        at += len(token.text)
    return total if sample.text.startswith(sample.joined[:at]) else nan


def joined(replies: Sequence[Reply]) -> Reply:
    """The samples of one ask, asked for one by one or all at once."""
    faults = [reply.fault for reply in replies if reply.fault]
    if faults:
        return Reply((), (), (), sum(reply.tokens for reply in replies), faults[0])
    return Reply(
        tuple(text for reply in replies for text in reply.texts),
        tuple(logp for reply in replies for logp in reply.logps),
        tuple(h for reply in replies for h in reply.entropies),
        sum(reply.tokens for reply in replies),
    )


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
    return (OpenAIScorer if score else OpenAIModel)(f"openai:{rest}", address)
