"""Do errors compound, so that P(correct) = (1-e)^n? The claim of "autoregressive models are doomed", as a study.

The constants and the rules below were written before any of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.stats import norm, t

from deadreckon.contracts import Finding, Reading, Verdict
from deadreckon.instruments import (
    Arm,
    excess_accumulated_error,
    measure,
    read,
    self_conditioning,
    self_conditioning_first,
    self_conditioning_ratio,
    survival_gap_constant,
    survival_gap_mixed,
)
from deadreckon.rollouts.run import Progress
from deadreckon.rollouts.spec import RollSpec
from deadreckon.studies import controls
from deadreckon.studies.controls import named, table_of
from deadreckon.studies.jobs import roll_all
from deadreckon.studies.provenance import provenance
from deadreckon.studies.replays import replays
from deadreckon.studies.study import ArmResult, Check, Question, StudyResult
from deadreckon.studies.subjects import (
    ABSORBING,
    CONDITIONED,
    ERGODIC,
    NEUTRAL,
    ORACLES,
    STUCK,
    SUBJECTS,
    SUMS_SEEDS,
    Size,
    Subject,
    size_of,
    specs_of,
)

NAME = "errors_compound"
CLAIM = "An autoregressive model's errors compound: with error rate e per step, P(correct after n steps) = (1-e)^n."
MARGIN = 0.05  # a gap inside this is too small to matter
LEAST_BREEDING = 0.02  # errors per step; likewise
LEAST_EXCESS = 10.0  # percent; likewise
RULES = f"""\
A model's e is its exact teacher-forced error: the mass it puts on wrong actions on the expert's contexts.
Q1 (1-e)^n: S(n), the share of free rollouts without an error, minus (1-e)^n at an n declared per world. A model
   misses if the interval of the gap excludes 0, agrees if the interval lies within ±{MARGIN}. FAILS if one misses,
   HOLDS if all agree.
Q2 The same gap to the item-mixed product mean_i prod_t (1-e_it), where one answer is right at each step and the
   context before a first error is therefore the expert's. HOLDS (unequal steps and items explain S) if all agree,
   FAILS if one misses.
Q3 Compounding proper: after an injected error against a healed history of the same item and step, the difference in
   the error rate of the next 10 own steps. HOLDS if its interval lies above 0 in all three models trained on clean
   text, FAILS if it lies below {LEAST_BREEDING} in all three.
Q4 P(correct) goes to 0 with S(n): HOLDS if the share on track at the horizon is within {MARGIN} of S for every model
   whose world can carry a wrong state, FAILS if for one of them its interval lies above that of S.
Q5 Drift feeds drift: excess accumulated KL on own against expert contexts. HOLDS if above 0 for all three models
   trained on clean text, FAILS if below {LEAST_EXCESS:g}% for all three.
The claim HOLDS if Q1 and Q4 hold, FAILS if one of them fails, and is UNDECIDED otherwise or if a control fails.
Intervals are 95% over items; where there are several training seeds their spread is added in quadrature (t), else
only these checkpoints are judged; within each question all are widened for the number of models (Bonferroni)."""

FREE = (
    "survival", "horizon_50", "horizon_80", "hazard", "weibull_shape", "step_error", "incidence_error",
    "incidence_done", "occupancy", "occupancy_law", "error_rate", "recovery_rate", "recovery_rate_earned",
    "recovery_rate_unearned", "kl_free_running", "brier", "ece_debiased", "cost_per_right_step",
)  # fmt: skip
FORCED = (
    "teacher_forced_error", "teacher_forced_error_exact", "survival_constant", "survival_by_step", "survival_mixed",
    "kl_teacher_forced",
)  # fmt: skip

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Measured:
    """A subject's readings by name; `judged` are those the rules use, training seeds included in their intervals."""

    subject: Subject
    readings: dict[str, Reading]
    judged: dict[str, Reading]


def specs(size: Size) -> dict[str, RollSpec]:
    """Every run of the study by name: the models, and the controls."""
    runs: dict[str, RollSpec] = {}
    for subject in SUBJECTS:
        runs |= specs_of(subject, size)
    control = Size(size.control_items, size.control_items, 0)
    for subject in (*ORACLES, ERGODIC, ABSORBING, STUCK):
        runs |= specs_of(subject, control, interventions=False)
    for subject in (NEUTRAL, CONDITIONED):
        runs |= specs_of(subject, control)
    return runs


