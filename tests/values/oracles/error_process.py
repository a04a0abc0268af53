"""Values of other libraries that test_error_process.py is held to. Needs lifelines and statsmodels (extra `bench`).

    python tests/values/oracles/error_process.py > tests/values/oracles/error_process.csv

Versions that made the file: lifelines 0.30.3, statsmodels 0.15.0, numpy 2.4.6.
"""

import warnings

import numpy as np
import statsmodels.api as sm
from lifelines import KaplanMeierFitter, LogLogisticFitter, WeibullFitter
from statsmodels.stats.contingency_tables import StratifiedTable

from deadreckon.instruments.survival import first_errors
from deadreckon.validation.bunches import Bunches
from deadreckon.validation.lifetimes import Lives

warnings.simplefilter("ignore")


def lives() -> dict[str, float]:
    arm = Lives(200, 3, h=0.08, shape=0.8, cut=0.03).draw(np.random.default_rng(5))
    first = first_errors(arm)
    time, failed = first.length.astype(float), first.failed
    out = {}
    km = KaplanMeierFitter().fit(time, failed)
    for step in (1, 5, 10, 20):
        out[f"kaplan-meier,S({step})"] = float(km.predict(step))
    low, high = np.where(failed, time - 1, time), np.where(failed, time, np.inf)
    for name, law in (("weibull", WeibullFitter()), ("log-logistic", LogLogisticFitter())):
        law.fit_interval_censoring(np.maximum(low, 1e-12), high)
        scale, shape = (law.lambda_, law.rho_) if name == "weibull" else (law.alpha_, law.beta_)
        out |= {f"{name},log_likelihood": law.log_likelihood_, f"{name},scale": scale, f"{name},shape": shape}
    rows = np.repeat(np.arange(len(time)), first.length)
    event = np.zeros(len(rows))
    event[np.cumsum(first.length)[failed] - 1] = 1
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    glm = sm.GLM(event, np.ones((len(rows), 1)), family=family)
    options = {"groups": arm.home[rows], "use_correction": False}
    done = glm.fit(cov_type="cluster", cov_kwds=options, tol=1e-14)
    return out | {"glm,log_hazard": float(done.params[0]), "glm,clustered_se": float(done.bse[0])}


def chains() -> dict[str, float]:
    arm = Bunches(40, 6, p=0.2, odds=3.0).draw(np.random.default_rng(12))
    error = arm.error.reshape(40, 6, 20)
    before, now = error[:, :, :-1], error[:, :, 1:]
    tables = [
        np.array([[((before[i, :, t] == a) & (now[i, :, t] == b)).sum() for b in (1, 0)] for a in (1, 0)])
        for i in range(40)
        for t in range(19)
    ]
    return {"mantel-haenszel,odds_ratio": StratifiedTable(tables).oddsratio_pooled}


if __name__ == "__main__":
    print("case,name,value")
    for key, value in (lives() | chains()).items():
        print(f"{key},{float(value):.17g}")
