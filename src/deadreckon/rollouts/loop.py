"""The plain loop: world, model and scaffold joined, one group of rollouts at a time.

Rollouts of a group advance together, one ask each per tick. What a rollout does depends on its own history and
its own draws only, so groups may be cut anywhere.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deadreckon.contracts import (
    Ask,
    Forced,
    Key,
    OnError,
    Reply,
    Scaffold,
    Stop,
    Turn,
    View,
    World,
)
from deadreckon.rollouts.answers import UNKNOWN, Answers, Law, Question
from deadreckon.rollouts.judge import (
    Judged,
    ending,
    goal_open,
    goes_on,
    is_error,
    judge,
    oracle_action,
    wrong_action,
)
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.table import Step
from deadreckon.rollouts.transcript import Story, play, sizes_of, view_of

CUT_CODES = (
    "context",
    "tokens",
    "cost",
    "unreadable",
)  # limits of ours; every other fault code is the provider's or machine's


@dataclass(slots=True)
class Live:
    """One rollout under way."""

    item: int
    key: Key
    state: Any
    story: Story
    steps: list[Step] = field(default_factory=list)
    turn: Generator[Ask, Reply, Turn] | None = None
    ask: Ask | None = None
    tokens: int = 0
    asks: int = 0
    law: Law = UNKNOWN
    lenient: dict[str, str] = field(default_factory=dict)  # of this step: what was read -> the answer as written
    over: bool = False


class Loop:
    """Runs rollouts of one spec."""

    def __init__(self, world: World[Any, Any], scaffold: Scaffold, spec: RollSpec):
        """`spec.world` and `spec.scaffold` loaded."""
        self.world, self.scaffold, self.spec = world, scaffold, spec
        self.sizes = sizes_of(world)

    def run(self, lives: Sequence[Live], answers: Answers) -> None:
        """Run every rollout to its end, filling its steps."""
        for live in lives:
            self._begin(live)
        waiting = [live for live in lives if not live.over]
        while waiting:
            asked = [Question(live.ask, live.state, live.story) for live in waiting if live.ask is not None]
            for live, (reply, law) in zip(waiting, answers.answer(asked), strict=True):
                self._receive(live, reply, law)
            waiting = [live for live in waiting if not live.over]

    def _begin(self, live: Live) -> None:
        """Start turns until one has an ask, or the rollout is over."""
        while not live.over:
            live.story.says(self.world.says(live.state))
            forced = self._forced(live)
            if forced is None:
                live.turn = self.scaffold(self._view(live))
                self._advance(live, None)
                if live.ask is not None:
                    return
            else:
                kind, action = forced
                thought, text = self.world.belief(live.state), self.world.write(action)
                self._settle(live, play(self.scaffold, self._view(live), thought, text), kind)

    def _view(self, live: Live) -> View:
        key = Key(live.key.seed, live.key.item, live.key.rollout, len(live.steps))
        return view_of(live.story, key, self.sizes, self.spec.temperature)

    def _forced(self, live: Live) -> tuple[Forced, Any] | None:
        """The action an intervention declares for this step."""
        t = len(live.steps)
        key, place = (live.key.seed, live.key.item), (t, live.key.rollout)
        if t == self.spec.inject:
            action = wrong_action(self.world, live.state, key, place)
            return None if action is None else (Forced.INJECTED, action)
        if t < self.spec.heal:
            return Forced.HEALED, oracle_action(self.world, live.state, key, place)
        return None

    def _advance(self, live: Live, reply: Reply | None) -> None:
        """Move the scaffold on: to its next ask, or to its turn."""
        assert live.turn is not None
        live.ask = None
        try:
            live.ask = next(live.turn) if reply is None else live.turn.send(reply)
            live.asks += 1
        except StopIteration as end:
            self._settle(live, end.value, None)

    def _receive(self, live: Live, reply: Reply, law: Law) -> None:
        live.tokens += reply.tokens
        if reply.fault:
            self._cut(live, reply.fault)
            return
        if live.ask is not None and live.ask.purpose == "act":
            live.law = law
            answers = reply.answers or reply.texts
            live.lenient |= {text: raw for text, raw in zip(reply.texts, answers, strict=True) if text != raw}
        self._advance(live, reply)
        if live.ask is None:
            self._begin(live)

    def _cut(self, live: Live, code: str) -> None:
        """End the rollout by a limit or a fault: a last row that never became a step."""
        stop = Stop.CUT if code in CUT_CODES else Stop.FAULT
        step = Step(
            t=len(live.steps),
            event=None,
            true_state=None,
            goal_open=None,
            fix=self.world.fixes(live.state),
            stop=stop.value,
            fault_code=code,
            state=self.world.show(live.state),
            tokens=live.tokens,
            asks=live.asks,
        )
        live.steps.append(step)
        live.over, live.ask = True, None

    def _settle(self, live: Live, turn: Turn, forced: Forced | None) -> None:
        """Judge the turn, write its row, and put the rollout where the rule of the run says."""
        world, before, t = self.world, live.state, len(live.steps)
        judged = judge(world, before, turn.action)
        state, taken = (judged.after, None) if forced is Forced.HEALED else self._outcome(live, judged)
        live.story.ends(turn.thought, turn.action if taken is None else taken, world.end)
        answer = live.lenient.get(turn.action)
        if state is None:  # no word of a world without an oracle: nothing to go on from
            self._cut(live, "unreadable")
            return
        open_goal = goal_open(world, state)
        if goes_on(judged, self.spec.on_error):
            stop = ending(world, state, open_goal=open_goal, last=t + 1 == self.spec.horizon)
        else:
            stop = Stop.BROKEN
        live.steps.append(
            Step(
                t,
                None if judged.event is None else judged.event.value,
                world.true(state),
                open_goal,
                world.fixes(before),
                "" if forced is None else forced.value,
                turn.belief or None,
                turn.belief == world.belief(before) if turn.belief and judged.event else None,
                turn.confidence,
                None if stop is None else stop.value,
                None,
                world.show(before),
                turn.action,
                taken,
                turn.thought,
                "strict" if answer is None else "lenient",
                answer,
                turn.logp,
                turn.entropy,
                turn.thought_logp,
                live.law.kl_pq,
                live.law.kl_qp,
                live.law.illegal_mass,
                live.law.right_mass,
                live.tokens + turn.written,
                live.asks,
            )
        )
        live.state, live.over, live.ask = state, stop is not None, None
        live.law, live.tokens, live.asks, live.lenient = UNKNOWN, 0, 0, {}

    def _outcome(self, live: Live, judged: Judged) -> tuple[Any, str | None]:
        """The state after the step, and the text that took the place of the model's, if any."""
        error = is_error(judged.event)
        if self.spec.teach or (error and self.spec.on_error is OnError.REPAIR):
            place = (len(live.steps), live.key.rollout)
            action = oracle_action(self.world, live.state, (live.key.seed, live.key.item), place)
            return self.world.step(live.state, action), self.world.write(action)
        if error and (self.spec.on_error is OnError.SKIP or judged.after is None):
            return live.state, None
        return judged.after, None