def run(*, size: str = "quick", workers: int = 1, progress: Progress | None = None) -> StudyResult:
    """Run and judge the study. `size`: quick or full. BadOption, BadWeights, MissingExtra."""
    chosen = size_of(size)
    tables = roll_all(specs(chosen), workers=workers, progress=progress)
    measured = [measure_subject(tables, subject) for subject in SUBJECTS]
    checks = controls.checks(tables)
    questions = judge(measured)
    arms = [
        ArmResult(m.subject.name, "arm", m.subject.world, m.subject.level, ", ".join(m.subject.models),
                  m.subject.scaffold, tuple(m.readings.values()))
        for m in measured
    ]  # fmt: skip
    shown = [s for s in SUBJECTS if s.name.endswith("-clean")] + [ERGODIC]
    return StudyResult(
        NAME,
        CLAIM,
        RULES,
        overall(measured, questions, checks),
        questions,
        (*arms, *controls.arms(tables)),
        checks,
        tuple(replay for s in shown for replay in replays(tables[f"{s.name}/0/free"], s.world)),
        provenance(
            f"deadreckon study {NAME} --size {size} --out DIR",
            _hashes(tables) | {"seeds": f"0 ... {SUMS_SEEDS - 1}", "size": size},
        ),
    )


def _hashes(tables: Tables) -> dict[str, str]:
    """The run name of each model's free rollouts: a hash of its spec and weights."""
    return {f"run {s.name}": ", ".join(tables[f"{s.name}/{i}/free"]["run"][0] for i in range(len(s.models)))
            for s in SUBJECTS}  # fmt: skip


def measure_subject(tables: Tables, subject: Subject) -> Measured:
    """Everything the study reads off one subject's runs."""
    free, forced, healed, injected = (table_of(tables, subject, k) for k in ("free", "forced", "healed", "injected"))
    alone = named(measure(free, on_error=subject.on_error.value))
    taught = named(measure(forced, on_error="repair"))
    readings = {name: alone[name] for name in FREE} | {name: taught[name] for name in FORCED}
    rule = subject.on_error.value
    pairs: dict[str, tuple[Callable[[Arm, Arm], Reading], str, str]] = {
        "survival_gap_constant": (lambda a, b: survival_gap_constant(a, b, subject.judged_at), "free", "forced"),
        "survival_gap_mixed": (lambda a, b: survival_gap_mixed(a, b, subject.judged_at), "free", "forced"),
        "excess_accumulated_error": (excess_accumulated_error, "free", "forced"),
        "self_conditioning": (self_conditioning, "injected", "healed"),
        "self_conditioning_first": (self_conditioning_first, "injected", "healed"),
        "self_conditioning_ratio": (self_conditioning_ratio, "injected", "healed"),
    }
    rules = {"free": rule, "healed": rule, "injected": rule, "forced": "repair"}
    pooled = {"free": free, "forced": forced, "healed": healed, "injected": injected}
    judged = {name: alone[name] for name in ("survival", "occupancy")}
    for name, (instrument, one, two) in pairs.items():
        readings[name] = instrument(read(pooled[one], rules[one]), read(pooled[two], rules[two]))
        seeds = [
            instrument(*(read(tables[f"{subject.name}/{seed}/{kind}"], rules[kind]) for kind in (one, two)))
            for seed in range(len(subject.models))
        ]
        judged[name] = over_seeds(readings[name], seeds)
    return Measured(subject, readings | {name: judged[name] for name in pairs}, judged)


def over_seeds(pooled: Reading, seeds: list[Reading]) -> Reading:
    """The pooled reading with the spread of training seeds added to its interval in quadrature, t(k-1)."""
    values = np.array([reading.value for reading in seeds])
    k = len(values)
    if k < 2 or not np.isfinite(values).all() or math.isnan(pooled.low):
        return pooled
    spread = float(t.ppf(0.975, k - 1) * values.std(ddof=1) / math.sqrt(k))
    low, high = (math.hypot(end - pooled.value, spread) for end in (pooled.low, pooled.high))
    method = f"{pooled.method}; spread of {k} training seeds added, t({k - 1})"
    return replace(pooled, low=pooled.value - low, high=pooled.value + high, method=method)


def widened(reading: Reading, family: int) -> Reading:
    """The interval at level 1 - 0.05/family, by the normal ratio of half-widths."""
    factor = float(norm.ppf(1 - 0.025 / family) / norm.ppf(0.975))
    low, high = (reading.value + factor * (end - reading.value) for end in (reading.low, reading.high))
    return replace(reading, low=low, high=high, level=1 - 0.05 / family)


def said(m: Measured, reading: Reading, *, digits: int = 3) -> str:
    """A subject's figure with its interval."""
    return f"{m.subject.name} {reading.value:.{digits}f} [{reading.low:.{digits}f}, {reading.high:.{digits}f}]"


