"""The user's own step verdicts: `module:function`, imported from the folder the command runs in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from deadreckon.errors import BadLog, BadOption
from deadreckon.logs.record import Checker, Record

SHAPE = "def check(messages, record) -> [True, False, None, ...]: one verdict a step, None = cannot say"


def load_checker(name: str) -> Checker:
    """The function named `module:function`. BadOption: no such module or function, or it fails while imported."""
    module, _, function = name.partition(":")
    if not module or not function:
        raise BadOption(f"checker {name!r}: name it module:function, such as checks:steps for {SHAPE}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), function, None)
    except Exception as error:
        raise BadOption(f"checker {name!r}: importing {module} failed: {_line(error)}") from error
    if not callable(found):
        raise BadOption(f"checker {name!r}: {module} has no function {function}: write {SHAPE}")
    checker: Checker = found
    return checker


def check_run(checker: Checker, record: Record, place: str) -> Sequence[bool | None]:
    """The checker's verdicts on one run. BadLog where it fails or answers something else; place is the run's."""
    try:
        verdicts = list(checker(record.messages, record))
    except Exception as error:
        raise BadLog(f"{place}: the checker failed on item {record.item!r}: {_line(error)}") from error
    for i, verdict in enumerate(verdicts):
        if verdict is not None and not isinstance(verdict, bool):
            raise BadLog(f"{place}: the checker's verdict {i} is {verdict!r:.60}, not True, False or None: {SHAPE}")
    return verdicts


def _line(error: Exception) -> str:
    """The error's kind, words and the last line of the user's code it passed through, on one line."""
    at, trace = "", error.__traceback__
    while trace is not None:
        at = f" (line {trace.tb_lineno} of {Path(trace.tb_frame.f_code.co_filename).name})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}{at}"
