"""How a broken law is told: the law, the state and the action, in notation that can be pasted back."""

from __future__ import annotations

from deadreckon.contracts import A, S, World
from deadreckon.errors import DeadreckonError


class WorldLawBroken(DeadreckonError):
    """A world does not keep a law of the contract."""


def require(world: World[S, A], kept: bool, law: str, state: S | None = None, action: A | None = None) -> None:
    """WorldLawBroken unless the law is kept."""
    if kept:
        return
    where = "" if state is None else f" in state {world.show(state)!r}"
    doing = "" if action is None else f" by action {world.write(action)!r}"
    raise WorldLawBroken(f"{world.name} breaks the law {law!r}{where}{doing}: mend the world")
