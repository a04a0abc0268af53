"""What can go wrong, by name.

The message rule: one line that states the fact, the value and the remedy, with any state in a notation
that can be pasted back::

    S(40) asked, longest rollout ends at 22: raise the horizon

Every error a user can cause is a :class:`DeadreckonError`; the command line prints its message alone and
exits with 2. Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DeadreckonError(Exception):
    """Base class of every error a user can cause."""


class UnknownName(DeadreckonError):
    """A world, model, scaffold, study or recipe of that name does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        """`kind` is the noun ("world"), `known` the names that exist."""
        names = sorted(known)
        close = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class BadOption(DeadreckonError):
    """An option has a value outside its range or of the wrong kind."""


class IllegalAction(DeadreckonError):
    """`World.step` was asked to take an action that `World.allows` refuses."""


class BadText(DeadreckonError):
    """Text cannot be read back: a state notation, or a symbol outside an alphabet."""


class BadWeights(DeadreckonError):
    """A checkpoint is missing, corrupt, or belongs to another model or world."""


class StoreError(DeadreckonError):
    """A run folder cannot be written, or what it holds does not match its manifest."""


class OtherIdentity(StoreError):
    """A run folder holds another run: resuming would mix two runs in one table."""


class MissingExtra(DeadreckonError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str):
        """`what` needs the optional dependencies named `extra`."""
        super().__init__(f"{what} needs the extra {extra!r}: pip install 'deadreckon[{extra}]'")


class MissingProgram(DeadreckonError):
    """A program that is no Python package is not installed."""

    def __init__(self, what: str, program: str, command: str):
        """`what` needs `program`, which `command` installs."""
        super().__init__(f"{what} needs the program {program!r}: {command}")


class EngineDied(DeadreckonError):
    """A chess engine ended, or stopped answering."""


class WorkerDied(DeadreckonError):
    """A worker process ended without an answer."""

    def __init__(self, workers: int):
        """One of `workers` processes died."""
        super().__init__(
            f"one of {workers} worker processes was killed, most often for lack of memory: use fewer workers;"
            " a run with a folder resumes from what is committed"
        )


class OutOfMemory(DeadreckonError):
    """There is not enough memory for what was asked."""

    def __init__(self, what: str, size: int):
        """`size` bytes were asked for `what`."""
        super().__init__(f"no memory for {what} ({size:,} bytes): run fewer rollouts at once")


class NotEstimable(DeadreckonError):
    """A quantity cannot be estimated from this table; the message is the reason."""


class BadLog(DeadreckonError):
    """A log cannot be read: which file and place, what stands there, what to do."""


class ServerRefused(DeadreckonError):
    """A server cannot be reached, or will not answer any request of this run; what was answered is kept."""


class CapReached(DeadreckonError):
    """The next request might cost more than a cap allows; what was answered is kept."""


class BrokenContract(DeadreckonError):
    """A server does not do what an instrument needs: which check, what was seen."""
