"""The error process by hand, and against independent implementations."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import optimize, special, stats

from deadreckon.contracts import Reading
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.band import resampled
from deadreckon.instruments.constancy import cells
from deadreckon.instruments.decline import Repeats, repeats, slopes, unequal
from deadreckon.instruments.frailty import beta_likelihood, gamma_likelihood
from deadreckon.instruments.key_steps import _worst
from deadreckon.instruments.shape import (
    Law,
    best_lag,
    derivatives,
    fit,
    in_pieces,
    influences,
    law_of,
    log_likelihood,
    pieces,
)
from deadreckon.instruments.stats import beta_product, clopper_pearson, variance
from deadreckon.instruments.survival import first_errors
from deadreckon.validation.bunches import Bunches
from deadreckon.validation.lifetimes import Lives

ORACLES = pl.read_csv(Path(__file__).parent / "oracles" / "error_process.csv")
NEW = [name for name in INSTRUMENTS if name in list(INSTRUMENTS)[list(INSTRUMENTS).index("survival_band") :]]


def oracle(case: str, name: str) -> float:
    return float(ORACLES.filter((pl.col("case") == case) & (pl.col("name") == name))["value"][0])


def take(arm: Arm, name: str) -> Reading:
    return INSTRUMENTS[name](arm)


def table(errors: np.ndarray, rollouts: int = 1, rule: str = "skip") -> Arm:
    """An arm from (rollouts in all, steps) errors."""
    count, width = errors.shape
    frame = pl.DataFrame(
        {
            "item": np.repeat(np.arange(count) // rollouts, width),
            "rollout": np.repeat(np.arange(count) % rollouts, width),
            "t": np.tile(np.arange(width), count),
            "event": np.where(errors.ravel(), "slip", "right"),
        }
    ).with_columns(stop=pl.when(pl.col("t") == width - 1).then(pl.lit("horizon")))
    return read(frame, rule)


# --- laws -----------------------------------------------------------------------------------------------


def counts(arm: Arm) -> tuple[np.ndarray, np.ndarray]:
    d, y = first_errors(arm).counts()
    return d.sum(axis=0), y.sum(axis=0)


def shared(seed: int = 5) -> Arm:
    """The lives that the oracle script fits too."""
    return Lives(200, 3, h=0.08, shape=0.8, cut=0.03).draw(np.random.default_rng(seed))


def test_the_geometric_law_is_errors_over_steps() -> None:
    d, y = counts(shared())
    found = fit(Law("exponential"), d, y)
    h = d.sum() / y.sum()
    assert np.exp(-found.parameters[0]) == pytest.approx(-np.log1p(-h), rel=1e-10)
    assert found.log_likelihood == pytest.approx(d.sum() * np.log(h) + (y.sum() - d.sum()) * np.log1p(-h), rel=1e-12)


@pytest.mark.parametrize("family", ["weibull", "log-logistic"])
def test_a_law_agrees_with_lifelines_interval_censored_fit(family: str) -> None:
    # lifelines stops at its own tolerance: the likelihood agrees to 1e-6 relative, the parameters to its 1e-4
    d, y = counts(shared())
    found = fit(Law(family), d, y)
    assert found.log_likelihood == pytest.approx(oracle(family, "log_likelihood"), rel=1e-6)
    assert found.log_likelihood >= oracle(family, "log_likelihood") - 1e-6
    assert np.exp(found.parameters) == pytest.approx([oracle(family, "scale"), oracle(family, "shape")], rel=2e-4)


def test_one_hazard_with_clustered_errors_agrees_with_statsmodels() -> None:
    d, y = first_errors(shared()).counts()
    total, at_risk = d.sum(axis=0), y.sum(axis=0)
    law = Law("exponential")
    found = fit(law, total, at_risk)
    score, hessian = derivatives(law, found.parameters, d, y)
    sandwich = float((score**2).sum() / hessian.sum() ** 2)
    assert -found.parameters[0] == pytest.approx(oracle("glm", "log_hazard"), abs=1e-6)
    assert np.sqrt(sandwich) == pytest.approx(oracle("glm", "clustered_se"), rel=1e-6)


def test_survival_agrees_with_lifelines() -> None:
    reading = take(shared(), "survival")
    assert reading.curve is not None
    for step in (1, 5, 10, 20):
        assert reading.curve.value[step - 1] == pytest.approx(oracle("kaplan-meier", f"S({step})"), abs=1e-6)


@pytest.mark.parametrize("family", ["exponential", "weibull", "log-logistic"])
def test_derivatives_are_those_of_the_likelihood(family: str) -> None:
    d, y = counts(shared())
    law = Law(family)
    p = np.array([2.0, -0.3][: 1 + (family != "exponential")])

    def value(q: np.ndarray) -> float:
        return float(log_likelihood(law.increments(q, len(d))[0], d, y))

    score, hessian = derivatives(law, p, d[None], y[None])
    assert score[0] == pytest.approx(optimize.approx_fprime(p, value, 1e-7), rel=1e-3)
    slope = [
        optimize.approx_fprime(p, lambda q, k=k: derivatives(law, q, d[None], y[None])[0][0, k], 1e-6)
        for k in range(len(p))
    ]
    assert hessian[0] == pytest.approx(np.array(slope), rel=1e-4)


def test_the_jackknife_is_close_to_leaving_items_out_in_earnest() -> None:
    d, y = first_errors(Lives(40, 3, shape=1.3).draw(np.random.default_rng(1))).counts()
    law = Law("weibull")
    whole = fit(law, d.sum(axis=0), y.sum(axis=0))
    quick = influences(whole, d, y)[1].influence
    slow = [
        whole.parameters[1] - fit(law, (d.sum(axis=0) - d[i]), (y.sum(axis=0) - y[i])).parameters[1] for i in range(40)
    ]
    assert quick == pytest.approx(slow, abs=0.2 * np.std(slow))


def test_a_start_up_lag_is_found_and_allowed_for() -> None:
    arm = Lives(300, 2, h=0.1, lag=4).draw(np.random.default_rng(2))
    d, y = counts(arm)
    assert best_lag("weibull", d, y) == 4
    law = law_of("weibull", len(d), 4)
    assert fit(law, d, y).parameters[1] == pytest.approx(0, abs=0.15)
    assert fit(Law("weibull"), d, y).parameters[1] > 0.3  # ignored, a lag passes for a rising hazard


def test_pieces_double_whatever_the_errors() -> None:
    assert pieces(5) == (1, 2, 3, 4, 5)
    assert pieces(8) == (1, 2, 4, 8)
    assert pieces(30) == (1, 2, 4, 8, 16)


def test_hazard_in_pieces_by_hand() -> None:
    errors = np.zeros((4, 8), dtype=bool)
    errors[0, 0] = errors[1, 2] = errors[2, 5] = True
    reading = take(table(errors), "hazard_piecewise")
    assert reading.curve is not None
    assert reading.curve.x == (1, 2, 4, 8)
    # at risk: step 1: 4; steps 2-3: 3 + 3; steps 4-7: 2 + 2 + 2 + 1; step 8: 1
    assert reading.curve.value == pytest.approx((1 / 4, 1 / 6, 1 / 7, 0))


@pytest.mark.parametrize(
    ("plan", "best"),
    [
        (Lives(400, 3, h=0.1), {"exponential", "weibull", "log-logistic", "piecewise"}),
        (Lives(400, 3, h=0.1, shape=2.0), {"weibull"}),
        (Lives(600, 3, h=0.02, change=3, factor=10.0), {"piecewise"}),
    ],
    ids=["constant", "rising", "change"],
)
def test_the_law_that_made_the_data_tells_left_out_items_best(plan: Lives, best: set[str]) -> None:
    reading = take(plan.draw(np.random.default_rng(3)), "shape_best")
    assert reading.value > 0
    assert reading.reason.split(" is best")[0] in best


# --- intervals and bands --------------------------------------------------------------------------------


def test_the_beta_product_is_clopper_pearson_without_censoring() -> None:
    d, y = np.array([2.0, 3.0, 1.0]), np.array([20.0, 18.0, 15.0])
    low, high = beta_product(d, y)
    for n, alive in enumerate((18.0, 15.0, 14.0)):
        exact = clopper_pearson(alive, 20.0)
        assert (low[n], high[n]) == pytest.approx((float(exact[0]), float(exact[1])), abs=1e-9)


def test_resampled_curves_are_those_of_resampled_tables() -> None:
    first = first_errors(Lives(30, 3, h=0.1).draw(np.random.default_rng(4)))
    curves = resampled(first, 400)
    s = first.curve()
    sd = np.sqrt(variance(s.influence, 30))
    assert curves.shape == (400, 30)
    assert curves[:, :10].std(axis=0) == pytest.approx(sd[:10], rel=0.15)
    assert curves[:, :10].mean(axis=0) == pytest.approx(s.value[:10], abs=0.02)


def test_the_band_is_wider_than_the_pointwise_interval_and_never_empty() -> None:
    arm = Lives(60, 2, h=0.02).draw(np.random.default_rng(5))
    band, point = take(arm, "survival_band"), take(arm, "survival")
    assert band.curve is not None
    assert point.curve is not None
    for k in range(len(band.curve.x)):
        assert band.curve.low[k] <= point.curve.low[k]
        assert band.curve.high[k] >= point.curve.high[k]
        assert band.curve.low[k] < band.curve.high[k]


# --- constancy ------------------------------------------------------------------------------------------


def test_a_shape_near_one_is_not_a_constant_hazard() -> None:
    # low, high, low again: monotone laws see nothing, one hazard a step does
    rng = np.random.default_rng(6)
    h = np.full(24, 0.03)
    h[8:12] = 0.15
    errors = rng.random((600, 24)) < h
    arm = table(errors, 2, "stop")
    assert take(arm, "constancy_by_step").value < 1e-6
    reading = take(arm, "constancy")
    assert reading.value < 0.05
    assert "quote no half-life" in reading.reason
    assert "a half-life may be quoted" in take(Lives(300, 2).draw(rng), "constancy").reason


def test_cells_close_when_ten_errors_are_expected_and_items_suffice() -> None:
    assert cells(np.full((100, 4), 1.0), 0.1) == (1, 2, 3, 4)  # 10 expected in each
    assert cells(np.full((100, 4), 1.0), 0.05) == (1, 3)
    assert len(cells(np.full((20, 10), 50.0), 0.5)) <= 3  # 20 items: two degrees of freedom


def test_two_cells_give_the_t_test_of_their_difference() -> None:
    arm = Lives(25, 4, horizon=6, h=0.1).draw(np.random.default_rng(16))
    d, y = first_errors(arm).counts()
    h = d.sum() / y.sum()
    cuts = cells(y, h)
    assert len(cuts) == 2
    d, y = in_pieces(d, cuts), in_pieces(y, cuts)
    share = y[:, 1].sum() / y.sum()
    late = d[:, 1] - h * y[:, 1] - share * (d.sum(axis=1) - h * y.sum(axis=1))  # errors beyond those expected
    expected = stats.ttest_1samp(late, 0.0).pvalue
    assert take(arm, "constancy_by_step").value == pytest.approx(expected, rel=1e-9)


def test_of_many_items_with_one_rollout_it_is_pearsons_chi_squared() -> None:
    rng = np.random.default_rng(17)
    for slope in (0.0, 0.02):
        arm = table(rng.random((8000, 12)) < 0.05 * (1 + slope * np.arange(12)), 1, "stop")
        d, y = (values.sum(axis=0) for values in first_errors(arm).counts())
        h = d.sum() / y.sum()
        chi = float(((d - h * y) ** 2 / (h * (1 - h) * y)).sum())
        assert take(arm, "constancy_by_step").value == pytest.approx(stats.chi2.sf(chi, 11), abs=0.01)


# --- unequal items --------------------------------------------------------------------------------------


def test_slopes_agree_with_sums_over_every_pair_of_rollouts() -> None:
    arm = Lives(25, 3, h=0.15, horizon=6).draw(np.random.default_rng(8))
    first = first_errors(arm)
    found = slopes(repeats(arm))
    t = np.arange(1, 7)

    def total(b: float, *, inside: bool) -> float:
        g, x = t ** (1 + b) - (t - 1.0) ** (1 + b), np.log(t - 0.5)
        amount = 0.0
        for r in range(75):
            for s in range(75):
                if inside == (arm.home[r] != arm.home[s]) or r == s:
                    continue
                for u in range(first.length[r]):
                    if first.failed[s] and first.length[s] - 1 > u:
                        v = first.length[s] - 1
                        amount += (x[v] - x[u]) / g[v]
                if first.failed[r]:
                    u = first.length[r] - 1
                    amount -= sum((x[v] - x[u]) / g[u] for v in range(u + 1, first.length[s]))
        return amount

    assert total(found.within.value, inside=True) == pytest.approx(0, abs=1e-6)
    assert total(found.pooled.value, inside=False) == pytest.approx(0, abs=1e-5)


def test_items_alike_by_hand() -> None:
    rng = np.random.default_rng(9)
    arm = Lives(30, 4, h=0.1).draw(rng)
    data, first = repeats(arm), first_errors(arm)
    d, y = first.counts()
    rise = np.concatenate([[0.0], np.cumsum(d.sum(axis=0) / y.sum(axis=0))])
    left = (first.failed - rise[first.length]).reshape(30, 4)
    v = sum(left[i, r] * left[i, s] for i in range(30) for r in range(4) for s in range(4) if r != s)
    z = v / (np.mean(left**2) * math.sqrt(2 * 30 * 4 * 3))
    assert unequal(data) == pytest.approx(stats.norm.sf(z), rel=1e-9)


def test_gamma_frailty_agrees_with_its_closed_form_where_nothing_fails() -> None:
    y = np.array([[2.0, 2.0, 1.0], [3.0, 1.0, 0.0]])
    data = Repeats(np.zeros_like(y), y, np.ones(2), np.arange(2), 2)
    p = np.array([1.0, 0.4])
    load = y @ Law("weibull").increments(p, 3)[0]
    for theta in (0.05, 0.5, 2.0):
        exact = float((-np.log1p(theta * load) / theta).sum())
        assert gamma_likelihood(data)(theta, p)[0] == pytest.approx(exact, abs=1e-5)


def test_beta_frailty_agrees_with_scipys_beta_binomial() -> None:
    # one step a rollout: errors of an item are beta-binomial
    d, y = np.array([[2.0], [0.0], [1.0]]), np.array([[3.0], [4.0], [2.0]])
    data = Repeats(d, y, np.ones(3), np.arange(3), 3)
    theta, mean = 0.7, 0.2
    size = (1 - mean) / (mean * theta) - 1
    x = np.array([special.logit(mean * (1 + theta))])
    exact = stats.betabinom.logpmf(d[:, 0], y[:, 0], mean * size, (1 - mean) * size) - np.log(
        special.binom(y[:, 0], d[:, 0])
    )
    value, slope = beta_likelihood(data)(theta, x)
    assert value == pytest.approx(exact.sum(), rel=1e-10)
    assert slope == pytest.approx(
        optimize.approx_fprime(x, lambda v: beta_likelihood(data)(theta, v)[0], 1e-6), rel=1e-4
    )


@pytest.mark.parametrize(
    "name", ["hazard_decline", "unequal_items", "frailty_gamma", "frailty_beta", "decline_within_items"]
)
def test_one_rollout_per_item_is_refused_in_words(name: str) -> None:
    reading = take(Lives(300).draw(np.random.default_rng(10)), name)
    assert math.isnan(reading.value)
    assert "one rollout per item" in reading.reason
    assert "run two or more" in reading.reason


# --- bunches --------------------------------------------------------------------------------------------


def test_the_pooled_odds_ratio_by_hand() -> None:
    arm = Bunches(40, 2, p=0.3).draw(np.random.default_rng(11))
    error = arm.error.reshape(80, 20)
    before, now = error[:, :-1].ravel(), error[:, 1:].ravel()
    n = [[(before == a)[now == b].sum() for b in (0, 1)] for a in (0, 1)]
    assert take(arm, "state_dependence").value == pytest.approx(n[1][1] * n[0][0] / (n[1][0] * n[0][1]))
    assert "confounded" in take(arm, "state_dependence").reason


def test_mantel_haenszel_agrees_with_statsmodels() -> None:
    reading = take(Bunches(40, 6, p=0.2, odds=3.0).draw(np.random.default_rng(12)), "state_dependence_within_items")
    assert reading.value == pytest.approx(oracle("mantel-haenszel", "odds_ratio"), rel=1e-6)


def test_fano_is_variance_over_mean_where_lengths_are_equal() -> None:
    arm = Bunches(50, 2, p=0.2, unequal=2.0).draw(np.random.default_rng(13))
    n = arm.error.reshape(100, 20).sum(axis=1)
    assert take(arm, "error_fano").value == pytest.approx(n.var() / n.mean())


def test_autocorrelation_has_no_bias_from_short_rollouts() -> None:
    arms = [Bunches(200, 2, horizon=4, p=0.3).draw(np.random.default_rng(seed)) for seed in range(20)]
    for name in ("error_autocorrelation", "error_autocorrelation_within_items"):
        assert abs(np.mean([take(arm, name).value for arm in arms])) < 0.02  # around its own mean it would be -1/3


def test_key_steps_by_hand() -> None:
    # 30 items of 4 rollouts and 10 steps: step 3 always goes wrong, no other does
    errors = np.zeros((120, 10), dtype=bool)
    errors[:, 3] = True
    errors[0, 5] = True
    arm = table(errors, 4)
    n, rate = 300, 30 + 1 / 4
    assert take(arm, "key_step_share").value == pytest.approx((rate / n) ** 2 / (30 / n))
    assert take(arm, "key_step_top").value == pytest.approx(120 / 121)


def test_tied_cells_share_the_tenth() -> None:
    assert _worst(np.array([1.0, 0, 0, 0]), np.ones(4)) == pytest.approx([0.4, 0, 0, 0])
    assert _worst(np.zeros(4), np.ones(4)) == pytest.approx([0.1] * 4)


# --- degenerate -----------------------------------------------------------------------------------------

DEGENERATE = {
    "one item": table(np.eye(4, dtype=bool), 4),
    "one rollout": table(np.array([[False, True, False]])),
    "one step": table(np.arange(60).reshape(60, 1) % 3 == 0),
    "no error": table(np.zeros((60, 6), dtype=bool), 2),
    "all errors": table(np.ones((60, 6), dtype=bool), 2),
    "all errors at one step": table(np.tile(np.arange(6) == 3, (60, 1)), 2),
    "ties": table(np.tile(np.array([[True, False], [False, True]]), (30, 4)), 2),
    "items all equal": table(np.tile(np.eye(3, 8, dtype=bool), (40, 1)), 3),
    "one item errs": table(np.arange(60 * 8).reshape(60, 8) < 16, 2),
    "two items": table(np.random.default_rng(0).random((60, 8)) < 0.2, 30),
}


@pytest.mark.parametrize("rule", ["skip", "stop"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_arms_give_reasons_and_no_false_certainty(name: str, rule: str) -> None:
    arm = DEGENERATE[name]
    arm = read(_frame(arm), rule)
    for quantity in NEW:
        held(take(arm, quantity))


@pytest.mark.parametrize("rule", ["skip", "stop"])
def test_an_empty_arm_and_one_all_cut_give_reasons(rule: str) -> None:
    frame = _frame(DEGENERATE["two items"])
    cut = frame.filter(pl.col("t") == 0).with_columns(event=pl.lit(None, pl.String), stop=pl.lit("cut"))
    for empty in (frame.head(0), cut):
        for quantity in NEW:
            reading = take(read(empty, rule), quantity)
            assert math.isnan(reading.value), reading
            assert reading.reason


def _frame(arm: Arm) -> pl.DataFrame:
    last = pl.col("t") == pl.col("t").max().over("item", "rollout")
    return arm.steps.select("item", "rollout", "t", "event").with_columns(stop=pl.when(last).then(pl.lit("horizon")))


def held(reading: Reading) -> None:
    """A missing end has its reason; an interval has width and holds its value."""
    if math.isnan(reading.low):
        assert reading.reason, reading
    else:
        assert math.isinf(reading.high) or reading.low < reading.high, reading
        assert math.isnan(reading.value) or reading.low <= reading.value <= reading.high, reading
