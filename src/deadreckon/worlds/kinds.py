"""Kinds of worlds that offer more than the contract asks, or less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from deadreckon.contracts import A, S, World


@runtime_checkable
class SkilledWorld(World[S, A], Protocol[S, A]):
    """A world that tells apart what its actions put to the test."""

    abilities: Sequence[str]

    def ability(self, state: S, action: A) -> str:
        """The ability that this action, right or wrong, puts to the test here."""
        ...


@runtime_checkable
class UnjudgedWorld(World[S, A], Protocol[S, A]):
    """A world without an oracle: nobody can say which action is right.

    Its `policy` is what its source has next: what a recipe imitates and the option `teach` puts in, no verdict. Steps
    of its rollouts have no event, no true state and no law.
    """

    unjudged: str  # why, in words
