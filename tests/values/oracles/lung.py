"""Kaplan-Meier and Nelson-Aalen on the lung data by lifelines; writes lung_lifelines.json beside this file.

    python tests/values/oracles/lung.py        # in an environment with lifelines

and prints the columns kept in golden.json. The data are part of lifelines (MIT licence), from Loprinzi et al.,
J. Clinical Oncology 12 (1994): days, 1 = died, ECOG score (-1 = missing), 228 patients.
"""

from __future__ import annotations

import json
from pathlib import Path

import lifelines
from lifelines.datasets import load_lung

data = load_lung()
died = data["status"].astype(int)
km = lifelines.KaplanMeierFitter().fit(data["time"], died)
na = lifelines.NelsonAalenFitter(nelson_aalen_smoothing=False).fit(data["time"], died)
steps = [int(t) for t in km.survival_function_.index if t > 0]
held = {
    "made by": f"lifelines {lifelines.__version__}",
    "steps": steps,
    "survival": [float(km.survival_function_["KM_estimate"][t]) for t in steps],
    "cumulative_hazard": [float(na.cumulative_hazard_["NA_estimate"][t]) for t in steps],
    "median": float(km.median_survival_time_),
}
Path(__file__).with_name("lung_lifelines.json").write_text(json.dumps(held) + "\n")
columns = {
    "days": [int(t) for t in data["time"]],
    "died": [int(d) for d in died],
    "ecog": [int(e) for e in data["ph.ecog"].fillna(-1)],
}
print(json.dumps(columns))
