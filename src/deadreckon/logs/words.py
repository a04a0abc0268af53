"""What a cell of somebody's table means: right or wrong, a share, a number, or nothing."""

from __future__ import annotations

RIGHT = ("true", "t", "yes", "y", "1", "1.0", "right", "correct", "c", "ok", "pass", "passed", "success", "succeeded",
         "solved")  # fmt: skip
WRONG = ("false", "f", "no", "n", "0", "0.0", "wrong", "incorrect", "i", "error", "fail", "failed", "failure",
         "unsolved")  # fmt: skip
MISSING = ("", "null", "none", "nan", "na", "n/a", "-")

VERDICTS: dict[str, float] = dict.fromkeys(RIGHT, 1.0) | dict.fromkeys(WRONG, 0.0)
SAID = "true/false, 1/0, yes/no, right/wrong, correct/incorrect, pass/fail, or empty where nobody knows"
