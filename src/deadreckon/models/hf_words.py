"""A checkpoint's own tokenizer: asks to token ids and sampled ids to text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from deadreckon.contracts import Ask, Message
from deadreckon.errors import BadOption

TAIL = 4  # ids before a continuation that are decoded with it: some tokenizers write a blank before a first word
KEPT = 512  # prompts whose ids are remembered


class Words:
    """A tokenizer of transformers. A prompt's ids depend on its text alone, never on how it was sampled."""

    def __init__(self, tokenizer: Any, ends: Sequence[int]):
        """`ends`: the ids that end an answer."""
        self.tokenizer, self.ends = tokenizer, tuple(sorted(set(ends)))
        self._ids = lru_cache(maxsize=KEPT)(self._encode)
        self.continuation = lru_cache(maxsize=8 * KEPT)(self._continuation)

    def ids(self, ask: Ask) -> list[int]:
        """The ids of its messages within the template, or of its prompt."""
        return list(self._ids(ask.prompt, ask.messages))

    def _encode(self, prompt: str, messages: tuple[Message, ...]) -> tuple[int, ...]:
        if messages:
            told = [{"role": message.role, "content": message.text} for message in messages]
            try:
                found = self.tokenizer.apply_chat_template(told, add_generation_prompt=True, return_dict=False)
            except (TypeError, ValueError, TemplateError) as error:
                raise BadOption(f"the chat template refuses the conversation ({error}): use prompt=text") from None
            return tuple(found)
        ids = list(self.tokenizer(prompt)["input_ids"])
        if ids and ids[-1] in self.ends and len(ids) > 1:
            del ids[-1]  # some tokenizers end every text
        first = self.tokenizer.bos_token_id
        return tuple(ids) or ((first,) if first is not None else self.ends[:1])

    def text(self, before: Sequence[int], drawn: Sequence[int]) -> str:
        """The text that ids add after others; special tokens add none."""
        tail = list(before[-TAIL:])
        whole: str = self.tokenizer.decode([*tail, *drawn], skip_special_tokens=True)
        known: str = self.tokenizer.decode(tail, skip_special_tokens=True)
        return whole[len(known) :]

    def _continuation(self, before: tuple[int, ...], text: str) -> tuple[int, ...]:
        """The ids of a text written after others, of which the last few matter."""
        tail = self.tokenizer.decode(list(before))
        known = self.tokenizer(tail, add_special_tokens=False)["input_ids"]
        whole = self.tokenizer(tail + text, add_special_tokens=False)["input_ids"]
        if whole[: len(known)] == known:
            return tuple(whole[len(known) :])
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
