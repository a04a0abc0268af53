"""What an artist is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deadreckon.contracts import ERRORS, World
from deadreckon.report.canvas import Canvas
from deadreckon.studies.study import ReplayStep

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture and its text twin; svg is "" where the world has no picture."""

    svg: str
    text: str


@dataclass(frozen=True, slots=True)
class Scene(Generic[S]):
    """A rollout at step `i`: a drawing shows what happened up to there, and nothing after."""

    world: World[S, Any]
    rows: Sequence[ReplayStep]
    states: Sequence[S]  # before each row
    i: int
    ground: str  # id of the part of the picture that all steps share

    @property
    def row(self) -> ReplayStep:
        """The step that is drawn."""
        return self.rows[self.i]

    @property
    def state(self) -> S:
        """The state before it."""
        return self.states[self.i]


@dataclass(frozen=True, slots=True)
class Artist(Generic[S]):
    """How one world is drawn: the ground once a rollout, and every step on it."""

    draw: Callable[[Scene[S]], Drawing]
    ground: Callable[[S], Canvas] | None = None


def erred(row: ReplayStep) -> bool:
    """Whether the step is an error (the model's own or a forced one)."""
    return row.event in ERRORS
