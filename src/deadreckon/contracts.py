"""The nouns that cross layers, on one page. Imports nothing of ours; read this first.

Data flows one way::

    world -> model -> scaffold -> rollouts (step table) -> instrument -> Reading -> study -> report

Words are those of docs/glossary.md. Text is always `str`, log-probabilities are always natural logarithms
(nats), "cannot say" is `nan` or `None` and never 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S")
A = TypeVar("A")
B = TypeVar("B", contravariant=True)

Rows = NDArray[np.int64]  # (n, w): n packed states of a world, w integers each
Codes = NDArray[np.int64]  # (n,) or (n, k): action codes of a world; -1 = no action

nan = float("nan")


# --- Worlds ---------------------------------------------------------------------------------------------


class World(Protocol[S, A]):
    """A formal system whose truth is computable. Pure: no method changes a state; states are hashable.

    A transcript is ``opening(s0)`` and then, for every step, ``says(s) [+ belief(s) + belief_end] + write(a) + end``.
    Tokenising the parts and joining gives the same symbols as tokenising the whole (`check_world` tests it).
    """

    name: str  # versioned, with the transcript style: "maps-shortest-v1"; new rules, new name
    levels: Sequence[int]  # the levels that exist, easiest first
    alphabet: Sequence[str]  # atomic symbols of its transcripts at any level, for small models
    end: str  # ends every action in a transcript, never empty; may share a symbol with the action ("d3 ")
    width: int  # most symbols an action takes, end included
    belief_end: str  # ends every belief in a transcript
    belief_width: int  # most symbols a belief takes, belief_end included

    def start(self, level: int, rng: np.random.Generator) -> S:
        """Draw a start state. All randomness of a stochastic environment lives in it. BadOption: no such level."""
        ...

    def allows(self, state: S, action: A) -> bool:
        """Whether the rules accept the action in this state (right or wrong)."""
        ...

    def step(self, state: S, action: A) -> S:
        """The next state. IllegalAction where `allows` is False."""
        ...

    def done(self, state: S) -> bool:
        """Whether the episode has reached its planned end (goal, last entry, no move left)."""
        ...

    def policy(self, state: S) -> Mapping[A, float]:
        """Exact distribution over the right actions from the *actual* state; sums to 1; not called when done."""
        ...

    def wrong(self, state: S) -> Sequence[A]:
        """Wrong actions an intervention may inject: allowed slips where the world can represent one, else illegal ones.

        Deterministic order; empty only where every action is right.
        """
        ...

    def mend(self, state: S) -> A | None:
        """From a wrong state: the action that restores the true state instead of carrying on; None if there is none."""
        ...

    def true(self, state: S) -> bool | None:
        """Is this the state of an error-free history? None = undefined in this world."""
        ...

    def fixes(self, state: S) -> bool:
        """Whether what the world says before this turn gives the true state away (a fix)."""
        ...

    def distance(self, state: S) -> float:
        """Fewest right steps to the goal; inf = lost for good; nan = no goal."""
        ...

    def opening(self, state: S) -> str:
        """Text that puts the reader in the start state."""
        ...

    def says(self, state: S) -> str:
        """Text the world itself adds before the turn (a line label, a fix, an opponent); "" = none."""
        ...

    def belief(self, state: S) -> str:
        """The tracked state as a model is to write it in a monologue (short, without `belief_end`)."""
        ...

    def show(self, state: S) -> str:
        """Full notation: restore(show(s)) == s."""
        ...

    def restore(self, text: str) -> S:
        """Inverse of `show`. BadText where the notation cannot be read."""
        ...

    def write(self, action: A) -> str:
        """The action as text, without `end`: parse(write(a)) == a."""
        ...

    def parse(self, text: str) -> A | None:
        """The action this text names (`end` already removed); None: not an action at all."""
        ...

    def rules(self) -> str:
        """The rules in words, for a model that reads prompts."""
        ...


@runtime_checkable
class FiniteWorld(World[S, A], Protocol[S, A]):
    """A world that can also list what it allows."""

    def legal(self, state: S) -> Sequence[A]:
        """Every allowed action, in a fixed order."""
        ...


@runtime_checkable
class BriefedWorld(World[S, A], Protocol[S, A]):
    """A world whose transcripts leave out something that a reader who was not trained on them has to be told."""

    def brief(self, level: int) -> str:
        """What is left out, in words: a street map."""
        ...


@runtime_checkable
class BatchWorld(World[S, A], Protocol[S, A]):
    """A world that also runs on arrays: the same rules on n states at once, exactly as the scalar methods.

    A packed state is one row of int64; an action is an int64 code, -1 for none. The order of actions in
    `batch_policy` and `batch_wrong` is that of `policy` and `wrong`.
    """

    def pack(self, states: Sequence[S]) -> Rows:
        """States as rows: (n, w)."""
        ...

    def unpack(self, rows: Rows) -> list[S]:
        """Inverse of `pack`."""
        ...

    def code(self, action: A) -> int:
        """The code of an action; `write` of it is `batch_write` of the code."""
        ...

    def batch_done(self, rows: Rows) -> NDArray[np.bool_]:
        """`done` of each row: (n,)."""
        ...

    def batch_true(self, rows: Rows) -> NDArray[np.int8]:
        """`true` of each row: (n,), 1 true, 0 false, -1 undefined."""
        ...

    def batch_distance(self, rows: Rows) -> NDArray[np.float64]:
        """`distance` of each row: (n,)."""
        ...

    def batch_fixes(self, rows: Rows) -> NDArray[np.bool_]:
        """`fixes` of each row: (n,)."""
        ...

    def batch_policy(self, rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`policy` of each row: codes (n, r) padded with -1, probabilities (n, r) padded with 0."""
        ...

    def batch_wrong(self, rows: Rows) -> Codes:
        """`wrong` of each row: (n, k) padded with -1 at the end."""
        ...

    def batch_mend(self, rows: Rows) -> Codes:
        """`mend` of each row: (n,), -1 = none."""
        ...

    def batch_allows(self, rows: Rows, codes: Codes) -> NDArray[np.bool_]:
        """`allows` of each row and its code: (n,)."""
        ...

    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        """`step` of each row; rows whose code is not allowed are undefined."""
        ...

    def batch_show(self, rows: Rows) -> list[str]:
        """`show` of each row."""
        ...

    def batch_write(self, codes: Codes) -> list[str]:
        """`write` of each code, "" for -1."""
        ...


