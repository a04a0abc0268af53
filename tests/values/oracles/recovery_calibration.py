"""Frozen values of independent implementations: Aalen-Johansen (lifelines), AUROC (scikit-learn), smECE (relplot).

    python -m pip install lifelines==0.30.3 scikit-learn==1.9.1 relplot==1.0.3
    python tests/values/oracles/recovery_calibration.py

writes recovery_calibration.json beside this file. Times are distinct: lifelines breaks ties at random.
"""

import json
from pathlib import Path

import numpy as np
import relplot
from lifelines import AalenJohansenFitter
from sklearn.metrics import roc_auc_score

CAUSES = ("censored", "error", "done", "lost")


def incidence() -> dict[str, object]:
    rng = np.random.default_rng(20261125)
    time = rng.permutation(np.arange(1, 61))
    cause = rng.choice(4, size=60, p=[0.3, 0.35, 0.2, 0.15])
    curves = {}
    for code in (1, 2, 3):
        fitted = AalenJohansenFitter(calculate_variance=False).fit(time, cause, event_of_interest=code)
        density = fitted.cumulative_density_.iloc[:, 0]
        curves[CAUSES[code]] = [float(density.loc[float(t)]) for t in range(1, 61)]
    return {"time": time.tolist(), "cause": [CAUSES[c] for c in cause], "incidence": curves}


def claims() -> dict[str, object]:
    rng = np.random.default_rng(7)
    p = np.round(rng.beta(4, 1.5, size=400), 2)  # ties
    right = (rng.random(400) < p**1.5).astype(int)
    fixed = {str(width): float(relplot.smECE_sigma(p, right, sigma=width)) for width in (0.05, 0.1)}
    return {
        "p": p.tolist(),
        "right": right.tolist(),
        "auroc": float(roc_auc_score(right, p)),
        "smooth_ece": float(relplot.smECE(p, right)),
        "smooth_ece_at": fixed,
    }


if __name__ == "__main__":
    found = {"incidence": incidence(), "claims": claims()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
