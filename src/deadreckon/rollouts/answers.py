"""Where replies come from: a text model's session, or a privileged model's law at the actual state.

Both return, beside each reply, the exact comparison of laws at that context where there is one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from deadreckon.contracts import (
    Ask,
    FiniteWorld,
    Model,
    Privileged,
    Reader,
    Reply,
    Scorer,
    ScorerSession,
    Session,
    World,
    nan,
)
from deadreckon.errors import BadText
from deadreckon.rollouts.prompting import Prompter
from deadreckon.rollouts.recorders import F64, Laws, entropy, kl_pq, kl_qp, right_mass, row_sum, running_sum
from deadreckon.rollouts.transcript import Story
from deadreckon.seeds import Purpose, blocks
from deadreckon.worlds.kinds import UnjudgedWorld


class Law(NamedTuple):
    """The law's columns at one context."""

    kl_pq: float = nan
    kl_qp: float = nan
    right_mass: float = nan
    illegal_mass: float = nan


class Question(NamedTuple):
    """An ask, the state it is asked in (only a privileged model is shown it), and the transcript it goes on with."""

    ask: Ask
    state: Any
    story: Story


Answer = tuple[Reply, Law]

UNKNOWN = Law()
MOST_KNOWN = 4096  # laws kept: bounds memory


class Answers(Protocol):
    """Answers the questions of one group of rollouts."""

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer per question."""
        ...


def pad(rows: Sequence[Sequence[float]]) -> F64:
    """Ragged rows as one matrix, padded with 0 on the right."""
    out = np.zeros((len(rows), max(map(len, rows), default=0)))
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def columns(laws: Laws, illegal: F64) -> list[Law]:
    """One `Law` per context; illegal (n,) is the mass on what is not allowed, nan where unknown."""
    values = (kl_pq(laws), kl_qp(laws), right_mass(laws), illegal)
    return [Law(*map(float, row)) for row in zip(*values, strict=True)]


class FromText:
    """A text model's session; with `law`, a Scorer is asked for the exact masses first."""

    def __init__(self, world: World[Any, Any], model: Model, *, law: bool, end: str | None = None):
        """Opens a session of its own. `end`: what ends a scored action; the world's where None."""
        self.world, self.finite = world, isinstance(world, FiniteWorld)
        self.end = world.end if end is None else end
        self.scorer: ScorerSession | None = model.session() if law and isinstance(model, Scorer) else None
        self.session: Session = self.scorer or model.session()

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer per question; fault "unreadable" where what was written so far is no text of the model's own."""
        try:
            return self._answer(questions)
        except BadText:
            return [self._alone(question) for question in questions]

    def _alone(self, question: Question) -> Answer:
        """One question by itself: the same answer as among others, whose text is not at fault."""
        try:
            return self._answer([question])[0]
        except BadText:
            n = question.ask.n
            return Reply(("",) * n, (nan,) * n, (nan,) * n, 0, "unreadable"), UNKNOWN

    def _answer(self, questions: Sequence[Question]) -> list[Answer]:
        asks, laws = [q.ask for q in questions], [UNKNOWN] * len(questions)
        if self.scorer is None:
            return list(zip(self.session.complete(asks), laws, strict=True))
        acts = [i for i, ask in enumerate(asks) if ask.purpose == "act" and ask.n == 1 and ask.temperature > 0.0]
        if self.finite:
            found = self._laws(self.scorer, [questions[i] for i in acts])
        replies = self.session.complete(asks)
        if not self.finite:
            found = self._masses([questions[i] for i in acts], [replies[i] for i in acts])
        for i, law in zip(acts, found, strict=True):
            laws[i] = law
        return list(zip(replies, laws, strict=True))

    def _laws(self, scorer: ScorerSession, questions: Sequence[Question]) -> list[Law]:
        """The law over all that is allowed, each action one short text."""
        if not questions:
            return []
        p: list[list[float]] = []
        actions: list[list[Any]] = []
        for question in questions:
            policy = self.world.policy(question.state)
            other = [a for a in self.world.legal(question.state) if a not in policy]  # type: ignore[attr-defined]
            p.append([*policy.values(), *[0.0] * len(other)])
            actions.append([*policy, *other])
        q = pad([np.exp(scores).tolist() for scores in self._score(scorer, questions, actions)])
        off_list = np.maximum(1.0 - row_sum(q), 0.0)
        return columns(Laws.of(pad(p), q, off_list), off_list)

    def _masses(self, questions: Sequence[Question], replies: Sequence[Reply]) -> list[Law]:
        """Where the allowed actions are too many to list: the law on the right ones alone.

        An only right action that was just sampled has its probability already.
        """
        policies = [self.world.policy(question.state) for question in questions]
        known = [
            reply.logps[0] if len(policy) == 1 and reply.texts == (self.world.write(next(iter(policy))),) else nan
            for policy, reply in zip(policies, replies, strict=True)
        ]
        rest = [i for i, logp in enumerate(known) if np.isnan(logp) and not replies[i].fault]
        p = pad([list(policy.values()) for policy in policies])
        q = np.zeros(p.shape)
        q[:, :1] = np.exp(np.array(known)[:, None])
        if rest and self.scorer is not None:
            scores = self._score(self.scorer, [questions[i] for i in rest], [list(policies[i]) for i in rest])
            for i, score in zip(rest, scores, strict=True):
                q[i, : len(score)] = np.exp(score)
        return columns(Laws.of(p, q, np.maximum(1.0 - row_sum(q), 0.0)), np.full(len(q), nan))

    def _score(
        self, scorer: ScorerSession, questions: Sequence[Question], actions: Sequence[Sequence[Any]]
    ) -> list[F64]:
        texts = [[self.world.write(action) + self.end for action in listed] for listed in actions]
        return scorer.score([question.ask for question in questions], texts)


