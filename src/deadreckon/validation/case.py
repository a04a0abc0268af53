"""A planted truth at one sample size: how to draw it, how it is measured, and what the measure should say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.seeds import Purpose, generator, hash64

Sample = Callable[[np.random.Generator], Mapping[str, Reading]]


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the validation: `sample` draws one replicate and measures it, readings by name.

    `sample` is a module-level function or a `functools.partial` of one, so that worker processes can be handed it.
    A name in `truth` is an interval that should hold that value; a name in `nulls` is a test's p-value (its
    `value`) under a true null. `discrete` names are exact or discrete: conservatism is allowed there.
    """

    topic: str  # the planted law: "frailty"
    cell: str  # "items=100 rollouts=5 theta=1"
    items: int  # the unit of resampling
    sample: Sample
    truth: Mapping[str, float]
    nulls: frozenset[str] = frozenset()
    discrete: frozenset[str] = frozenset()
    closed: bool = False  # closed-form: nothing resamples or iterates, so that 10,000 replicates are affordable

    @property
    def key(self) -> str:
        """Names the case among all of them."""
        return f"{self.topic}: {self.cell}"


def replicate(case: Case, seed: int, place: int) -> np.random.Generator:
    """The draws of one replicate: they depend on the seed, the case and the replicate's number alone."""
    return generator(seed, hash64(case.topic, case.cell), Purpose.START, place)
