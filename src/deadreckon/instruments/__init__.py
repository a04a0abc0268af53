"""Instruments: pure functions from one arm's step table to Readings.

``measure(table, on_error="accept")`` takes every reading that one table allows; the rest come back as "not
estimable" with the reason. ``measure_outcomes(table, "minutes")`` does so for an outcome table, one row a run.
Instruments that take more than one table are functions of their own: `survival_gap_mixed`, `self_conditioning`,
`excess_accumulated_error`, `horizon_trend` and their like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import polars as pl

from deadreckon.contracts import Reading
from deadreckon.errors import BadOption, UnknownName
from deadreckon.instruments import (
    abstention,
    band,
    calibration,
    competing,
    constancy,
    cost,
    decline,
    dependence,
    discrimination,
    drift,
    excursions,
    fitted,
    forced,
    frailty,
    hazard,
    key_steps,
    law_horizon,
    mover_stayer,
    multistate,
    own_text,
    passes,
    recovery,
    smooth,
    success,
    survival,
    time_horizon,
    voting,
)
from deadreckon.instruments.anytime import (
    difference_anytime,
    e_value_below,
    mean_anytime,
    mean_anytime_bernstein,
    p_anytime_below,
    p_anytime_difference,
)
from deadreckon.instruments.arm import Arm, read
from deadreckon.instruments.compare import compare_arms
from deadreckon.instruments.conditioning import self_conditioning, self_conditioning_first, self_conditioning_ratio
from deadreckon.instruments.cox import hazard_ratio
from deadreckon.instruments.drift import excess_accumulated_error, log_loss_identity
from deadreckon.instruments.forced import survival_gap_by_step, survival_gap_constant, survival_gap_mixed
from deadreckon.instruments.half_life import (
    half_life,
    outcome_constancy_by_length,
    outcome_constancy_weibull,
    outcome_half_life,
)
from deadreckon.instruments.horizon_trend import horizon_doubling, horizon_trend
from deadreckon.instruments.laws import LAWS
from deadreckon.instruments.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    bonferroni_level,
    holm,
)
from deadreckon.instruments.outcomes import Outcomes, outcomes_of, read_models, read_outcomes
from deadreckon.instruments.own_text import entropy_drift, written
from deadreckon.instruments.predict import predictions
from deadreckon.instruments.rank_tests import log_rank, log_rank_stratified
from deadreckon.instruments.scores import (
    Score,
    completion_score,
    hazard_score,
    mean_score,
    occupancy_score,
    step_error_score,
    survival_score,
    table_score,
)

__all__ = [
    "INSTRUMENTS",
    "OUTCOME_INSTRUMENTS",
    "Arm",
    "Instrument",
    "OutcomeInstrument",
    "Outcomes",
    "Score",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bonferroni",
    "bonferroni_level",
    "compare_arms",
    "completion_score",
    "difference_anytime",
    "e_value_below",
    "entropy_drift",
    "excess_accumulated_error",
    "half_life",
    "hazard_ratio",
    "hazard_score",
    "holm",
    "horizon_doubling",
    "horizon_trend",
    "log_loss_identity",
    "log_rank",
    "log_rank_stratified",
    "mean_anytime",
    "mean_anytime_bernstein",
    "mean_score",
    "measure",
    "measure_outcomes",
    "occupancy_score",
    "outcomes_of",
    "p_anytime_below",
    "p_anytime_difference",
    "predictions",
    "read",
    "read_models",
    "read_outcomes",
    "self_conditioning",
    "self_conditioning_first",
    "self_conditioning_ratio",
    "step_error_score",
    "survival_gap_by_step",
    "survival_gap_constant",
    "survival_gap_mixed",
    "survival_score",
    "table_score",
    "written",
]

Instrument = Callable[[Arm], Reading]
LAWS_AT = tuple(product(LAWS, (0.5, 0.8)))  # (law, q)

INSTRUMENTS: dict[str, Instrument] = {
    "survival": survival.survival,
    "survival_if_cut_failed": survival.survival_if_cut_failed,
    "survival_if_cut_survived": survival.survival_if_cut_survived,
    "horizon_50": survival.horizon,
    "horizon_80": partial(survival.horizon, q=0.8),
    "hazard": hazard.hazard,
    "weibull_shape": fitted.weibull_shape,
    "step_error": hazard.step_error,
    "abstention_rate": abstention.abstention_rate,
    "answered_error": abstention.answered_error,
    "free_running_error": hazard.free_running_error,
    "teacher_forced_error": forced.teacher_forced_error,
    "teacher_forced_error_exact": forced.teacher_forced_error_exact,
    "survival_constant": forced.survival_constant,
    "survival_by_step": forced.survival_by_step,
    "survival_mixed": forced.survival_mixed,
    "occupancy": recovery.occupancy,
    "occupancy_law": recovery.occupancy_law,
    "error_rate": recovery.error_rate,
    "recovery_rate": recovery.recovery_rate,
    "recovery_rate_earned": recovery.recovery_rate_earned,
    "recovery_rate_unearned": recovery.recovery_rate_unearned,
    "kl_free_running": drift.kl_free_running,
    "kl_teacher_forced": drift.kl_teacher_forced,
    "kl_reverse_free_running": drift.kl_reverse_free_running,
    "kl_reverse_teacher_forced": drift.kl_reverse_teacher_forced,
    "brier": calibration.brier,
    "brier_reliability": calibration.brier_reliability,
    "brier_resolution": calibration.brier_resolution,
    "brier_uncertainty": calibration.brier_uncertainty,
    "ece_debiased": calibration.ece_debiased,
    "cost_per_right_step": cost.cost_per_right_step,
    "survival_event_free": competing.survival_event_free,
    "incidence_error": competing.incidence_error,
    "incidence_broken": competing.incidence_broken,
    "incidence_done": competing.incidence_done,
    "incidence_lost": competing.incidence_lost,
    "incidence_horizon": competing.incidence_horizon,
    "incidence_cut": competing.incidence_cut,
    "incidence_fault": competing.incidence_fault,
    "transition_right_wrong": multistate.transition_right_wrong,
    "transition_right_lost": multistate.transition_right_lost,
    "transition_wrong_right": multistate.transition_wrong_right,
    "transition_wrong_lost": multistate.transition_wrong_lost,
    "occupation_right": multistate.occupation_right,
    "occupation_wrong": multistate.occupation_wrong,
    "occupation_lost": multistate.occupation_lost,
    "occupancy_gain": multistate.occupancy_gain,
    "restoration_unearned": excursions.restoration_unearned,
    "recovery_since_error": excursions.recovery_since_error,
    "recovery_incidence": excursions.recovery_incidence,
    "time_to_recovery_50": excursions.time_to_recovery,
    "recovery_never": mover_stayer.recovery_never,
    "recovery_never_test": mover_stayer.recovery_never_test,
    "overconfidence": calibration.overconfidence,
    "smooth_ece": smooth.smooth_ece,
    "smooth_ece_floor": smooth.smooth_ece_floor,
    "auroc": discrimination.auroc,
    "aurc": discrimination.aurc,
    "aurc_excess": discrimination.aurc_excess,
    "survival_band": band.survival_band,
    "horizon_50_bootstrap": band.horizon_bootstrap,
    "horizon_80_bootstrap": partial(band.horizon_bootstrap, q=0.8),
    "hazard_piecewise": constancy.hazard_piecewise,
    "exponential_scale": fitted.exponential_scale,
    "weibull_scale": fitted.weibull_scale,
    "loglogistic_shape": fitted.loglogistic_shape,
    "loglogistic_scale": fitted.loglogistic_scale,
    "shape_best": fitted.shape_best,
    "constancy_weibull": constancy.constancy_weibull,
    "constancy_by_step": constancy.constancy_by_step,
    "constancy": constancy.constancy,
    "frailty_gamma": frailty.frailty_gamma,
    "frailty_gamma_test": frailty.frailty_gamma_test,
    "frailty_beta": frailty.frailty_beta,
    "frailty_beta_test": frailty.frailty_beta_test,
    "unequal_items": decline.unequal_items,
    "decline_pooled": decline.decline_pooled,
    "decline_within_items": decline.decline_within_items,
    "decline_between_items": decline.decline_between_items,
    "hazard_decline": decline.hazard_decline,
    "state_dependence": dependence.state_dependence,
    "state_dependence_within_items": dependence.state_dependence_within_items,
    "error_fano": dependence.error_fano,
    "error_autocorrelation": dependence.error_autocorrelation,
    "error_autocorrelation_within_items": dependence.error_autocorrelation_within_items,
    "key_step_share": key_steps.key_step_share,
    "key_step_top": key_steps.key_step_top,
    **{f"horizon_{law}_{100 * q:.0f}": partial(law_horizon.fitted_horizon, law=law, q=q) for law, q in LAWS_AT},
    "vote_right": voting.vote_right,
    "vote_run": voting.vote_run,
    "vote_ahead": voting.vote_ahead,
    "vote_cost": voting.vote_cost,
    "vote_never": voting.vote_never,
    **own_text.NEED_NO_VERDICT,
}

OutcomeInstrument = Callable[[Outcomes], Reading]

OUTCOME_INSTRUMENTS: dict[str, OutcomeInstrument] = {
    "time_horizon_50": time_horizon.time_horizon,
    "time_horizon_80": partial(time_horizon.time_horizon, q=0.8),
    **{
        f"time_horizon_{law}_{100 * q:.0f}": partial(law_horizon.fitted_time_horizon, law=law, q=q)
        for law, q in LAWS_AT
    },
    "outcome_shape_weibull": law_horizon.outcome_shape,
    "outcome_shape_loglogistic": partial(law_horizon.outcome_shape, law="loglogistic"),
    "outcome_constancy_weibull": outcome_constancy_weibull,
    "outcome_constancy_by_length": outcome_constancy_by_length,
    "outcome_half_life": outcome_half_life,
    "success_rate": success.success_rate,
    "success_by_length": success.success_by_length,
    "pass_hat_k": passes.pass_hat_k,
    "pass_at_k": passes.pass_at_k,
    "pass_hat_k_gap": passes.pass_hat_k_gap,
}


def measure(
    table: pl.DataFrame, *, on_error: str = "accept", by: str | None = None, names: Sequence[str] = ()
) -> list[Reading]:
    """Every reading of one arm's table, or of each arm in it where `by` names the column that tells them apart.

    on_error is the run's rule; `names` takes these readings alone. Raises BadOption for a missing column, an unknown
    rule, or several arms in one table; UnknownName for a reading that does not exist.
    """
    chosen = list(names) or list(INSTRUMENTS)
    for name in chosen:
        if name not in INSTRUMENTS:
            raise UnknownName("reading", name, INSTRUMENTS)
    if by is None:
        arm = read(table, on_error)
        if own_text.unjudged(table).any():
            return [own_text.without_verdicts(INSTRUMENTS[name], arm, written(table, on_error)) for name in chosen]
        return [INSTRUMENTS[name](arm) for name in chosen]
    if by not in table.columns:
        raise BadOption(f"by={by!r} is not a column of the step table: has {', '.join(table.columns)}")
    readings = []
    for (group,), part in sorted(table.group_by(by), key=lambda pair: str(pair[0][0])):
        readings += [replace(reading, by=str(group)) for reading in measure(part, on_error=on_error, names=chosen)]
    return readings


def measure_outcomes(table: pl.DataFrame, unit: str) -> list[Reading]:
    """Every reading of an outcome table, model by model where it has a column model; unit: of length ("minutes").

    Raises BadOption where the table does not hold what `read_outcomes` needs.
    """
    arms = read_models(table, unit) if "model" in table.columns else [read_outcomes(table, unit)]
    return [replace(take(arm), by=arm.model) for arm in arms for take in OUTCOME_INSTRUMENTS.values()]
