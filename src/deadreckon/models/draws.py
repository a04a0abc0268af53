"""From logits to symbols: laws in float64, inverse-CDF draws at places fixed by keys, stop strings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Ask
from deadreckon.models.tokens import Tokenizer
from deadreckon.seeds import Purpose, blocks, pick

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WORDS = 4  # draws in one block of the counter


def log_law(logits: F32, temperature: F64) -> F64:
    """log softmax(logits / temperature) of each row, in float64: (n, vocab), (n,) -> (n, vocab).

    Temperature 0 is the limit: all mass on the highest logit, the first of them where they tie.
    """
    greedy = temperature <= 0.0
    z = logits.astype(np.float64) / np.where(greedy, 1.0, temperature)[:, None]
    z -= z.max(axis=1, keepdims=True)
    logp: F64 = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    if greedy.any():
        best = logits[greedy].argmax(axis=1)
        logp[greedy] = np.where(np.arange(logits.shape[1]) == best[:, None], 0.0, -np.inf)
    return logp


def entropy(logp: F64) -> F64:
    """-sum p log p of each row (nats): (n, vocab) -> (n,)."""
    terms = np.zeros_like(logp)
    np.multiply(np.exp(logp), logp, out=terms, where=logp > -np.inf)
    total: F64 = 0.0 - terms.sum(axis=1)
    return total


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


def draw(logp: F64, uniforms: F64) -> Ints:
    """Inverse-CDF symbols: (n, vocab), (n,) -> (n,)."""
    return pick(np.cumsum(np.exp(logp), axis=1), uniforms)


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
