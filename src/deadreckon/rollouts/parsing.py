"""From a general model's answer to an action: strict first, then one documented lenient form.

Strict: the answer, up to its stop, is an action as the world writes it. Lenient, in this order:

1. What stands before a last ``</think>`` does not count.
2. The first and the last line of the answer are read, each without blanks, quotes, backticks, asterisks and a full
   stop around it, and without the line's own beginning where the answer repeats it ("b544" where the world has
   written "b"); then the same of what follows the last colon in it ("Answer: N"). These name at most one action.
3. Otherwise the words of two characters or more anywhere in the answer name exactly one.

What names no action, or two different ones, is unparsed: never illegal, and left as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deadreckon.contracts import World

_AROUND = " \t\r\n\"'`*“”‘’."
_WORD = re.compile(r"\w{2,}")
LONGEST = 20_000  # characters of an answer that are looked at, from its end


def lenient(world: World[Any, Any], answer: str, begun: str = "") -> str | None:
    """The one action that the answer names, as the world writes it; None where that is not clear.

    `begun`: what already stands on the line that the answer goes on with.
    """
    rest = answer[-LONGEST:].rpartition("</think>")[2].strip()
    lines = rest.splitlines()
    if not lines:
        return None
    for candidates in (_of_line(lines[0], begun), _of_line(lines[-1], begun)), (_WORD.findall(rest),):
        named = {world.write(action) for some in candidates for action in _actions(world, some)}
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def _of_line(line: str, begun: str) -> Iterator[str]:
    for part in (line, line.rpartition(":")[2]):
        bare = part.strip(_AROUND)
        yield bare
        if begun and bare.startswith(begun):
            yield bare.removeprefix(begun).strip(_AROUND)


def _actions(world: World[Any, Any], texts: Any) -> Iterator[Any]:
    for text in texts:
        action = world.parse(text)
        if action is not None:
            yield action
