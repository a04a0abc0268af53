"""From logits to symbols: laws in float64, inverse-CDF draws at places fixed by keys, stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Ask, Reply
from deadreckon.models.tokens import Tokenizer
from deadreckon.seeds import Purpose, blocks, pick

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WORDS = 4  # draws in one block of the counter


class Laws:
    """softmax(logits / temperature) of each row, in float64.

    Temperature 0 is the limit: all mass on the highest logit, the first of them where they tie.
    """

    def __init__(self, logits: F32 | F64, temperature: F64):
        """logits (n, vocab), temperature (n,)."""
        greedy = temperature <= 0.0
        z = logits.astype(np.float64)
        z /= np.where(greedy, 1.0, temperature)[:, None]
        z -= z.max(axis=1, keepdims=True)
        if greedy.any():
            best = logits[greedy].argmax(axis=1)
            z[greedy] = np.where(np.arange(z.shape[1]) == best[:, None], 0.0, -np.inf)
        self.z: F64 = z
        self.mass: F64 = np.exp(z)  # not normalised
        self.total: F64 = self.mass.sum(axis=1)

    def draw(self, uniforms: F64) -> Ints:
        """Inverse-CDF symbols: (n,) in [0, 1) -> (n,)."""
        return pick(np.cumsum(self.mass, axis=1), uniforms)

    def logp(self, symbols: Ints) -> F64:
        """Log-probability (nats) of one symbol a row: (n,) -> (n,)."""
        found: F64 = self.z[np.arange(len(symbols)), symbols] - np.log(self.total)
        return found

    def entropy(self) -> F64:
        """-sum p log p of each row (nats): (n,)."""
        mean = np.where(self.mass > 0.0, self.z, 0.0)
        mean *= self.mass
        found: F64 = np.log(self.total) - mean.sum(axis=1) / self.total
        return found


class Draws:
    """The uniforms of each ask's tokens at one sample index: token t reads word t % 4 of block t // 4."""

    def __init__(self, asks: Sequence[Ask], sample: int):
        """All asks are of one run."""
        keys = [ask.key for ask in asks]
        if len({key.seed for key in keys}) > 1:
            raise ValueError("asks of several run seeds in one call")
        self.seed, self.sample = keys[0].seed, sample
        self.items = np.array([key.item for key in keys], np.uint64)
        self.places = np.array([(key.step, key.rollout, key.ask) for key in keys], np.uint64)
        self.words: F64 = np.empty((len(keys), WORDS))

    def at(self, token: int, live: Ints) -> F64:
        """Uniforms of token number `token` for the asks `live`: asked in order, for fewer and fewer asks."""
        if token % WORDS == 0:
            step, rollout, ask = self.places[live].T
            self.words[live] = blocks(
                self.seed, self.items[live], step, rollout, Purpose.ACT, ask, self.sample, token // WORDS
            )
        found: F64 = self.words[live, token % WORDS]
        return found


class Stops:
    """Which symbols may complete a stop string of each ask, and where a text is cut."""

    def __init__(self, asks: Sequence[Ask], tokens: Tokenizer):
        """A symbol may complete a stop if it holds the stop's last character."""
        self.stops = [ask.stop for ask in asks]
        self.kinds = sorted(set(self.stops))
        symbols = ("", *tokens.alphabet)
        self.may = np.array([[any(stop[-1] in s for stop in kind) for s in symbols] for kind in self.kinds])
        self.kind = np.array([self.kinds.index(stop) for stop in self.stops])

    def candidates(self, live: Ints, symbols: Ints) -> Ints:
        """Those of `live` whose newest symbol may complete a stop: indices into `live`."""
        return np.flatnonzero(self.may[self.kind[live], symbols])

    def cut(self, ask: int, text: str) -> str | None:
        """The text before the first stop string in it; None where it holds none."""
        found = [at for at in (text.find(stop) for stop in self.stops[ask]) if at >= 0]
        return text[: min(found)] if found else None


