"""Draw the picture of every page here from the rollouts of its own example: python docs/instruments/pictures.py"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np

from deadreckon.contracts import Curve, Reading, nan
from deadreckon.instruments import measure, read, table_score
from deadreckon.instruments.hazard import hazard
from deadreckon.instruments.planning import minimal_detectable_effect
from deadreckon.instruments.predict import FITS, Law, far_end, until
from deadreckon.instruments.survival import first_errors, survival
from deadreckon.instruments.vote_walk import step_right
from deadreckon.instruments.voting import vote_right
from deadreckon.report.plots import Kind, Series, picture

HERE = Path(__file__).parent
OUT = HERE.parent / "img" / "instruments"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COLOURS = (("blue", (1, 0)), ("orange", (6, 3)), ("green", (2, 2)))
Names = Mapping[str, Any]  # what a page's example left behind
Readings = Sequence[Reading]


def kind(y_title: str, top: float = nan, *, steps: bool = False, zero: bool = True, **labels: str) -> Kind:
    """A picture of quantities, each under its label."""
    series = (Series(quantity, label, *look) for (quantity, label), look in zip(labels.items(), COLOURS, strict=False))
    return Kind("", "", y_title, tuple(series), top, steps, zero)


def level(name: str, value: float) -> Reading:
    """A level line."""
    return Reading(name, "", value, nan, nan, nan, 0, "")


def swept(name: str, x_name: str, points: Mapping[float, Reading]) -> Reading:
    """Readings at several x as one curve."""
    read_ = list(points.values())
    ends = [tuple(getattr(r, end) for r in read_) for end in ("value", "low", "high")]
    return replace(read_[0], quantity=name, curve=Curve(x_name, tuple(points), *ends, tuple(r.n for r in read_)))


def of_law(name: str, law: Law, steps: int) -> Reading:
    """A survival law as a curve."""
    n = np.arange(1.0, steps + 1)
    return swept(name, "steps", {float(x): level(name, float(s)) for x, s in zip(n, law(n), strict=True)})


def own(names: Names) -> Readings:
    """The readings that the page's example printed."""
    return list(names["readings"])


def and_level(value: float, names: Names) -> Readings:
    """They, and a level line."""
    return [*own(names), level("level", value)]


def without(quantity: str, names: Names) -> Readings:
    """They, one of them as a level line."""
    return [replace(r, curve=None) if r.quantity == quantity else r for r in own(names)]


def measured(take: Callable[..., Reading], names: Names) -> Readings:
    """They, and one more of the page's table."""
    return [*own(names), take(read(names["table"]))]


def fitted_laws(names: Names) -> Readings:
    """Survival, and two laws at the parameters that were read."""
    at = {r.quantity: r.value for r in own(names)}
    s, k = at["exponential_scale"], (at["loglogistic_scale"], at["loglogistic_shape"])
    laws = {"exponential": lambda n: np.exp(-n / s), "loglogistic": lambda n: 1 / (1 + (n / k[0]) ** k[1])}
    return [*own(names), *(of_law(name, law, 16) for name, law in laws.items())]


