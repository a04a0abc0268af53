"""Written arithmetic, line by line: what each line of a calculation should hold, and where its errors come from.

A line has parts, numbers of fixed width. From the value that the line before left (as written, right or not):

* add, sub: the result of the low i + 1 columns, its carry (borrow) in front: column i of 478 + 356: 14, 134, 0834;
* mul: the product of the first factor with digit i of the second, and the running total: 2868,2868;
* div: remainder with the next digit brought down, trial digit, its product, the new remainder, the quotient so far.

`direct` is one line that holds the answer (div: quotient, remainder).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Parts = tuple[int, ...]

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
NODES = {
    "add": ("carry", "digit", "copy"),
    "sub": ("carry", "digit", "copy"),
    "mul": ("product", "total"),
    "div": ("current", "trial", "product", "remainder", "quotient"),
}


class Node(StrEnum):
    """How a number of a line came to be, in the computation graph (Dziri et al. 2023, arXiv 2305.18654)."""

    RIGHT = "right"  # follows from what it is computed from, and is true
    LOCAL = "local"  # does not follow, and is not true
    PROPAGATED = "propagated"  # follows, but from something wrong
    RESTORED = "restored"  # does not follow, but is true


@dataclass(frozen=True, slots=True)
class Problem:
    """Two operands of `digits` digits (div: the divisor has half of them) and how they are worked."""

    op: str
    form: str
    digits: int
    a: int
    b: int
    values: tuple[Parts, ...] = field(init=False, repr=False, compare=False)  # true value before line 0 .. n
    lines: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work the true values out."""
        object.__setattr__(self, "lines", 1 if self.form == "direct" else self.digits)
        values = [begin(self)]
        for i in range(self.lines):
            values.append(kept(self, right_line(self, i, values[-1])))
        object.__setattr__(self, "values", tuple(values))


def divisor_digits(digits: int) -> int:
    """Digits of a divisor, by those of the dividend."""
    return max(1, digits // 2)


def begin(problem: Problem) -> Parts:
    """The value before the first line."""
    if problem.form == "direct":
        return ()
    return (0, 0) if problem.op == "div" else (0,)


def kept(problem: Problem, parts: Parts) -> Parts:
    """The parts of a line that the next line goes on from."""
    if problem.form == "direct":
        return parts
    return parts[-2:] if problem.op == "div" else parts[-1:]


def widths(problem: Problem, i: int) -> Sequence[int]:
    """Digits of each part of line i."""
    n, m = problem.digits, divisor_digits(problem.digits)
    if problem.form == "direct":
        return {"add": (n + 1,), "sub": (n,), "mul": (2 * n,), "div": (n, m)}[problem.op]
    if problem.op == "mul":
        return (n + 1, n + i + 1)
    return (m + 1, 2, m + 1, m, i + 1) if problem.op == "div" else (i + 2,)


def value_widths(problem: Problem, i: int) -> Sequence[int]:
    """Digits of each part of the value before line i."""
    if i:
        return kept(problem, tuple(widths(problem, i - 1)))
    if problem.form == "direct":
        return ()
    return {"mul": (problem.digits,), "div": (divisor_digits(problem.digits), 1)}.get(problem.op, (1,))


def right_line(problem: Problem, i: int, value: Parts) -> Parts:
    """Line i as it follows from the written value before it."""
    a, b = problem.a, problem.b
    if problem.form == "direct":
        return {"add": (a + b,), "sub": (a - b,), "mul": (a * b,)}.get(problem.op) or divmod(a, b)
    place = 10**i
    if problem.op == "mul":
        product = a * (b // place % 10)
        return product, _total(problem, i, value, product)
    if problem.op == "div":
        current = _brought_down(problem, i, value)
        trial = current // b
        return current, trial, trial * b, current % b, _quotient(i, value, trial)
    carry, low = divmod(value[0], place)
    x, y = a // place % 10, b // place % 10
    if problem.op == "add":
        return ((x + y + carry) * place + low,)
    borrow, digit = divmod(x - y - carry, 10)
    return ((-borrow * 10 + digit) * place + low,)


def _total(problem: Problem, i: int, value: Parts, product: int) -> int:
    total: int = (value[0] + product * 10**i) % 10 ** (problem.digits + i + 1)
    return total


def _brought_down(problem: Problem, i: int, value: Parts) -> int:
    digit: int = problem.a // 10 ** (problem.digits - 1 - i) % 10
    return 10 * value[0] + digit


def _quotient(i: int, value: Parts, trial: int) -> int:
    """A trial digit above 9 (after one that was too small) carries into the digits before it."""
    most: int = 10 ** (i + 1) - 1
    return min(10 * value[1] + trial, most)


def nodes(problem: Problem, i: int, value: Parts, parts: Parts) -> dict[str, Node]:
    """Each number of line i as written, judged against what it is computed from as written, and against the truth."""
    truth = right_line(problem, i, problem.values[i])
    follows = right_line(problem, i, value)
    if problem.form == "direct":
        names: Sequence[str] = ("quotient", "remainder") if problem.op == "div" else ("answer",)
    else:
        names = NODES[problem.op]
        if problem.op in ("add", "sub"):
            parts, truth, follows = (_columns(line[0], i) for line in (parts, truth, follows))
        elif problem.op == "mul":
            follows = (follows[0], _total(problem, i, value, parts[0]))
        else:
            m = divisor_digits(problem.digits)
            current, trial, product = parts[:3]
            remainder = (current - product) % 10**m
            chain = (current // problem.b, trial * problem.b, remainder, _quotient(i, value, trial))
            follows = (follows[0], *chain)
    each = zip(names, parts, follows, truth, strict=True)
    return {name: _node(written == then, written == true) for name, written, then, true in each}


def _columns(line: int, i: int) -> Parts:
    """Carry, new digit, and the digits copied from the line before."""
    return line // 10 ** (i + 1), line // 10**i % 10, line % 10**i


def _node(follows: bool, true: bool) -> Node:
    if follows:
        return Node.RIGHT if true else Node.PROPAGATED
    return Node.RESTORED if true else Node.LOCAL


def carries(op: str, digits: int, a: int, b: int) -> tuple[int, ...]:
    """Whether each column hands a carry (sub: borrow) to the next, low column first: 0 or 1."""
    out, carry = [], 0
    for i in range(digits):
        x, y = a // 10**i % 10, b // 10**i % 10
        carry = int(x + y + carry > 9) if op == "add" else int(x - y - carry < 0)
        out.append(carry)
    return tuple(out)


def chain(bits: Sequence[int]) -> int:
    """The longest run of columns that carry."""
    return max(map(len, "".join(map(str, bits)).split("0")))
