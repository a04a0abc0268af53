"""Golden numbers: what the instruments and their statistics give on data whose answer is published or certified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deadreckon.instruments import cox, read
from deadreckon.instruments.stats import ratio
from deadreckon.instruments.survival import first_errors
from deadreckon.validation.hand import lives, take, values

Floats = NDArray[np.float64]

DATA = Path(__file__).with_name("golden.json")  # four NIST sets (public domain); lung from lifelines (MIT licence)
NIST = "NIST StRD, univariate"
NOTE = "R survival, validation note, by hand"
DIGITS = 8.0  # correct digits asked of what is certified to 15

# mean, standard deviation, lag-1 autocorrelation; all but PiDigits, which is not the first 5,000 digits of pi
CERTIFIED = {
    "Lottery": (518.958715596330, 291.699727470969, -0.120948622967393),
    "Lew": (-177.435000000000, 277.332168044316, -0.307304800605679),
    "Mavro": (2.00185600000000, 0.000429123454003053, 0.937989183438248),
    "Michelso": (299.852400000000, 0.0790105478190518, 0.535199668621283),
    "NumAcc1": (10000002.0, 1.0, -0.5),
    "NumAcc2": (1.2, 0.1, -0.999),
    "NumAcc3": (1000000.2, 0.1, -0.999),
    "NumAcc4": (10000000.2, 0.1, -0.999),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """One golden number and ours."""

    name: str
    source: str
    expected: float
    got: float
    needed: float  # correct digits

    @property
    def digits(self) -> float:
        """Log relative error: -log10 |got - expected| / |expected|; 15 where they are equal; absolute for 0."""
        off = abs(self.got - self.expected) / (abs(self.expected) or 1.0)
        return float(min(15.0, -np.log10(off))) if off > 0 else 15.0

    @property
    def agrees(self) -> bool:
        """Whether as many digits are right as are needed."""
        return self.digits >= self.needed


def agreements() -> list[Agreement]:
    """Every golden number."""
    data = json.loads(DATA.read_text())
    lung = {name: np.array(column) for name, column in data.pop("lung").items()}
    return [*_nist(data), *_by_hand(), *_lung(lung["days"], lung["died"].astype(bool), lung["ecog"])]


def printed(text: str) -> float:
    """Correct digits that a printed number can show: half a unit of its last place."""
    value, decimals = float(text), len(text.partition(".")[2])
    return float(-np.log10(0.5 * 10.0**-decimals / abs(value)))


def _nist(data: dict[str, list[float]]) -> Iterator[Agreement]:
    made = {f"NumAcc{k}": numacc(k) for k in (1, 2, 3, 4)}
    for name, certified in CERTIFIED.items():
        got = moments(np.array(made[name] if name in made else data[name], dtype=float))
        for what, expected, value in zip(("mean", "sd", "autocorrelation"), certified, got, strict=True):
            yield Agreement(f"{name} {what}", NIST, expected, value, DIGITS)


def moments(y: Floats) -> tuple[float, float, float]:
    """Mean, standard deviation and lag-1 autocorrelation, by the ratio estimator and its variance.

    A mean is a ratio over clusters of one; its variance times n is the sample variance; the autocorrelation is the
    ratio of lagged products to squares.
    """
    one = np.ones(len(y))
    mean = ratio(y, one)
    off = y - mean.value
    lagged = np.append(off[:-1] * off[1:], 0.0)
    return mean.value, float(np.sqrt(mean.variance * len(y))), ratio(lagged, off**2).value


def numacc(k: int) -> list[float]:
    """NIST's numerical accuracy sets: their published rule."""
    if k == 1:
        return [10000001.0, 10000003.0, 10000002.0]
    middle, low, high = {
        2: (1.2, 1.1, 1.3),
        3: (1000000.2, 1000000.1, 1000000.3),
        4: (10000000.2, 10000000.1, 10000000.3),
    }[k]
    return [middle, *[low, high] * 500]


def _by_hand() -> Iterator[Agreement]:
    """Kaplan-Meier on six rows, times 9, 1, 1, 6, 6, 8 and ends 1, 1, 0, 1, 1, 0 (the tied set of R's survival)."""
    s = values(take(lives(np.array([9, 1, 1, 6, 6, 8]), np.array([1, 1, 0, 1, 1, 0], dtype=bool)), "survival"))
    for step, expected in ((1, 5 / 6), (6, 5 / 12), (8, 5 / 12), (9, 0.0)):
        yield Agreement(f"six rows S({step})", NOTE, expected, s[step - 1], 14)
    x, failed = np.array([[0.0], [1], [1], [1], [0], [0]]), np.array([1, 1, 0, 1, 1, 0], dtype=bool)
    rows = cox.lives(x, np.array([9.0, 1, 1, 6, 6, 8]), failed, np.ones(6))
    yield Agreement("six rows Cox, Efron", NOTE, 1.676857485592897, float(cox.fit(rows, "efron").beta[0]), 14)
    _, slope, information = cox.partial(rows, np.zeros(1), "breslow")
    yield Agreement("six rows Cox, Breslow, first step", NOTE, 8 / 5, float(slope[0] / information[0, 0]), 14)


def _lung(days: NDArray[np.int64], died: NDArray[np.bool_], ecog: NDArray[np.int64]) -> Iterator[Agreement]:
    """Published of the lung data: medians, S(365), its standard error (Greenwood, so the influence without C/(C-1))."""
    source = "R survival, lung data"
    groups = {"all": (ecog > -2, "310", "0.409242", ""), "ECOG 1": (ecog == 1, "306", "0.431", "0.0509")}
    for name, (rows, median, year, error) in (groups | {"ECOG 2": (ecog == 2, "199", "", "")}).items():
        frame = lives(days[rows], died[rows])
        half = take(frame, "horizon_50").value
        yield Agreement(f"lung {name} median", source, float(median), half, 14)
        curve = first_errors(read(frame)).curve()
        if year:
            yield Agreement(f"lung {name} S(365)", source, float(year), float(curve.value[364]), printed(year))
        if error:
            got = float(np.sqrt((curve.influence[:, 364] ** 2).sum()))
            yield Agreement(f"lung {name} SE of S(365)", source, float(error), got, printed(error))
