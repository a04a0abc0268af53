"""How often `hazard_decline` names the cause of a falling hazard: constant hazards, unequal over items.

    python -m deadreckon.validation.power --law gamma [--draws 1000]

prints, by items and frailty variance, the share of draws named "unequal items", the right word, and in brackets the
share in which a word names duration, a wrong one. The items' hazards follow a gamma or a beta law, mean 0.05 a step; 5
rollouts of each item, 30 steps.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.validation.lifetimes import Lives
from deadreckon.validation.planted_errors import named

ITEMS = (50, 100, 200, 300, 500, 1000)
VARIANCES = (0.25, 0.5, 1.0, 2.0)
LAWS = ("gamma", "beta")
ROLLOUTS = 5
DRAWS = 1000
RIGHT, WRONG = ("unequal items",), ("duration dependence", "both")


def verdicts(plan: Lives, draws: int, seed: int = 0) -> Counter[str]:
    """How often each verdict is given over repeated draws."""
    place = hash64("verdicts", plan.name())
    return Counter(named(plan.draw(generator(seed, place, Purpose.START, k))) for k in range(draws))


def shares(law: str, items: int, draws: int) -> Iterator[tuple[float, float]]:
    """For each variance: the share of draws with the right word, and with a word that names duration."""
    for theta in VARIANCES:
        found = verdicts(Lives(items, ROLLOUTS, frailty=law, theta=theta), draws)
        right, wrong = (sum(found[word] for word in words) / draws for words in (RIGHT, WRONG))
        yield right, wrong


def table(law: str, draws: int, items: Sequence[int] = ITEMS) -> Iterator[str]:
    """Lines of a Markdown table, one a number of items."""
    yield f"| items, {law} | " + " | ".join(f"variance {theta:g}" for theta in VARIANCES) + " |"
    yield "|---" * (1 + len(VARIANCES)) + "|"
    for n in items:
        cells = (f"{100 * right:.1f}% ({100 * wrong:.1f}%)" for right, wrong in shares(law, n, draws))
        yield f"| {n:,} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table, line by line as it is counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--law", choices=LAWS, default=LAWS[0], help="of the items' hazards")
    parser.add_argument("--draws", type=int, default=DRAWS, help="simulated data sets in each cell")
    asked = parser.parse_args()
    for line in table(asked.law, asked.draws):
        print(line, flush=True)


if __name__ == "__main__":
    main()
