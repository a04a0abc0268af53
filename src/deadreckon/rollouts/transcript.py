"""A transcript under way as its parts: who wrote what; and a scaffold driven with a given action."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from deadreckon.contracts import Ask, Key, Reply, Scaffold, Turn, View, World, nan
from deadreckon.errors import BadOption
from deadreckon.models.tokens import filler_text


class Exchange(NamedTuple):
    """One step: what the world said before it, the thought that was left, and the action (without its end)."""

    said: str
    thought: str
    action: str


class Sizes(NamedTuple):
    """What a view holds of a world besides its text."""

    end: str
    width: int
    belief_end: str
    belief_width: int
    filler: str


def sizes_of(world: World[Any, Any]) -> Sizes:
    """The sizes of a world's actions and beliefs."""
    return Sizes(world.end, world.width, world.belief_end, world.belief_width, filler_text(world))


@dataclass(slots=True)
class Story:
    """A rollout's transcript so far. `text` is all of it as one string."""

    opening: str
    past: list[Exchange] = field(default_factory=list)
    said: str = ""  # by the world, since the last action
    text: str = ""

    def __post_init__(self) -> None:
        """It begins with the opening."""
        self.text = self.opening

    def says(self, text: str) -> None:
        """The world speaks before a turn."""
        self.said, self.text = text, self.text + text

    def ends(self, thought: str, action: str, end: str) -> None:
        """A step is over."""
        self.past.append(Exchange(self.said, thought, action))
        self.text += thought + action + end
        self.said = ""

    def begun(self, ask: Ask) -> str:
        """What the scaffold put after the transcript in this ask. BadOption where it changed the transcript itself."""
        if not ask.prompt.startswith(self.text):
            raise BadOption("this scaffold rewrites the transcript: use prompt=transcript")
        return ask.prompt[len(self.text) :]


def play(scaffold: Scaffold, view: View, thought: str, action: str) -> Turn:
    """Drive the scaffold with this action: it thinks `thought` and is given the action for every sample."""
    turn = scaffold(view)
    try:
        ask = next(turn)
        while True:
            text = thought if ask.purpose == "think" else action
            ask = turn.send(Reply((text,) * ask.n, (nan,) * ask.n, (nan,) * ask.n, 0))
    except StopIteration as end:
        decided: Turn = end.value
        return decided


def view_of(story: Story, key: Key, sizes: Sizes, temperature: float = 1.0) -> View:
    """What a scaffold sees of it."""
    return View(story.text, key, *sizes, temperature)