class Pen(Protocol):
    """Where a model stands in each of several texts; it writes on from the ends of their prompts."""

    def push(self, live: Ints, symbols: Ints) -> None:
        """Append one symbol to each of the texts `live`."""
        ...

    def logits(self, live: Ints) -> F32 | F64:
        """Logits of the next symbol of each text: (n, vocab)."""
        ...

    def rewind(self) -> None:
        """All texts back to the ends of their prompts."""
        ...


@dataclass(slots=True)
class Written:
    """One sample: all that was drawn, and the text before its stop string."""

    drawn: str = ""
    text: str = ""
    tokens: int = 0
    logp: float = 0.0  # nats
    entropy: float = 0.0  # nats


def write(pen: Pen, asks: Sequence[Ask], sample: int, vocabulary: Tokenizer) -> list[Written]:
    """Sample number `sample` of each ask: symbols until a stop string is in the text or max_tokens are drawn."""
    pen.rewind()
    draws, stops = Draws(asks, sample), Stops(asks, vocabulary)
    heat = np.array([ask.temperature for ask in asks])
    most = np.array([ask.max_tokens for ask in asks])
    drawn: Ints = np.zeros((len(asks), max(1, int(most.max()))), np.int64)
    logp, spread, tokens = np.zeros(len(asks)), np.zeros(len(asks)), np.zeros(len(asks), np.int64)
    cuts: list[str | None] = [None] * len(asks)
    live, token = np.flatnonzero(most > 0), 0
    while len(live):
        laws = Laws(pen.logits(live), heat[live])
        symbols = laws.draw(draws.at(token, live))
        logp[live] += laws.logp(symbols)
        spread[live] += laws.entropy()
        drawn[live, token] = symbols
        pen.push(live, symbols)
        token += 1
        tokens[live] = token
        on = most[live] > token
        for j in stops.candidates(live, symbols).tolist():
            i = int(live[j])
            cuts[i] = stops.cut(i, vocabulary.decode(drawn[i, :token].tolist()))
            on[j] &= cuts[i] is None
        live = live[on]
    found = []
    for i, cut in enumerate(cuts):
        text = vocabulary.decode(drawn[i, : tokens[i]].tolist())
        found.append(Written(text, text if cut is None else cut, int(tokens[i]), float(logp[i]), float(spread[i])))
    return found


def score(pen: Pen, heat: F64, texts: Sequence[Sequence[Sequence[int]]]) -> list[F64]:
    """Log-probability (nats) of each of each prompt's continuations, given as symbols; the last is not read.

    heat (n,) temperatures; texts: for each of the n prompts, its continuations.
    """
    pen.rewind()
    everyone: Ints = np.arange(len(texts))
    laws = Laws(pen.logits(everyone), heat)
    first: F64 = laws.z - np.log(laws.total)[:, None]
    scores = [np.array([first[i, ids[0]] if ids else 0.0 for ids in some]) for i, some in enumerate(texts)]
    for turn in range(max(map(len, texts), default=0)):
        size = np.array([len(some[turn]) if turn < len(some) else 0 for some in texts])
        for at in range(1, int(size.max())):
            live = np.flatnonzero(size > at)
            pen.push(live, np.array([texts[i][turn][at - 1] for i in live.tolist()]))
            found = Laws(pen.logits(live), heat[live]).logp(np.array([texts[i][turn][at] for i in live.tolist()]))
            for i, value in zip(live.tolist(), found.tolist(), strict=True):
                scores[i][turn] += value
        if size.max() > 1:
            pen.rewind()
    return scores


def reply(samples: Sequence[Written]) -> Reply:
    """The samples of one ask."""
    return Reply(
        tuple(s.text for s in samples),
        tuple(s.logp for s in samples),
        tuple(s.entropy for s in samples),
        sum(s.tokens for s in samples),
    )
