"""Checks of draws where they are much alike: an exact chance for seeds, and no honest server called a cache."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deadreckon.models.api.checks_of_draws import LUCK, alike_by_chance, draws_differ, fresh_draws, seed, several_differ
from deadreckon.models.api.contract import Status
from deadreckon.models.api.probe import Probe
from deadreckon.models.api.reply import Heard
from deadreckon.models.api.request import Request


def pairings(places: list[int]) -> Iterator[list[tuple[int, int]]]:
    """Every way to pair these places."""
    if not places:
        yield []
        return
    first, *others = places
    for other in others:
        for rest in pairings([place for place in others if place != other]):
            yield [(first, other), *rest]


@pytest.mark.parametrize("texts", ["a", "ab", "aa", "abc", "aab", "abcd", "aabb", "aaab", "abcc"])
def test_the_chance_is_that_of_all_pairings(texts: str) -> None:
    twice = texts + texts
    ways = list(pairings(list(range(len(twice)))))
    good = sum(all(twice[i] == twice[j] for i, j in way) for way in ways)
    assert alike_by_chance(list(texts)) == pytest.approx(good / len(ways))


class Server(Probe):
    """Draws 'common' with probability `often`, else one of many texts; by the seed, or not. No log-probabilities."""

    def __init__(self, often: float, honours: bool, rng: random.Random):
        nothing: Any = None
        super().__init__(nothing, "toy", "completions", nothing)
        self.__dict__ |= {"seeds": True, "told": None}
        self.often, self.honours, self.rng = often, honours, rng
        self.asked, self.salt = 0, rng.random()

    def ask_all(self, requests: Sequence[Request]) -> list[Heard]:
        return [self.ask(request) for request in requests]

    def ask(self, request: Request) -> Heard:
        self.asked += 1
        samples = [SimpleNamespace(text=self.text(request.seed, i), index=i) for i in range(request.n)]
        return cast(Heard, SimpleNamespace(samples=samples))

    def text(self, seed: int | None, index: int) -> str:
        known = self.honours and seed is not None
        rng = random.Random(f"{self.salt} {seed} {index}") if known else self.rng
        return "common" if rng.random() < self.often else str(rng.randrange(10**6))


@pytest.mark.parametrize("often", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("honours", [True, False])
def test_the_verdict_is_right_though_draws_are_much_alike(often: float, honours: bool) -> None:
    rng = random.Random(f"{often} {honours}")
    for _ in range(300):
        assert seed(Server(often, honours, rng)).status is (Status.OK if honours else Status.FAIL)


@pytest.mark.parametrize("often", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("check", [draws_differ, fresh_draws, several_differ])
def test_draws_of_a_model_sure_of_itself_are_not_called_a_cache(check: Any, often: float) -> None:
    rng = random.Random(f"{often} {check.__name__}")
    assert {check(Server(often, True, rng)).status for _ in range(300)} == {Status.OK}
    assert check(Server(1.0, True, rng)).status is Status.FAIL


def test_one_text_is_told_as_such_and_few_draws_are_spent() -> None:
    found = Server(1.0, False, random.Random(0))
    assert seed(found).status is Status.UNKNOWN
    assert found.asked <= 48


def test_chance_passes_a_server_without_seeds_as_rarely_as_said() -> None:
    rng = random.Random(5)
    passed = sum(seed(Server(often, False, rng)).status is Status.OK for often in (0.3, 0.6, 0.9) * 2000)
    assert passed <= 6000 * LUCK + 3 * (6000 * LUCK) ** 0.5
