"""The n-gram: the next symbol given the last `order` symbols, counted in expert transcripts of one world.

Interpolated Witten-Bell smoothing (Witten & Bell 1991; Chen & Goodman 1999, section 2.5): with c(h w) the count of
symbol w after context h, c(h) their sum, T(h) the number of different symbols seen after h, h' the context less
its oldest symbol, and the uniform law over the alphabet under the empty context's own counts,

    P(w | h) = (c(h w) + T(h) P(w | h')) / (c(h) + T(h))
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from deadreckon.contracts import A, Ask, Reply, S, Scorer, World
from deadreckon.errors import BadOption
from deadreckon.models.draws import F64, Ints, Written, reply, score, write
from deadreckon.models.tokens import BEGIN, Tokenizer
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.specs import parse_spec, read_options
from deadreckon.worlds import load_world

CAPACITY = 4096  # rollouts in flight
LONGEST = 512  # actions of a transcript

Context = tuple[int, ...]


def transcript(world: World[S, A], level: int, rng: np.random.Generator) -> str:
    """One error-free text: each action drawn from the policy, until the world is done or `LONGEST` actions."""
    state = world.start(level, rng)
    parts = [world.opening(state)]
    for _ in range(LONGEST):
        if world.done(state):
            break
        law = world.policy(state)
        p = np.array(list(law.values()))
        action = list(law)[rng.choice(len(p), p=p / p.sum())]
        parts += [world.says(state), world.write(action), world.end]
        state = world.step(state, action)
    return "".join(parts)


class NGramModel(Scorer):
    """Counts after contexts of 0 ... order symbols; reads texts of any length."""

    capacity = CAPACITY

    def __init__(self, name: str, order: int, tokens: Tokenizer, texts: Iterable[Sequence[int]], seed: int):
        """Counts `texts`, symbols without the begin symbol. BadOption: order below 0."""
        if order < 0:
            raise BadOption(f"ngram order={order}: give the number of symbols it looks back on, 0 or more")
        self.name, self.order, self.tokens, self.seed = name, order, tokens, seed
        self.counts: dict[Context, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for text in texts:
            self._count([BEGIN, *text])
        listed = sorted((h, sorted(after.items())) for h, after in self.counts.items())
        self.identity: Mapping[str, str] = {
            "weights": sha256(repr(listed).encode()).hexdigest(),
            "engine": "ngram",
            "dtype": "float64",
            "numpy": np.__version__,
        }
        self._laws: dict[Context, F64] = {}

    def _count(self, ids: Sequence[int]) -> None:
        for at in range(1, len(ids)):
            for size in range(min(self.order, at) + 1):
                self.counts[tuple(ids[at - size : at])][ids[at]] += 1

    def law(self, context: Context) -> F64:
        """P(symbol | context), (vocab,); only the last `order` symbols matter; the begin symbol has mass 0."""
        context = context[len(context) - self.order :] if len(context) > self.order else context
        if context not in self._laws:
            self._laws[context] = self._smoothed(context)
        return self._laws[context]

    def _smoothed(self, context: Context) -> F64:
        if context:
            shorter = self.law(context[1:])
        else:
            shorter = np.full(self.tokens.size, 1.0 / (self.tokens.size - 1))
            shorter[BEGIN] = 0.0
        after = self.counts.get(context)
        if not after:
            return shorter
        seen: F64 = np.zeros(self.tokens.size)
        seen[list(after)] = list(after.values())
        law: F64 = (seen + len(after) * shorter) / (seen.sum() + len(after))
        return law

    def check(self, text: str) -> None:
        """BadText where the text holds symbols outside its alphabet."""
        self.tokens.encode(text)

    def session(self) -> NGramSession:
        """Begin work."""
        return NGramSession(self)


@dataclass(slots=True)
class Texts:
    """Some texts to write on, as symbols."""

    model: NGramModel
    prompts: list[list[int]]
    after: list[list[int]] = field(default_factory=list)

    def push(self, live: Ints, symbols: Ints) -> None:
        """Append one symbol to each."""
        for i, symbol in zip(live.tolist(), symbols.tolist(), strict=True):
            self.after[i].append(symbol)

    def logits(self, live: Ints) -> F64:
        """Log-laws after all that was pushed."""
        order = self.model.order
        texts = [self.prompts[i][-order - 1 :] + self.after[i] for i in live.tolist()]
        with np.errstate(divide="ignore"):
            return np.log(np.stack([self.model.law(tuple(text)) for text in texts]))

    def rewind(self) -> None:
        """Back to the ends of the prompts."""
        self.after = [[] for _ in self.prompts]


@dataclass(frozen=True, slots=True)
class NGramSession:
    """An n-gram at work; nothing is remembered between calls."""

    model: NGramModel

    def _texts(self, asks: Sequence[Ask]) -> Texts:
        return Texts(self.model, [[BEGIN, *self.model.tokens.encode(ask.prompt)] for ask in asks])

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answer each ask. BadText."""
        samples: list[list[Written]] = [[] for _ in asks]
        texts = self._texts(asks)
        for sample in range(max((ask.n for ask in asks), default=0)):
            among = [i for i, ask in enumerate(asks) if ask.n > sample]
            some = Texts(self.model, [texts.prompts[i] for i in among])
            for i, one in zip(among, write(some, [asks[i] for i in among], sample, self.model.tokens), strict=True):
                samples[i].append(one)
        return [reply(some) for some in samples]

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[F64]:
        """Log-probability of each text after its ask's prompt. BadText."""
        if not asks:
            return []
        ids = [[self.model.tokens.encode(text) for text in some] for some in texts]
        return score(self._texts(asks), np.array([ask.temperature for ask in asks]), ids)


def fit_ngram(world: World[S, A], level: int, order: int, transcripts: int = 2000, seed: int = 0) -> NGramModel:
    """Count `transcripts` expert texts of this world. BadOption: a size out of range.

    Its name is a spec that fits it again where the world's name is its spec.
    """
    if transcripts < 1:
        raise BadOption(f"ngram transcripts={transcripts}: give at least 1")
    tokens, item = Tokenizer(world.alphabet), hash64("ngram", world.name, level)
    texts = (transcript(world, level, generator(seed, item, Purpose.TEXT, i)) for i in range(transcripts))
    name = f"ngram:world={world.name},level={level},order={order},transcripts={transcripts},seed={seed}"
    return NGramModel(name, order, tokens, map(tokens.encode, texts), seed)


def load_ngram(rest: str) -> NGramModel:
    """From ``world=sums+k=8,level=2,order=3[,transcripts=2000,seed=0]``; "+" stands before each option of the world.

    BadOption: an option is missing or out of range; UnknownName: no such world.
    """
    given = parse_spec(f"ngram:{rest}")[1]
    spec = given.pop("world", "")
    if not spec:
        raise BadOption(f"ngram {rest!r} names no world: write ngram:world=sums,level=1,order=3")
    sizes = read_options("ngram", given, {"level": int, "order": int, "transcripts": int, "seed": int})
    world = load_world(spec.replace("+", ":", 1).replace("+", ","))
    model = fit_ngram(world, **({"level": 1, "order": 3} | sizes))
    model.name = f"ngram:{rest}"
    return model
