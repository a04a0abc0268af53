"""What more than one test needs: a judged study with known readings and replays of every world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from deadreckon.contracts import Curve, Finding, Reading, Verdict, nan
from deadreckon.studies.study import ArmResult, Check, Question, Replay, ReplayStep, StudyResult
from deadreckon.worlds import load_world

STEPS = np.arange(1.0, 21.0)
WORLDS = ("sums:k=4", "maps", "othello", "markov:kind=ergodic")


def curve(value: Sequence[float], half: float = nan, x: Sequence[float] = STEPS, x_name: str = "step") -> Curve:
    """A curve with an interval of that half width (nan: none), on 400 items."""
    v = np.asarray(value, float)
    low, high = np.clip(v - half, 0, None), v + half
    return Curve(x_name, tuple(x), tuple(v.tolist()), tuple(low.tolist()), tuple(high.tolist()), (400,) * len(v))


def reading(quantity: str, drawn: Curve | None = None, value: float = nan, reason: str = "") -> Reading:
    low, high = (drawn.low[-1], drawn.high[-1]) if drawn else (value * 0.8, value * 1.2)
    return Reading(
        quantity, "1", drawn.value[-1] if drawn else value, low, high, 0.95, 400, "planted", "", reason, drawn
    )


def readings(e: float) -> tuple[Reading, ...]:
    survival = (1 - e) ** STEPS
    return (
        reading("survival", curve(survival, 0.03)),
        reading("survival_constant", curve(survival)),
        reading("survival_by_step", curve(survival * 0.98)),
        reading("survival_mixed", curve(survival * 0.99)),
        reading("hazard", curve(np.full(20, e), 0.01)),
        reading("free_running_error", curve(np.full(20, 2 * e), 0.02)),
        reading("teacher_forced_error", curve(np.full(20, e), 0.02)),
        reading("occupancy", curve(0.4 + 0.6 * 0.9**STEPS, 0.03)),
        reading("occupancy_law", value=0.4),
        reading("success_by_length", curve([0.9, 0.7, 0.4, 0.1], 0.05, [1, 2, 4, 8], "minutes")),
        reading("pass_hat_k", curve([0.5, 0.3, 0.2], 0.05, [1, 2, 3], "k")),
        reading("kl_free_running", curve(0.02 * STEPS, 0.01)),
        reading("kl_teacher_forced", curve(np.full(20, 0.03), 0.01)),
        reading("self_conditioning", curve([0.2, 0.1, 0.02, -0.01], 0.03, [1, 2, 4, 8], "distance")),
        reading("horizon_50", value=12),
        reading("horizon_10", value=float("inf"), reason="every rollout is censored at step 20"),
        reading("recovery_rate", reason="no audit in this world"),
    )


def replay(spec: str, level: int, slips: Sequence[int], injected: Sequence[int] = ()) -> Replay:
    """An oracle's rollout of at most 20 steps with slips at the steps given, where the world can represent one."""
    world = load_world(spec)
    rng = np.random.default_rng(len(spec) + level)
    state, rows = world.start(level, rng), []
    while not world.done(state) and len(rows) < 20:
        right = list(world.policy(state))
        action, event = right[int(rng.integers(len(right)))], "right"
        wrong = [a for a in world.wrong(state) if world.allows(state, a)]
        if len(rows) in (*slips, *injected) and wrong:
            action, event = wrong[0], "slip"
        after, forced = world.step(state, action), "injected" if len(rows) in injected else ""
        rows.append(
            ReplayStep(
                len(rows), world.show(state), world.says(state), world.write(action), event, world.true(after), forced,
                -0.1, tuple(world.write(a) for a in right),
            )
        )  # fmt: skip
        state = after
    return Replay(spec, level, "planted", f"{spec}, level {level}", tuple(rows), "horizon")


@pytest.fixture(scope="session")
def synthetic_study() -> StudyResult:
    arms = (
        ArmResult("clean", "arm", "sums", 2, "shipped:sums-clean", "plain", readings(0.06)),
        ArmResult("planted", "control", "sums", 2, "noisy-oracle:slip=0.02", "plain", readings(0.02)[:5]),
    )
    replays = [replay(w, 1 + (i > 0), (6,) if i else (7,), () if i else (2,)) for w in WORLDS for i in range(3)]
    questions = (
        Question("Is the failure rate constant?", Finding(Verdict.FAILS, "It falls.", arms[0].readings[4:5])),
        Question("Does it recover?", Finding(Verdict.UNDECIDED, "The interval is wide.", ())),
    )
    checks = (Check("The oracle makes no error", True, "0 in 8000"), Check("Rates are recovered", False, "0.02, 0.03"))
    finding = Finding(Verdict.FAILS, "Half survive 12 steps where (1−e)ⁿ says 9.", arms[0].readings[:2])
    provenance = {"deadreckon": "0.1.0", "seed": "0", "command": "deadreckon study errors_compound"}
    claim, rules = "P(correct) falls as (1−e)ⁿ", "Inside the band at every step."
    return StudyResult("errors_compound", claim, rules, finding, questions, arms, checks, tuple(replays), provenance)
