"""Text of others, made fit to be read."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]"
)


def readable(text: str) -> str:
    """Text with what cannot be seen made visible: control, lone surrogate and direction-turning characters."""
    return _UNSEEN.sub(lambda found: f"⟨{ord(found[0]):04X}⟩", text)
