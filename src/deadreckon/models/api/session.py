"""A served model at work: asks become requests, replies become answers, and what is paid for is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Ask, Key, Reply, nan
from deadreckon.models.api.memory import Memory
from deadreckon.models.api.reply import Heard, Sample, Spoilt
from deadreckon.models.api.request import Endpoint, Request
from deadreckon.models.api.sender import Sender
from deadreckon.models.api.wire import OPENAI
from deadreckon.seeds import hash64


@dataclass(frozen=True, slots=True)
class Address:
    """Where a model is, and how it is asked."""

    model: str
    url: str = OPENAI
    endpoint: Endpoint = "chat"
    key: str = ""  # the environment variable's name
    also: str = ""  # sent with every request: `read_also`


@dataclass(frozen=True, slots=True)
class Manner:
    """How this server is asked, after its contract."""

    address: Address
    seeds: bool = True  # whether it takes a seed
    several: bool = True  # whether it takes n > 1
    logprobs: str = ""  # "before temperature" or "after temperature"; empty: none are asked for

    def request(self, ask: Ask, sample: int, n: int) -> Request:
        """Samples `sample` ... `sample + n - 1` of an ask."""
        where, chat = self.address, self.address.endpoint == "chat"
        messages = tuple((message.role, message.text) for message in ask.messages) or (("user", ask.prompt),)
        return Request(
            where.model,
            where.endpoint,
            messages if chat else (),
            "" if chat else ask.prompt,
            ask.max_tokens,
            ask.temperature,
            n,
            ask.stop,
            seed_of(ask.key, sample) if self.seeds else None,
            None if not self.logprobs else 0 if chat else 1,
        )

    def logp(self, sample: Sample, temperature: float) -> float:
        """Nats of the sample as drawn; nan where the server's log-probabilities are not those of the draw."""
        same = temperature == 1.0 or (self.logprobs == "after temperature" and temperature > 0.0)
        if not self.logprobs or not same or not sample.tokens:
            return nan
        return sum(token.logp for token in sample.tokens)


@dataclass(slots=True)
class Line:
    """A connected server: how it is asked, who sends, and what is remembered."""

    manner: Manner
    sender: Sender
    memory: Memory
    pool: ThreadPoolExecutor
    note: Callable[[str], None] = lambda _text: None


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
class TextSession:
    """A served model at work. Prompts are sent whole: nothing is remembered between calls but answers paid for."""

    line: Line

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answer each ask, as many at once as the server bears. ServerRefused, CapReached."""
        jobs = [job for i, ask in enumerate(asks) for job in self._jobs(i, ask)]
        answers: list[list[Reply]] = [[] for _ in asks]
        heat = [ask.temperature for ask in asks]
        for job, reply in zip(jobs, ask_all(self.line, jobs, heat), strict=True):
            answers[job.ask].append(reply)
        return [joined(some) for some in answers]

    def _jobs(self, i: int, ask: Ask) -> list[Job]:
        size = ask.n if self.line.manner.several else 1
        jobs = []
        for sample in range(0, ask.n, size):
            request, key = self.line.manner.request(ask, sample, size), ask.key
            jobs.append(Job(i, request, request.key(key.seed, key.item, key.rollout, key.step, key.ask, sample)))
        return jobs


@dataclass(frozen=True, slots=True)
class ScorerSession(TextSession):
    """As TextSession, and scores."""

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Log-probability of each text after its ask's prompt, by echo; nan where a token straddles the prompt's end.

        At temperature 1 alone: a server reports one log-probability a token, which cannot be heated.
        """
        jobs = []
        for i, (ask, some) in enumerate(zip(asks, texts, strict=True)):
            for text in some if ask.temperature == 1.0 else ():
                where = self.line.manner.address
                request = Request(where.model, where.endpoint, (), ask.prompt + text, 1, 1.0, logprobs=1, echo=True)
                jobs.append(Job(i, request, request.key()))
        found = iter(ask_all(self.line, jobs, [1.0] * len(asks), [len(asks[job.ask].prompt) for job in jobs]))
        return [
            np.array([next(found).logps[0] if ask.temperature == 1.0 else nan for _ in some])
            for ask, some in zip(asks, texts, strict=True)
        ]


def ask_all(line: Line, jobs: Sequence[Job], heat: Sequence[float], echoed: Sequence[int] = ()) -> list[Reply]:
    """One reply a job: from memory, or sent; what is answered is kept before this returns or raises.

    `echoed`: the prompt's characters at each job, where what follows them is scored.
    """
    sender, memory, pool = line.sender, line.memory, line.pool
    replies = [memory.get(job.name) for job in jobs]
    first = {job.name: i for i, job in reversed(list(enumerate(jobs))) if replies[i] is None}
    running: dict[Future[Heard], int] = {}
    past = dict(enumerate(echoed))
    try:
        for i in sorted(first.values()):  # within: a stop may come while some are sent already
            running[pool.submit(sender.send, jobs[i].request, jobs[i].name)] = i
        while running:
            done = wait(running, return_when=FIRST_COMPLETED).done
            kept = []
            for future in done:
                i = running[future]
                replies[i], spent = outcome(line, future, heat[jobs[i].ask], past.get(i))
                if spent is not None:
                    kept.append((jobs[i].name, cast(Reply, replies[i]), spent))
            memory.keep(kept)
            for future in done:
                del running[future]
            line.note(sender.news())
    finally:
        if running:
            sender.closing.set()
            late = let_go(running)
            answers = [(jobs[i].name, *outcome(line, f, heat[jobs[i].ask], past.get(i))) for f, i in late.items()]
            memory.keep([(name, reply, spent) for name, reply, spent in answers if spent is not None])
    found = [replies[first.get(job.name, i)] if replies[i] is None else replies[i] for i, job in enumerate(jobs)]
    return cast(list[Reply], found)


def let_go(running: dict[Future[Heard], int]) -> dict[Future[Heard], int]:
    """Begin nothing more, wait for what is under way, and give what was answered."""
    for future in running:
        future.cancel()
    wait(running)
    return {f: i for f, i in running.items() if not f.cancelled() and f.exception() is None}


def outcome(
    line: Line, future: Future[Heard], temperature: float, echoed: int | None
) -> tuple[Reply, tuple[int, int] | None]:
    """The reply and the tokens it took; None: it is a fault, which is not kept. ServerRefused, CapReached."""
    try:
        heard = future.result()
    except Spoilt as spoilt:
        return Reply((), (), (), 0, spoilt.code), None
    if echoed is not None:
        logps: tuple[float, ...] = tuple(after(sample, echoed) for sample in heard.samples)
    else:
        logps = tuple(line.manner.logp(sample, temperature) for sample in heard.samples)
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