def predicted(names: Names) -> Readings:
    """Survival, and two laws fitted to the first half of the steps."""
    arm = read(names["table"])
    first = first_errors(arm)
    end = far_end(first)
    laws = {name: FITS[name](until(first, end // 2)) for name in ("constant", "no_further")}
    return [survival(arm), *(of_law(name, law, end) for name, law in laws.items())]


def by_length(names: Names) -> Readings:
    """Share of successes by length, and the fitted exponential law."""
    table, points = names["tables"][-1], {}
    for (length,), part in sorted(table.group_by("length")):
        score = table_score(part, "success")
        low, high = (float(end[0]) for end in score.interval())
        points[float(length)] = replace(level("", score.value), low=low, high=high, n=score.clusters)
    half = next(r.value for r in names["readings"] if r.quantity == "time_horizon_exponential_50")
    return [swept("success", "length, steps", points), of_law("law", lambda n: 0.5 ** (n / half), 24)]


def two_arms(names: Names) -> Readings:
    """Survival of two arms."""
    return [replace(survival(names[arm]), quantity=arm) for arm in ("ours", "theirs")]


def by_items(names: Names) -> Readings:
    """The smallest effect that is found, by number of items."""
    sizes = (20, 30, 50, 70, 100, 150, 200, 300, 400)
    return [
        swept(f"x{k}", "items", {float(n): minimal_detectable_effect(names["parts"], n, k) for n in sizes})
        for k in (1, 4)
    ]


def by_rank(names: Names) -> Readings:
    """p-values in order: as they are, by Holm, by Benjamini and Hochberg."""
    found, m = own(names), len(names["tests"])
    rows = {"p": found[:m], "holm": found[m : 2 * m], "bh": found[2 * m :]}
    return [
        swept(name, "rank", {float(k): r for k, r in enumerate(sorted(part, key=lambda r: r.value), 1)})
        for name, part in rows.items()
    ]


def by_samples(names: Names) -> Readings:
    """The price of a right step, by the samples of a vote."""
    found = [r for r in own(names) if r.quantity == "cost_per_right_step"]
    return [swept("cost_per_right_step", "samples", dict(zip((1.0, 3.0, 5.0), found, strict=True)))]


def still_wrong(names: Names) -> Readings:
    """The share of votes that stay wrong, by lead; and what the mean p alone would say."""
    arm, leads = read(names["table"], "repair"), range(1, 9)
    e = next(r.value for r in measure(names["table"], on_error="repair", names=["teacher_forced_error_exact"]))
    votes = {k: vote_right(arm, k) for k in leads}
    wrong = {float(k): replace(r, value=1 - r.value, low=1 - r.high, high=1 - r.low) for k, r in votes.items()}
    mean = {float(k): level("", 1 - float(step_right(1 - e, k))) for k in leads}
    return [swept("wrong", "k", wrong), swept("mean", "k", mean)]


SHARE = "share without an error"
PICTURES: dict[str, tuple[Callable[[Names], Readings], Kind]] = {
    "survival": (own, kind(SHARE, 1.0, steps=True, survival="each n by itself", survival_band="all n at once")),
    "hazard": (own, kind("chance of a first error", hazard="by step", hazard_piecewise="in pieces")),
    "shape": (
        fitted_laws,
        kind(SHARE, 1.0, survival="measured", exponential="exponential", loglogistic="log-logistic"),
    ),
    "constancy": (
        partial(without, "hazard"),
        kind("chance of a first error", hazard_piecewise="in pieces", hazard="one rate"),
    ),
    "unequal-items": (partial(measured, hazard), kind("chance of a first error", hazard="pooled")),
    "dependence": (own, kind("chance of an error", step_error="every step", hazard="first errors")),
    "competing-ends": (own, kind("share ended so", 1.0, steps=True, incidence_error="error", incidence_done="done")),
    "recovery": (own, kind("share back on track", 1.0, steps=True, recovery_incidence="recovered")),
    "occupancy": (
        own,
        kind("share", 1.0, occupancy="on track", occupancy_law="g/(g+h)", survival="never an error"),
    ),
    "horizons": (
        lambda names: [*measured(survival, names), level("level", 0.5)],
        kind(SHARE, 1.0, steps=True, survival="survival", level="50%"),
    ),
    "time-horizons": (by_length, kind("share of successes", 1.0, success="by length", law="exponential law")),
    "repeats": (own, kind("probability", 1.0, pass_hat_k="pass^k", pass_at_k="pass@k")),
    "votes": (still_wrong, kind("share of votes wrong", wrong="by state", mean="at the mean p")),
    "teacher-forcing": (
        own,
        kind(SHARE, 1.0, survival="measured", survival_constant="(1−e)ⁿ", survival_mixed="item mix"),
    ),
    "self-conditioning": (own, kind("difference in error rate", zero=False, self_conditioning="injected − healed")),
    "drift": (own, kind("nats a step", kl_free_running="on its own output", kl_teacher_forced="on the expert's")),
    "own-text": (
        own,
        kind("nats a symbol", entropy_free_running="on its own text", entropy_teacher_forced="on the source's"),
    ),
    "calibration": (own, kind("error rate among them", aurc="surest first")),
    "comparison": (two_arms, kind(SHARE, 1.0, steps=True, ours="slip 0.04", theirs="slip 0.08")),
    "plans": (by_items, kind("smallest effect", x1="1 rollout an item", x4="4 rollouts")),
    "multiplicity": (by_rank, kind("p", 1.0, p="as it is", holm="Holm", bh="Benjamini-Hochberg")),
    "live": (own, kind("mean", 1.0, mean_anytime="betting", mean_anytime_bernstein="Bernstein")),
    "prediction": (
        predicted,
        kind(SHARE, 1.0, survival="observed", constant="one hazard", no_further="no further error"),
    ),
    "cost": (by_samples, kind("tokens a right step", cost_per_right_step="cost")),
}


def example(page: str) -> str:
    """The code of a page's example."""
    found = BLOCK.search((HERE / f"{page}.md").read_text())
    assert found, f"{page}.md has no python block"
    return found[1]


def draw(page: str) -> str:
    """The picture of a page as SVG."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        script = Path(folder, "example.py")
        script.write_text(example(page))
        names = run_path(str(script))
    readings, look = PICTURES[page]
    drawn = picture(look, readings(names))
    assert drawn is not None, f"{page}: the measured curve is missing"
    return drawn.svg


def main(pages: Sequence[str]) -> None:
    """Write the pictures of these pages; of all where none is named."""
    OUT.mkdir(parents=True, exist_ok=True)
    for page in pages or PICTURES:
        (OUT / f"{page}.svg").write_text(draw(page))


if __name__ == "__main__":
    main(sys.argv[1:])