def judge(measured: list[Measured]) -> tuple[Question, ...]:
    """The five questions, by the rules."""
    return (
        Question("Does (1-e)^n give the share of rollouts without an error?", gap(measured, "survival_gap_constant")),
        Question(
            "Do unequal steps and items explain that share, where one answer is right?",
            gap([m for m in measured if m.subject.one_answer], "survival_gap_mixed"),
        ),
        Question(
            "Does an error breed errors?", above(measured, "self_conditioning", "errors per step", LEAST_BREEDING)
        ),
        Question("Does P(correct) fall to 0 with it?", stays_lost(measured)),
        Question("Does drift feed drift?", above(measured, "excess_accumulated_error", "percent", LEAST_EXCESS)),
    )


def gap(measured: list[Measured], name: str) -> Finding:
    """Q1 and Q2: does the prediction agree everywhere, or miss somewhere?"""
    found = [(m, widened(m.judged[name], len(measured))) for m in measured]
    misses = [m for m, r in found if r.low > 0 or r.high < 0]
    agrees = [m for m, r in found if r.low >= -MARGIN and r.high <= MARGIN]
    verdict = Verdict.FAILS if misses else Verdict.HOLDS if len(agrees) == len(found) else Verdict.UNDECIDED
    n = ", ".join(sorted({f"{m.subject.world} n={m.subject.judged_at}" for m, _ in found}))
    because = (
        f"S(n) minus the prediction, at {n}: it misses for {len(misses)} of {len(found)} models and agrees within"
        f" ±{MARGIN} for {len(agrees)}: {'; '.join(said(m, r) for m, r in found)}."
    )
    return Finding(verdict, because, tuple(r for _, r in found))


def above(measured: list[Measured], name: str, unit: str, least: float) -> Finding:
    """Q3 and Q5: above 0 for all models trained on clean text, or below the least that matters for all?"""
    found = [(m, widened(m.judged[name], len(measured))) for m in measured if not math.isnan(m.judged[name].value)]
    clean = [r for m, r in found if m.subject.name.endswith("-clean")]
    verdict = Verdict.UNDECIDED
    if clean and all(r.low > 0 for r in clean):
        verdict = Verdict.HOLDS
    elif clean and all(r.high < least for r in clean):
        verdict = Verdict.FAILS
    digits = 3 if least < 1 else 1
    figures = "; ".join(said(m, r, digits=digits) for m, r in found)
    because = f"{name.replace('_', ' ').capitalize()}, {unit}: {figures}."
    return Finding(verdict, because, tuple(r for _, r in found))


def stays_lost(measured: list[Measured]) -> Finding:
    """Q4: is being on track the same as never having erred?"""
    found = [m for m in measured if not math.isnan(m.judged["occupancy"].value)]
    on, clean = ([widened(m.judged[name], len(found)) for m in found] for name in ("occupancy", "survival"))
    pairs = list(zip(found, on, clean, strict=True))
    back = [m for m, occupancy, survival in pairs if occupancy.low > survival.high]
    same = [m for m, occupancy, survival in pairs if occupancy.high - survival.low <= MARGIN]
    verdict = Verdict.FAILS if back else Verdict.HOLDS if len(same) == len(pairs) else Verdict.UNDECIDED
    figures = "; ".join(f"{said(m, o)} on track against S = {s.value:.3f}" for m, o, s in pairs)
    because = f"The share on track lies above the share without an error for {len(back)} of {len(pairs)}: {figures}."
    return Finding(verdict, because, tuple(r for _, o, s in pairs for r in (o, s)))


def overall(measured: list[Measured], questions: tuple[Question, ...], checks: tuple[Check, ...]) -> Finding:
    """The verdict on the claim, in one sentence with the figures that decide it."""
    first, back = questions[0].finding, questions[3].finding
    readings = first.readings + back.readings
    failed = [check.name for check in checks if not check.passed]
    if failed:
        return Finding(Verdict.UNDECIDED, f"A control failed: {'; '.join(failed)}.", readings)
    misses = sum(r.low > 0 or r.high < 0 for r in first.readings)
    on, clean = back.readings[::2], back.readings[1::2]
    above = sum(a.low > b.high for a, b in zip(on, clean, strict=True))
    names = [m.subject.name for m in measured if not math.isnan(m.judged["occupancy"].value)]
    widest = max(range(len(on)), key=lambda i: on[i].value - clean[i].value)
    because = (
        f"(1-e)^n misses the share of rollouts without an error for {misses} of {len(first.readings)} models, and at"
        f" the horizon more rollouts are on track than never erred for {above} of {len(on)} (most for {names[widest]}:"
        f" {on[widest].value:.2f} on track, {clean[widest].value:.2f} without an error)."
    )
    verdicts = {first.verdict, back.verdict}
    if Verdict.FAILS in verdicts:
        return Finding(Verdict.FAILS, because, readings)
    return Finding(Verdict.HOLDS if verdicts == {Verdict.HOLDS} else Verdict.UNDECIDED, because, readings)