@runtime_checkable
class BatchSpeaker(Protocol):
    """A batched world that speaks on arrays too: worth it where a state is dear to unpack."""

    def batch_says(self, rows: Rows) -> list[str]:
        """`says` of each row."""
        ...


@runtime_checkable
class DecliningWorld(Protocol[B]):
    """A world in which one may decline to answer: allowed, and neither right nor an error."""

    def declines(self, action: B) -> bool:
        """Whether this action declines."""
        ...


# --- Models ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """Where a draw stands (never when it happens): see seeds.py."""

    seed: int  # of the run
    item: int  # hash64 of world name, level and item index
    rollout: int  # which repeat of the item
    step: int
    ask: int = 0  # which ask within the step


class Message(NamedTuple):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for text: everything a model may know, as text."""

    prompt: str  # the text to go on with; not read where there are messages
    key: Key
    n: int = 1  # samples
    max_tokens: int = 64
    temperature: float = 1.0  # 0 = greedy
    stop: tuple[str, ...] = ("\n",)
    purpose: Literal["act", "think"] = "act"
    messages: tuple[Message, ...] = ()  # a conversation to answer, for a `ChatReader`; the last is the user's


@dataclass(frozen=True, slots=True)
class Reply:
    """n texts, each cut before its stop string. Arrays are one value a sample, nan where the model cannot say."""

    texts: tuple[str, ...]
    logps: tuple[float, ...]  # nats of the text as sampled, stop included where it was sampled
    entropies: tuple[float, ...]  # nats: sum over its tokens of the entropy of the law each was drawn from
    tokens: int  # sampled, over all n
    fault: str = ""  # a code: provider or machine fault; then texts are meaningless
    answers: tuple[str, ...] = ()  # the texts as the model wrote them, where reading them changed one (prompting.py)


class Session(Protocol):
    """A model at work on one group of rollouts; remembers what it has read."""

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answer each ask; at most one ask per (item, rollout) in a call."""
        ...


