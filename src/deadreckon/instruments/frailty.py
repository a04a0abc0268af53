"""How unequal items are: each has a frailty, and only repeats of the same item show it.

Gamma: item i's cumulative hazard is z_i H(n), z_i gamma with mean 1 and variance theta, H a discrete Weibull law:

    L_i = E_z prod_n (1 - exp(-z D_n))^d_in exp(-z D_n)^(y_in - d_in),   D_n = H(n) - H(n-1)

Beta: item i's hazard is p_i in every step, p_i ~ Beta(a, b) (beta-geometric law); with m_i first errors in N_i steps

    L_i = B(a + m_i, b + N_i - m_i) / B(a, b)

Its frailty variance is that of p_i / E p, so that both are on one scale. Sources: Vaupel, Manton and Stallard,
"The impact of heterogeneity in individual frailty", Demography 16 (1979); Weinberg and Gladen, "The beta-geometric
distribution applied to comparative fecundability studies", Biometrics 42 (1986); likelihood ratio at the boundary, Self
and Liang, JASA 82 (1987).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from deadreckon.contracts import Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Measure
from deadreckon.instruments.constancy import p_value
from deadreckon.instruments.decline import Repeats, repeats
from deadreckon.instruments.shape import Law, fit
from deadreckon.instruments.stats import Floats, t_value

RANGE = (1e-3, 50.0)  # of the frailty variance
MOST_SPAN = 14.0  # of log z below its top: smaller frailties are all alike, nothing happens to them
Profile = Callable[[float, Floats], tuple[float, Floats]]  # theta, nuisance -> log-likelihood, its slope


@dataclass(frozen=True, slots=True)
class Frailty:
    """The fitted variance with its profile interval, and the likelihood ratio against none."""

    variance: float
    low: float
    high: float
    ratio: float  # 2 (l(theta) - l(0))


def gamma_likelihood(data: Repeats) -> Profile:
    """The log-likelihood of gamma frailty at theta and (log lambda, log k), with its slope in the latter two."""
    law = Law("weibull")
    most = float(data.d.sum(axis=1).max())
    survived = data.y - data.d
    nodes = lru_cache(maxsize=1)(lambda theta: _nodes(theta, most))  # theta stays while the rest is fitted

    def likelihood(theta: float, p: Floats) -> tuple[float, Floats]:
        steps, slope, _ = law.increments(p, data.d.shape[1])
        z, log_weight = nodes(theta)
        load = np.maximum(steps[:, None] * z, 1e-300)  # (reach, nodes)
        failing = -np.expm1(-load)
        each = data.d @ np.log(failing) - (survived @ steps)[:, None] * z + log_weight
        most_likely = each.max(axis=1, keepdims=True)
        part = np.exp(each - most_likely)
        whole = part.sum(axis=1)
        total = np.log(whole) + most_likely[:, 0]
        weight = part * (data.weight / whole)[:, None]  # posterior of z, (items, nodes)
        drift = ((data.d.T @ weight) / failing * z).sum(axis=1) - data.y.T @ (weight @ z)
        return float(data.weight @ total), drift @ slope

    return likelihood


def _nodes(theta: float, most: float) -> tuple[Floats, Floats]:
    """Trapezoid rule in log z for the gamma law of mean 1 and variance theta; the far left is put on the first node."""
    shape = 1 / theta
    top = np.log(special.gammainccinv(shape, 1e-12) * theta)
    bottom = max(np.log(max(special.gammaincinv(shape, 1e-10) * theta, 1e-300)), top - MOST_SPAN)
    width = min(0.8 / np.sqrt(most + shape), 0.6)  # under the spread of log z given an item's errors
    x = np.linspace(bottom, top, int((top - bottom) / width) + 2)
    z = np.exp(x)
    log_density = shape * (x - z + np.log(shape)) - special.gammaln(shape) + np.log(x[1] - x[0])
    end = np.log(0.5 + shape * (x[1] - x[0]) / 12)  # Euler and Maclaurin's correction: the density rises from there
    beyond = np.log(max(special.gammainc(shape, z[0] * shape), 1e-300))
    log_density[0] = np.logaddexp(log_density[0] + end, beyond)
    return z, log_density


def beta_likelihood(data: Repeats) -> Profile:
    """The log-likelihood of the beta-geometric law at theta = Var(p) / (E p)^2, with E p = expit(x) / (1 + theta)."""
    m, n = data.d.sum(axis=1), data.y.sum(axis=1)

    def likelihood(theta: float, x: Floats) -> tuple[float, Floats]:
        inside = special.expit(x[0])
        mean = inside / (1 + theta)
        size = max((1 - mean) / (mean * theta) - 1, 1e-9)
        a, b = mean * size, (1 - mean) * size
        total = special.betaln(a + m, b + n - m) - special.betaln(a, b)
        with_m = special.digamma(a + m) - special.digamma(a)
        with_rest = special.digamma(b + n - m) - special.digamma(b)
        with_n = special.digamma(a + b + n) - special.digamma(a + b)
        d_size = -1 / (mean**2 * theta)
        d_a, d_b = size + mean * d_size, -size + (1 - mean) * d_size
        slope = (with_m - with_n) * d_a + (with_rest - with_n) * d_b
        return float(data.weight @ total), np.array([data.weight @ slope * inside * (1 - inside) / (1 + theta)])

    return likelihood


def estimate(likelihood: Profile, start: Floats, alike: float, data: Repeats) -> Frailty:
    """Maximise over theta and the rest; the interval is where 2 (l(theta) - l_profile) <= t^2.

    alike: the log-likelihood without frailty. The interval ends at 0 where no frailty is that likely too.
    """
    at, scale = {"p": start}, float(data.d.sum())

    def profile(log_theta: float) -> float:
        theta = float(np.exp(log_theta))

        def loss(p: Floats) -> tuple[float, Floats]:
            value, slope = likelihood(theta, p)
            return -value / scale, -slope / scale

        found = optimize.minimize(loss, at["p"], jac=True, method="BFGS", options={"gtol": 1e-5})
        at["p"] = found.x
        return -float(found.fun) * scale

    least, most = np.log(RANGE[0]), np.log(RANGE[1])
    found = optimize.minimize_scalar(
        lambda x: -profile(x), bounds=(least, most), method="bounded", options={"xatol": 0.01}
    )
    top, peak = float(found.x), -float(found.fun)
    none = alike >= peak
    peak = max(peak, alike)
    floor = peak - float(t_value(data.clusters)) ** 2 / 2

    def signed(log_theta: float) -> float:
        """Root of the likelihood ratio less its bound: nearly straight in log theta."""
        return float(np.sqrt(max(2 * (peak - profile(log_theta)), 0.0)) - np.sqrt(2 * (peak - floor)))

    low = 0.0 if alike >= floor or signed(least) <= 0 else _crossing(signed, least, top)
    high = np.inf if signed(most) <= 0 else _crossing(signed, most, least if none else top)
    return Frailty(0.0 if none else float(np.exp(top)), low, high, 2 * (peak - alike))


def _crossing(signed: Callable[[float], float], outside: float, inside: float) -> float:
    """Where the likelihood ratio reaches its bound, between a theta beyond it and one within."""
    if signed(inside) >= 0:
        return float(np.exp(inside))
    return float(np.exp(optimize.brentq(signed, outside, inside, xtol=1e-3)))


def gamma(data: Repeats) -> Frailty:
    """Gamma frailty over a Weibull baseline."""
    d, y = data.weight @ data.d, data.weight @ data.y
    plain = fit(Law("weibull"), d, y)
    return estimate(gamma_likelihood(data), plain.parameters, plain.log_likelihood, data)


def beta(data: Repeats) -> Frailty:
    """Beta-distributed hazards, constant within an item."""
    m, n = float(data.weight @ data.d.sum(axis=1)), float(data.weight @ data.y.sum(axis=1))
    h = m / n
    alike = m * np.log(h) + (n - m) * np.log1p(-h) if h < 1 else 0.0
    return estimate(beta_likelihood(data), np.array([special.logit(min(h, 0.9))]), alike, data)


def frailty_gamma(arm: Arm) -> Reading:
    """Variance of the items' relative hazards, gamma over a Weibull baseline: 0 = all alike. Refused without repeats.

    Interval by profile likelihood with t over items, down to 0 where no frailty is as likely. See the module.
    """
    return _variance(arm, "frailty_gamma", gamma)


def frailty_beta(arm: Arm) -> Reading:
    """Variance of the items' relative hazards, each item's constant over steps (beta-geometric).

    Refused without repeats. It takes a hazard that changes with the step for inequality: `hazard_decline` tells them
    apart.
    """
    return _variance(arm, "frailty_beta", beta)


def _variance(arm: Arm, quantity: str, model: Callable[[Repeats], Frailty]) -> Reading:
    measure = Measure(
        quantity, "variance of relative hazard", "maximum likelihood, profile interval, items independent"
    )
    try:
        found = model(_independent(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    return measure.reading(arm, found.variance, (found.low, found.high))


def frailty_gamma_test(arm: Arm) -> Reading:
    """Likelihood ratio of `frailty_gamma` against none: p = P(chi2_1 > LR) / 2, as variance 0 is the boundary."""
    return _test(arm, "frailty_gamma_test", gamma)


def frailty_beta_test(arm: Arm) -> Reading:
    """Likelihood ratio of `frailty_beta` against one constant hazard: p = P(chi2_1 > LR) / 2. See its caveat."""
    return _test(arm, "frailty_beta_test", beta)


def _test(arm: Arm, quantity: str, model: Callable[[Repeats], Frailty]) -> Reading:
    measure = Measure(quantity, "p-value", "likelihood ratio, half chi2_0 and half chi2_1; null: no frailty")
    try:
        ratio = model(_independent(arm)).ratio
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    return p_value(measure, arm, float(special.chdtrc(1, ratio)) / 2 if ratio > 0 else 1.0)


def _independent(arm: Arm) -> Repeats:
    data = repeats(arm)
    if data.clusters < len(data.home):
        raise NotEstimable("items share families: a likelihood of independent items does not hold")
    return data
