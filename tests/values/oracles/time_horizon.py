"""Freeze scikit-learn's answers to the published time-horizon fit.

    python tests/values/oracles/time_horizon.py > tests/values/oracles/time_horizon.json

with scikit-learn 1.9.1. Fractional scores are split into a success and a failure that share the run's weight.
"""

from __future__ import annotations

import json

import numpy as np
from sklearn.linear_model import LogisticRegression


def table(seed: int, items: int, fractional: bool) -> list[dict[str, float | int | str]]:
    rng = np.random.default_rng(seed)
    rows = []
    for item in range(items):
        length = round(float(2 ** rng.uniform(0, 9)), 3)
        for _ in range(int(rng.integers(1, 7))):
            p = 1 / (1 + np.exp(-(2.5 - 0.6 * np.log2(length))))
            success = float(rng.random() < p)
            if fractional and rng.random() < 0.3:
                success = round(float(rng.random()), 2)
            rows.append({"item": item, "family": f"f{item % 7}", "length": length, "success": success})
    return rows


def sklearn_fit(rows: list[dict[str, float | int | str]]) -> dict[str, float]:
    item, family = [r["item"] for r in rows], [r["family"] for r in rows]
    x = np.log2([r["length"] for r in rows])
    y = np.array([r["success"] for r in rows], float)
    inside = {f: len({i for i, g in zip(item, family, strict=True) if g == f}) for f in family}
    w = np.array([1 / (item.count(i) * inside[f] ** 0.5) for i, f in zip(item, family, strict=True)])
    w /= w.sum()
    model = LogisticRegression(C=10.0, tol=1e-12, max_iter=100_000, solver="newton-cholesky")
    model.fit(np.tile(x, 2)[:, None], np.repeat([1, 0], len(y)), sample_weight=np.concatenate([w * y, w * (1 - y)]))
    a, b = float(model.intercept_[0]), float(model.coef_[0, 0])
    horizons = {f"p{q}": float(2 ** ((np.log(q / (100 - q)) - a) / b)) for q in (50, 80)}
    return {"a": a, "b": b, **horizons}


def main() -> None:
    cases = []
    for seed, items, fractional in ((0, 30, False), (1, 60, True), (2, 12, False)):
        rows = table(seed, items, fractional)
        cases.append({"rows": {k: [r[k] for r in rows] for k in rows[0]}, "fit": sklearn_fit(rows)})
    print(json.dumps(cases))


if __name__ == "__main__":
    main()
