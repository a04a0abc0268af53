"""Values of other libraries that tests/values/test_comparison.py holds ours to.

python tests/values/oracles/comparison.py > tests/values/oracles/comparison.json
"""

import json

import numpy as np
from lifelines.statistics import logrank_test
from scipy import stats
from statsmodels.duration.survfunc import survdiff
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower


def two_arms(seed: int, size: int) -> list[np.ndarray]:
    """Times 1 ... 20 and whether they end by an error, for two arms of `size` rollouts."""
    rng = np.random.default_rng(seed)
    columns = []
    for hazard in (0.06, 0.1):
        times, limit = rng.geometric(hazard, size), rng.integers(5, 21, size)
        columns += [np.minimum(times, limit), times <= limit]
    return columns


def main() -> None:
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.9]
    out: dict[str, object] = {"p": p}
    for name in ("holm", "bonferroni", "fdr_bh", "fdr_by"):
        out[name] = multipletests(p, method=name)[1].tolist()
    out["scipy_bh"] = stats.false_discovery_control(p, method="bh").tolist()
    out["scipy_by"] = stats.false_discovery_control(p, method="by").tolist()
    t1, e1, t2, e2 = two_arms(0, 120)
    chi, value = survdiff(np.r_[t1, t2], np.r_[e1, e2].astype(int), np.r_[np.zeros(120), np.ones(120)])
    out["log_rank"] = {
        "times": [t1.tolist(), t2.tolist()],
        "failed": [e1.tolist(), e2.tolist()],
        "survdiff": [float(chi), float(value)],
        "lifelines": float(logrank_test(t1, t2, e1, e2).p_value),
    }
    out["power"] = [
        [d, n, float(TTestPower().power(d, n, 0.05, alternative="two-sided"))]
        for d, n in ((0.5, 34), (0.2, 100), (1, 8))
    ]
    out["items"] = [[d, float(TTestPower().solve_power(d, None, 0.05, 0.8))] for d in (0.5, 0.2, 0.05)]
    print(json.dumps(out))


if __name__ == "__main__":
    main()
