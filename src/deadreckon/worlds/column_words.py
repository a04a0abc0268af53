"""Written arithmetic in words and on paper: its rules, and lines that are a digit off."""

from __future__ import annotations

from functools import lru_cache
from string import digits as DIGITS

TASKS = {
    "add": "add the two numbers column by column from the right: each line is the sum of all columns so far, the carry"
    " (0 or 1) in front",
    "sub": "subtract the second number column by column from the right: each line is the difference of all columns so"
    " far, the borrow (0 or 1) in front",
    "mul": "multiply by each digit of the second number from the right: each line is the first number times that digit,"
    " a comma, and the running total with the product put in its place",
    "div": "divide digit by digit from the left: each line is the remainder with the next digit brought down, how often"
    " the divisor goes into it (two digits), that multiple, the new remainder and the quotient so far",
}
ANSWERS = {
    "add": "the sum, one digit longer than the numbers",
    "sub": "the difference, as long as the numbers",
    "mul": "the product, twice as long as the numbers",
    "div": "the quotient, as long as the dividend, a comma, and the remainder, as long as the divisor",
}


def in_words(op: str, form: str, *, backwards: bool) -> str:
    """The rules, for a model that reads prompts."""
    if form == "scratchpad":
        return (
            f"Written arithmetic: {TASKS[op]}. Pad every number with zeros to its full width; numbers of a line are"
            " separated by commas."
        )
    back = " Write the whole line backwards, last character first." if backwards else ""
    return f"Arithmetic: write the answer in one line: {ANSWERS[op]}, padded with zeros.{back}"


@lru_cache(maxsize=1 << 12)
def one_digit_off(result: str, flagged: bool) -> tuple[str, ...]:
    """The result with one digit changed, first digit first; `flagged`: the first stays 0 or 1."""
    return tuple(
        result[:at] + digit + result[at + 1 :]
        for at, now in enumerate(result)
        if now != ","
        for digit in (DIGITS[:2] if flagged and not at else DIGITS)
        if digit != now
    )
