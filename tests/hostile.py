"""Text that tries to become markup, script, style or template, and a way to put it everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

PAYLOADS = (
    "<script>hit()</script>",
    '"><img src=x onerror=hit()>',
    "' onmouseover='hit()",
    "</script><script>hit()</script>",
    "</style><script>hit()</script>",
    "</title><svg onload=hit()>",
    "]]><script>hit()</script>",
    "<!-- --><iframe src=javascript:hit()>",
    "{{ 7 * 191 }}{% raw %}",
    "&lt;script&gt;hit()&lt;/script&gt;",
    "javascript:hit()",
    "\u2028\u202e\x00\x1b[31m\ud800<b>",
)
T = TypeVar("T")


def poisoned(value: T, text: str, keep: tuple[str, ...]) -> T:
    """The same value with `text` in every string below it, but in fields named in `keep`."""
    if type(value) is str:
        return text
    if isinstance(value, tuple):
        return type(value)(poisoned(v, text, keep) for v in value)
    if isinstance(value, Mapping):
        return {poisoned(k, text, keep): poisoned(v, text, keep) for k, v in value.items()}  # type: ignore[return-value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value) if f.name not in keep]
        return dataclasses.replace(value, **{name: poisoned(getattr(value, name), text, keep) for name in names})
    return value
