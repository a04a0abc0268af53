"""A tiny concatenative language, run by counted steps: a program is a text, and what it handles are texts.

    (x)  push x        :  copy the top       !  drop the top      ~  swap the two on top
    *    join the two on top (the lower first)     a  wrap the top in brackets
    S    take the top off and put it out           ^  take the top off and run it

These are the commands of Underload. Other letters may stand in brackets, as data. A run ends at the end of its program;
a step that cannot be done (too few on the stack, a letter, a configuration longer than MOST) is never done.
"""

from __future__ import annotations

from typing import NamedTuple

COMMANDS = ":!~*aS^"
DATA = "xyz"
SYMBOLS = "()" + COMMANDS + DATA
MOST = 96  # symbols of a configuration: rest, stack and output together
NEEDS = {":": 1, "!": 1, "~": 2, "*": 2, "a": 1, "S": 1, "^": 1}


class Config(NamedTuple):
    """What is still to run, the stack (top last), and what has been put out."""

    rest: str
    stack: tuple[str, ...]
    out: str

    def size(self) -> int:
        """Symbols of it as text, separators apart."""
        return len(self.rest) + sum(len(text) + 2 for text in self.stack) + len(self.out)


def balanced(text: str) -> bool:
    """Every bracket has its partner."""
    depth = 0
    for symbol in text:
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            return False
    return depth == 0


def quoted(text: str) -> int:
    """The place after the bracket that closes the one at the start; 0 where none does."""
    depth = 0
    for place, symbol in enumerate(text):
        depth += (symbol == "(") - (symbol == ")")
        if depth == 0:
            return place + 1 if place else 0
    return 0


def advance(config: Config) -> Config | None:
    """The configuration one step later; None at the end, and where the step cannot be done."""
    rest, stack, out = config
    if not rest:
        return None
    if rest[0] == "(":
        close = quoted(rest)
        after = Config(rest[close:], (*stack, rest[1 : close - 1]), out) if close else None
    elif len(stack) < NEEDS.get(rest[0], len(stack) + 1):
        after = None
    else:
        after = _command(rest[0], rest[1:], stack, out)
    return after if after is not None and after.size() <= MOST else None


def _command(command: str, rest: str, stack: tuple[str, ...], out: str) -> Config:
    below, top = stack[:-1], stack[-1]
    match command:
        case ":":
            return Config(rest, (*stack, top), out)
        case "!":
            return Config(rest, below, out)
        case "~":
            return Config(rest, (*stack[:-2], top, stack[-2]), out)
        case "*":
            return Config(rest, (*stack[:-2], stack[-2] + top), out)
        case "a":
            return Config(rest, (*below, f"({top})"), out)
        case "S":
            return Config(rest, below, out + top)
        case _:
            return Config(top + rest, below, out)


def run(program: str, most: int) -> tuple[Config, ...]:
    """Every configuration of a run of at most `most` steps, the first included."""
    configs = [Config(program, (), "")]
    for _ in range(most):
        after = advance(configs[-1])
        if after is None:
            break
        configs.append(after)
    return tuple(configs)


def is_quine(program: str, most: int = 1000) -> bool:
    """Whether the program, run to its end in at most `most` steps, puts out itself."""
    last = run(program, most)[-1]
    return last.rest == "" and last.out == program