class FromWords:
    """A reader's session: asks are put into words first, answers read back; what does not fit is never sent."""

    def __init__(self, prompter: Prompter, reader: Reader, *, law: bool):
        """`reader` reads prompts of the prompter's shape."""
        self.prompter, self.reader = prompter, reader
        self.inner = FromText(prompter.world, reader, law=law, end=prompter.answer_end)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer per question; the fault is `context` where the prompt would not fit."""
        put = [self.prompter.ask(q.ask, q.story, self.reader) for q in questions]
        sent = [q._replace(ask=ask) for q, ask in zip(questions, put, strict=True) if ask is not None]
        found = iter(self.inner.answer(sent) if sent else ())
        answers: list[Answer] = []
        for question, ask in zip(questions, put, strict=True):
            reply, law = (_no_room(question.ask), UNKNOWN) if ask is None else next(found)
            answers.append((reply if reply.fault else self.prompter.read(reply, question.ask, question.story), law))
        return answers


def _no_room(ask: Ask) -> Reply:
    return Reply(("",) * ask.n, (nan,) * ask.n, (nan,) * ask.n, 0, "context")


class Drawn(NamedTuple):
    """What a draw from one law needs and what is recorded of it."""

    cdf: list[float]
    logps: list[float]
    entropy: float
    law: Law

    def pick(self, u: float) -> int:
        """`seeds.pick` of one row."""
        total = self.cdf[-1]
        return min(bisect_right(self.cdf, u * total), bisect_left(self.cdf, total))


Masses = tuple[float, ...]
LawKey = tuple[Masses, Masses, bool]  # Q and P of the same actions, and whether the wrong ones are not allowed


class FromState:
    """A privileged model: draws from its law at the actual state, writes the true belief when it is to think."""

    def __init__(self, world: World[Any, Any], model: Privileged):
        """`model` is handed `world` and every state."""
        self.world, self.model = world, model
        self._known: dict[LawKey, Drawn] = {}  # laws recur from state to state

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer per question."""
        acts = [q for q in questions if q.ask.purpose == "act"]
        drawn = iter(self._draw(acts) if acts else ())
        return [next(drawn) if q.ask.purpose == "act" else (self._think(q), UNKNOWN) for q in questions]

    def _think(self, question: Question) -> Reply:
        n = question.ask.n
        return Reply((self.world.belief(question.state),) * n, (0.0,) * n, (0.0,) * n, n)

    def _draw(self, questions: Sequence[Question]) -> list[Answer]:
        laws = {state: self._law(state) for state in dict.fromkeys(q.state for q in questions)}
        self._learn([key for _, key in laws.values()])
        answers, uniforms = [], iter(_uniforms([q.ask for q in questions]))
        for question in questions:
            actions, key = laws[question.state]
            drawn, n = self._known[key], question.ask.n
            picks = [drawn.pick(next(uniforms)) for _ in range(n)]
            texts = tuple([self.world.write(actions[j]) for j in picks])
            logps = tuple([drawn.logps[j] for j in picks])
            answers.append((Reply(texts, logps, (drawn.entropy,) * n, n), drawn.law))
        return answers

    def _law(self, state: Any) -> tuple[list[Any], LawKey]:
        """The actions of the model's law, and the law without their names."""
        law, policy = self.model.law(self.world, state), self.world.policy(state)
        actions, p = list(law), [0.0] * len(law)
        for action, mass in policy.items():
            p[actions.index(action)] = mass
        return actions, (tuple(law.values()), tuple(p), _wrong_is_illegal(self.world, state, actions, policy))

    def _learn(self, keys: Sequence[LawKey]) -> None:
        """Work out the laws not seen before, all at once."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        new = list(dict.fromkeys(key for key in keys if key not in self._known))
        if not new:
            return
        q, p = pad([key[0] for key in new]), pad([key[1] for key in new])
        bad = np.array([key[2] for key in new])
        laws = Laws.of(p, q, np.zeros(len(new)))
        found = columns(laws, row_sum(np.where(bad[:, None] & (p <= 0.0), q, 0.0)))
        found = [UNKNOWN] * len(new) if isinstance(self.world, UnjudgedWorld) else found
        with np.errstate(divide="ignore"):
            logps = np.log(q)
        rows = zip(new, running_sum(q).tolist(), logps.tolist(), entropy(laws).tolist(), found, strict=True)
        for key, cdf, logp, h, law in rows:
            self._known[key] = Drawn(cdf[: len(key[0])], logp, h, law)


def _uniforms(asks: Sequence[Ask]) -> list[float]:
    """One uniform for each sample of each ask."""
    keys = [ask.key for ask in asks for _ in range(ask.n)]
    found: list[float] = blocks(
        keys[0].seed,
        np.array([k.item for k in keys], np.uint64),
        [k.step for k in keys],
        [k.rollout for k in keys],
        Purpose.ACT,
        [k.ask for k in keys],
        [sample for ask in asks for sample in range(ask.n)],
    )[:, 0].tolist()
    return found


def _wrong_is_illegal(world: World[Any, Any], state: Any, listed: Sequence[Any], policy: Any) -> bool:
    """Whether the listed wrong actions are not allowed: they are all allowed or all not (`World.wrong`)."""
    for action in listed:
        if action not in policy:
            return not world.allows(state, action)
    return False


def open_answers(world: World[Any, Any], model: Model, *, law: bool, prompter: Prompter | None = None) -> Answers:
    """The way this model is asked; nothing is compared with the law of a world that has no oracle."""
    law = law and not isinstance(world, UnjudgedWorld)
    if isinstance(model, Privileged):
        return FromState(world, model)
    if prompter is not None and isinstance(model, Reader):
        return FromWords(prompter, model, law=law)
    return FromText(world, model, law=law)
