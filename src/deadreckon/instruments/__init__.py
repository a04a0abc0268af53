"""Instruments: pure functions from one arm's step table to Readings.

``measure(table, on_error="accept")`` takes every reading that one table allows; the rest come back as "not
estimable" with the reason. Instruments that compare two tables are functions of their own: `survival_gap_mixed`,
`self_conditioning`, `excess_accumulated_error` and their like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import polars as pl

from deadreckon.contracts import Reading
from deadreckon.errors import BadOption
from deadreckon.instruments import (
    band,
    calibration,
    constancy,
    cost,
    decline,
    dependence,
    drift,
    fitted,
    forced,
    frailty,
    hazard,
    key_steps,
    recovery,
    survival,
)
from deadreckon.instruments.arm import Arm, read
from deadreckon.instruments.conditioning import self_conditioning, self_conditioning_first, self_conditioning_ratio
from deadreckon.instruments.drift import excess_accumulated_error, log_loss_identity
from deadreckon.instruments.forced import survival_gap_by_step, survival_gap_constant, survival_gap_mixed

__all__ = [
    "INSTRUMENTS",
    "Arm",
    "Instrument",
    "excess_accumulated_error",
    "log_loss_identity",
    "measure",
    "read",
    "self_conditioning",
    "self_conditioning_first",
    "self_conditioning_ratio",
    "survival_gap_by_step",
    "survival_gap_constant",
    "survival_gap_mixed",
]

Instrument = Callable[[Arm], Reading]

INSTRUMENTS: dict[str, Instrument] = {
    "survival": survival.survival,
    "survival_if_cut_failed": survival.survival_if_cut_failed,
    "survival_if_cut_survived": survival.survival_if_cut_survived,
    "incidence_error": survival.incidence_error,
    "incidence_done": survival.incidence_done,
    "horizon_50": survival.horizon,
    "horizon_80": partial(survival.horizon, q=0.8),
    "hazard": hazard.hazard,
    "weibull_shape": fitted.weibull_shape,
    "step_error": hazard.step_error,
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
}


def measure(table: pl.DataFrame, *, on_error: str = "accept", by: str | None = None) -> list[Reading]:
    """Every reading of one arm's table, or of each arm in it where `by` names the column that tells them apart.

    on_error is the run's rule. Raises BadOption for a missing column, an unknown rule, or several arms in one table.
    """
    if by is None:
        arm = read(table, on_error)
        return [instrument(arm) for instrument in INSTRUMENTS.values()]
    if by not in table.columns:
        raise BadOption(f"by={by!r} is not a column of the step table: has {', '.join(table.columns)}")
    readings = []
    for (group,), part in sorted(table.group_by(by), key=lambda pair: str(pair[0][0])):
        readings += [replace(reading, by=str(group)) for reading in measure(part, on_error=on_error)]
    return readings