class ScorerSession(Session, Protocol):
    """A session that also gives exact next-text distributions."""

    def score(self, asks: Sequence[Ask], texts: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Log-probability (nats, at each ask's temperature) of each continuation text given the ask's prompt."""
        ...


class Model(ABC):
    """Text in, text out. A capability is a subclass, never a flag."""

    name: str  # the canonical spec that loads it again: "noisy-oracle:slip=0.02,recover=0.1"
    identity: Mapping[str, str]  # what its bytes depend on: weights hash, dtype, engine, library, CPU class
    seed: int | None  # training seed; None where it was not trained
    capacity: int  # most rollouts in one session

    def check(self, text: str) -> None:  # noqa: B027  most models read every text
        """BadText where the text holds symbols that the model does not know."""

    @abstractmethod
    def session(self) -> Session:
        """Begin work on a new group of at most `capacity` rollouts."""


class Scorer(Model):
    """A model whose sessions can score texts."""

    @abstractmethod
    def session(self) -> ScorerSession:
        """As `Model.session`."""


class TransparentSession(Session, Protocol):
    """A session that also shows the model's hidden states."""

    def activations(self, asks: Sequence[Ask]) -> NDArray[np.float32]:
        """Residual stream at the last symbol of each ask's prompt: (n, layers + 1, width), the embedding first.

        nan where the prompt exceeds the context.
        """
        ...


class Transparent(Model):
    """A model whose sessions show their hidden states."""

    layers: int
    hidden: int  # width of the residual stream

    @abstractmethod
    def session(self) -> TransparentSession:
        """As `Model.session`."""


class Reader(Model):
    """A model of general text: what it is asked is put into words first (prompting.py), and has to fit."""

    context: float  # most tokens of prompt and answer together; inf = cannot say

    @abstractmethod
    def length(self, ask: Ask) -> int:
        """Tokens of the ask's prompt, or of its messages with the template around them."""


class TextReader(Reader):
    """A reader that goes on with `Ask.prompt`."""


class ChatReader(Reader):
    """A reader that answers `Ask.messages` where an ask has them; the template is applied once, by the adapter.

    A scored text is then a whole answer: its probability is that of the text and of ending there.
    """


class Privileged(Model):
    """A model that is handed the world and the state (never by text): the oracles, the instrument's test sources.

    Answers draw with purpose ACT at sample 0, token 0 by inverse CDF over `law` in its order.
    """

    @abstractmethod
    def law(self, world: World[S, A], state: S) -> Mapping[A, float]:
        """Its exact distribution over actions in this state, in the order it is sampled."""

    @abstractmethod
    def batch_law(self, world: BatchWorld[S, A], rows: Rows) -> tuple[Codes, NDArray[np.float64]]:
        """`law` of each row: codes (n, k) padded with -1 anywhere, probabilities (n, k), 0 where padded."""

    def session(self) -> Session:
        """Refused: the runner answers for a privileged model from `law`."""
        raise TypeError(f"{self.name} is handed states, not text: run it through deadreckon.roll")


class Journal(Protocol):
    """What a run has asked of a remote model, and heard: kept, so that no answer is paid for twice."""

    def entries(self) -> Sequence[Json]:
        """All that was written, in order."""
        ...

    def write(self, entries: Sequence[Json], *, durable: bool) -> None:
        """Append; durable: it survives any crash once this returns. Called from several threads."""
        ...


class Remote(Model):
    """A model behind a wire: it reads prompts, its answers cost, and its promises are checked before it is measured."""

    @abstractmethod
    def connect(self, terms: str, *, temperature: float, law: bool) -> Json:
        """Check what a run at this temperature needs, complete `identity`, return the findings. BrokenContract."""

    @abstractmethod
    def remember(self, journal: Journal) -> None:
        """Answer from this journal what it holds, and write there what is asked and heard."""

    @abstractmethod
    def watch(self, note: Callable[[str], None]) -> None:
        """Say now and then, in a line, how the asking goes: rate, tokens, cost, faults by code."""

    @abstractmethod
    def close(self) -> None:
        """Let go of its connections; `connect` makes new ones."""


# --- Scaffolds ------------------------------------------------------------------------------------------


class View(NamedTuple):
    """What a scaffold sees: text and sizes; never a state or a model."""

    text: str  # the transcript so far, what the world says before this turn included
    key: Key
    end: str
    width: int
    belief_end: str
    belief_width: int
    filler: str  # text of a belief's length that carries no information, its end included
    temperature: float = 1.0


class Turn(NamedTuple):
    """What a scaffold decides: an action's text, and what it leaves in the transcript before it."""

    action: str
    thought: str = ""  # stays in the transcript, its end included
    belief: str = ""  # the state the model wrote down, to be judged; "" = none
    confidence: float = nan
    logp: float = nan
    entropy: float = nan
    thought_logp: float = nan
    written: int = 0  # symbols the scaffold itself put into the transcript; they cost like sampled ones


Scaffold = Callable[[View], Generator[Ask, Reply, Turn]]


# --- Rollouts -------------------------------------------------------------------------------------------


class Event(StrEnum):
    """How a step is judged, against the *actual* state."""

    RIGHT = "right"  # in the oracle's support
    MEND = "mend"  # not in it, but restores the true state from a wrong one
    SLIP = "slip"  # allowed, neither
    ILLEGAL = "illegal"
    UNPARSED = "unparsed"
    ABSTAIN = "abstain"  # declines to answer (`DecliningWorld`): neither right nor an error


ERRORS = (Event.SLIP, Event.ILLEGAL, Event.UNPARSED)


class Stop(StrEnum):
    """Why a rollout ended; written on its last row only."""

    DONE = "done"
    LOST = "lost"  # goal unreachable
    BROKEN = "broken"  # ended by an error: rule `stop`, or an error the world cannot go on from
    HORIZON = "horizon"  # planned end: censored
    CUT = "cut"  # token, context or cost limit: censored, possibly informative
    FAULT = "fault"  # provider or machine: censored


class OnError(StrEnum):
    """What happens after an error: a declared rule of the run."""

    STOP = "stop"
    SKIP = "skip"  # text stays in the context, state unchanged
    REPAIR = "repair"  # the oracle's action replaces it in context and state: teacher forcing
    ACCEPT = "accept"  # the world goes on from the wrong state; `broken` where it cannot represent it


class Forced(StrEnum):
    """Whose step it is, where it is not the model's own. Forced steps are never counted as the model's.

    Under the rule `repair` the row keeps the model's own attempt and its event (that is the teacher-forced
    error); what the oracle put in its place stands in the column `taken`.
    """

    INJECTED = "injected"
    HEALED = "healed"


# --- Readings -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """A reading along x. All sequences have one length; nan where not estimable."""

    x_name: str
    x: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: tuple[int, ...]  # items behind each point


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured quantity. value = nan means "not estimable" and `reason` says why."""

    quantity: str  # a stable name from docs/glossary.md: "hazard", "horizon_50"
    unit: str
    value: float
    low: float
    high: float
    level: float  # of the interval, 0.95
    n: int  # items: the unit of resampling
    method: str
    by: str = ""  # the group it is about: "sums-clean", "step 3"
    reason: str = ""  # why a value or an interval is missing, or a caveat a reader needs
    curve: Curve | None = field(default=None, repr=False)


class Verdict(StrEnum):
    """What a study says of its claim."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, the sentence that gives its figures, and the readings behind it."""

    verdict: Verdict
    because: str
    readings: tuple[Reading, ...]


Json = Any  # what json.loads returns; never crosses a layer unvalidated
