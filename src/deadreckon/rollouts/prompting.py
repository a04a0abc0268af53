"""How a world speaks to a model of general text: its rules, worked examples, the transcript so far, the answer's form.

`transcript` (the default) is the text that small models are trained on, as it is. The two others are for a `Reader`:

* ``text``: one text to go on with, for base models. Where the world ends its actions with a blank, each stands on a
  line of its own instead: tokenizers of words read and write lines better than a text that ends in a blank.
* ``chat``: a conversation. What the world says is the user's, the model's own actions are its own earlier answers;
  worked examples are earlier turns of the same conversation.

Examples are the oracle's, run through the same scaffold, from start states that no item of the run has (where a world
has that many). Whether a prompt fits the model's context is decided before it is sent: `overflow=cut` ends the rollout
as `cut`, `overflow=drop` leaves out the oldest steps, `BLOCK` at a time, and says how many.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from deadreckon.contracts import (
    Ask,
    BriefedWorld,
    ChatReader,
    Key,
    Message,
    Model,
    Reader,
    Reply,
    Scaffold,
    TextReader,
    World,
)
from deadreckon.errors import BadOption, UnknownName
from deadreckon.rollouts.parsing import lenient
from deadreckon.rollouts.transcript import Exchange, Story, play, sizes_of, view_of
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.specs import between, one_of, parse_spec, read_options

BLOCK = 16  # steps left out at a time: what stays is then the same text for as many steps, and cached
EXAMPLE_STEPS = 24  # longest worked example
TRIES = 20  # draws for each example's start state, to find one not drawn before
CHATTER = 32  # tokens an answer in a conversation may take beyond the action

GO, ACT = "Go on.", "Act."
SHAPES = {
    "transcript": "the bare transcript, for models trained on it",
    "text": "rules, worked examples and transcript as one text, for base models: shots=2,overflow=cut",
    "chat": "the same as a conversation, for models that answer messages: shots=2,overflow=cut",
}


@dataclass(frozen=True, slots=True)
class Prompting:
    """The options of a prompt, read from its spec."""

    shape: str
    shots: int = 2  # worked examples
    overflow: str = "cut"  # cut: the rollout ends, censored; drop: the oldest steps are left out
    tokens: int = 0  # most tokens of an answer; 0 = as many as the longest action takes at worst


def load_prompting(spec: str) -> Prompting:
    """`transcript`, `text:shots=2` or `chat:shots=0,overflow=drop,tokens=64`. UnknownName, BadOption."""
    name, options = parse_spec(spec)
    if name not in SHAPES:
        raise UnknownName("prompt", name, SHAPES)
    if name == "transcript":
        read_options(name, options, {})
        return Prompting(name, 0)
    kinds: dict[str, Callable[[str], Any]] = {
        "shots": between(0, 64),
        "overflow": one_of("cut", "drop"),
        "tokens": between(1, 100_000),
    }
    return Prompting(name, **read_options(name, options, kinds))


def check_reader(model: Model, prompting: Prompting) -> None:
    """BadOption where the model does not read prompts of this shape."""
    if prompting.shape == "transcript" and isinstance(model, ChatReader) and not isinstance(model, TextReader):
        raise BadOption(
            f"prompt=transcript: {model.name} answers messages, a bare transcript tells it no rules: use prompt=chat"
        )
    kind: type[Reader] = ChatReader if prompting.shape == "chat" else TextReader
    if prompting.shape != "transcript" and not isinstance(model, kind):
        other = next((s for s, k in (("text", TextReader), ("chat", ChatReader)) if isinstance(model, k)), "transcript")
        raise BadOption(f"prompt={prompting.shape}: {model.name} does not read it: use prompt={other}")


class Example(NamedTuple):
    """A worked example: the opening, and the oracle's steps."""

    opening: str
    steps: tuple[Exchange, ...]


class Prompter:
    """Puts one world's asks into words. Pure: the same story gives the same prompt."""

    def __init__(self, world: World[Any, Any], level: int, scaffold: Scaffold, prompting: Prompting, seed: int):
        """`seed` of the run: it chooses the examples. `prompting` is `text` or `chat`."""
        self.world, self.level, self.scaffold, self.prompting = world, level, scaffold, prompting
        self.chat = prompting.shape == "chat"
        self.end = "\n" if world.end.isspace() else world.end
        self.answer_end = "" if self.chat else self.end
        sizes = sizes_of(world)
        self.thinks = next(scaffold(view_of(Story(""), Key(seed, 0, 0, 0), sizes))).purpose == "think"
        count = max(prompting.shots, 1) + 1  # one shows the answer's form, and one may be an item's own
        self.examples = list(_distinct(self._draw(seed, count), count))
        longest = max(map(len, world.alphabet))
        self.sizes = {
            "act": prompting.tokens or world.width * longest + CHATTER * self.chat,
            "think": prompting.tokens or world.belief_width * longest + CHATTER * self.chat,
        }
        brief = [world.brief(level)] if isinstance(world, BriefedWorld) else []
        self.rules = "\n\n".join([world.rules(), *brief])

    # --- worked examples ------------------------------------------------------------------------------------

    def _draw(self, seed: int, count: int) -> Iterator[Example]:
        """Oracle rollouts, one per place of a stream that no item uses."""
        item = hash64("example", self.world.name, self.level)
        for place in range(count * TRIES):
            yield self._worked(Key(seed, item, 0, 0), generator(seed, item, Purpose.EXAMPLE, place))

    def _worked(self, key: Key, rng: np.random.Generator) -> Example:
        world, sizes = self.world, sizes_of(self.world)
        state = world.start(self.level, rng)
        story = Story(world.opening(state))
        while len(story.past) < EXAMPLE_STEPS and not world.done(state):
            story.says(world.says(state))
            law = world.policy(state)
            p = np.array(list(law.values()))
            action = list(law)[int(rng.choice(len(p), p=p / p.sum()))]
            turn = play(self.scaffold, view_of(story, key, sizes), world.belief(state), world.write(action))
            story.ends(turn.thought, turn.action, world.end)
            state = world.step(state, action)
        return Example(story.opening, tuple(story.past))

    def others(self, opening: str) -> list[Example]:
        """The worked examples an item may be shown: none has its opening, where the world has enough different ones."""
        other = [example for example in self.examples if example.opening != opening]
        return other if len(other) >= max(self.prompting.shots, 1) else self.examples

    # --- words ----------------------------------------------------------------------------------------------

    def _form(self, first: Exchange) -> str:
        """How an answer is to be written, by example."""
        if self.chat:
            state = f'first with the current state alone, written like "{self._bare(first.thought)}", and '
            before = f'{state if self.thinks else ""}when you read "{ACT}" ' if first.thought else ""
            return f'Answer {before}with the next action alone, written like "{first.action}".'
        thought = f'{"the current state" if self.thinks else "a pause"}, written like "{first.thought}", and then '
        before = thought if first.thought else ""
        return f'In a transcript each line ends with {before}an action, written like "{first.action}".'

    def _lines(self, text: str) -> str:
        """The world's text with each action on a line of its own."""
        return text if self.end == self.world.end else text.replace(self.world.end, self.end)

    def _bare(self, thought: str) -> str:
        return thought.removesuffix(self.world.belief_end).strip()

    def _text(self, opening: str, steps: Sequence[Exchange], left_out: int = 0) -> str:
        marker = f"[{left_out} steps left out]\n" if left_out else ""
        told = "".join(self._lines(said) + thought + action + self.end for said, thought, action in steps)
        return self._lines(opening) + marker + told

    def _turns(self, head: str, opening: str, steps: Sequence[Exchange], left_out: int = 0) -> Iterator[Message]:
        """A transcript as turns: each step ends with its action."""
        marker = f"[{left_out} steps left out]\n" if left_out else ""
        before = head + self._lines(opening) + marker
        for said, thought, action in steps:
            yield Message("user", (before + self._lines(said)).strip("\n") or GO)
            before = ""
            if thought:
                yield Message("assistant", self._bare(thought))
                yield Message("user", ACT)
            yield Message("assistant", action)

    # --- asks -----------------------------------------------------------------------------------------------

    def ask(self, ask: Ask, story: Story, reader: Reader) -> Ask | None:
        """The ask in words, as long as it fits the reader; None where the rule is to cut, or nothing can be dropped."""
        whole = self._write(ask, story, 0)
        if _fits(whole, reader):
            return whole
        if self.prompting.overflow == "cut":
            return None
        blocks = range(1, -(-len(story.past) // BLOCK) + 1)
        found = bisect_left(blocks, True, key=lambda n: _fits(self._write(ask, story, n * BLOCK), reader))
        return self._write(ask, story, blocks[found] * BLOCK) if found < len(blocks) else None

    def _write(self, ask: Ask, story: Story, left_out: int) -> Ask:
        left_out = min(left_out, len(story.past))
        begun = story.begun(ask)
        steps = story.past[left_out:]
        others = self.others(story.opening)
        preface = f"{self.rules}\n\n{self._form(others[0].steps[0])}"
        shots = others[: self.prompting.shots]
        size = self.sizes[ask.purpose]
        if self.chat:
            now = [*steps, Exchange(story.said, begun, "")]
            told = [self._turns(f"Example {i}:\n", x.opening, x.steps) for i, x in enumerate(shots, start=1)]
            told.append(self._turns("Transcript:\n" if shots else "", story.opening, now, left_out))
            (_, first), *rest, _to_come = [message for turns in told for message in turns]
            messages = (Message("user", f"{preface}\n\n{first}"), *rest)
            return replace(ask, prompt="", messages=messages, max_tokens=size, stop=())
        heads = [f"Example {i}:\n{self._text(x.opening, x.steps)}" for i, x in enumerate(shots, start=1)]
        told_text = self._text(story.opening, steps, left_out) + self._lines(story.said) + begun
        prompt = "\n".join([preface + "\n", *heads, f"Transcript:\n{told_text}"])
        stop = (self.world.belief_end,) if ask.purpose == "think" else (self.end,)
        return replace(ask, prompt=prompt, max_tokens=size, stop=stop)

    def read(self, reply: Reply, ask: Ask, story: Story) -> Reply:
        """The reply in the world's words: actions read strictly, else leniently; `answers` keeps what was written."""
        if ask.purpose == "think":
            return replace(reply, texts=tuple(map(self._thought, reply.texts)))
        begun = (self._lines(story.said) + story.begun(ask)).rpartition("\n")[2]
        return replace(reply, texts=tuple(self._action(text, begun) for text in reply.texts), answers=reply.texts)

    def _action(self, answer: str, begun: str) -> str:
        if self.world.parse(answer) is not None:
            return answer
        found = lenient(self.world, answer, begun)
        return answer if found is None else found

    def _thought(self, text: str) -> str:
        """A written state as the world would write it: blanks around it and its end do not count."""
        like = self.examples[0].steps[0].thought.removesuffix(self.world.belief_end)
        return self._bare(text.strip()) + like[len(like.rstrip()) :]


def _fits(ask: Ask, reader: Reader) -> bool:
    return reader.context == float("inf") or reader.length(ask) + ask.max_tokens <= reader.context


def _distinct(examples: Iterator[Example], count: int) -> Iterator[Example]:
    """The first `count` with different openings; where the world has not so many, the others too."""
    kept: list[Example] = []
    again: list[Example] = []
    for example in examples:
        (again if any(x.opening == example.opening for x in kept) else kept).append(example)
        if len(kept) == count:
            break
    yield from [*kept, *again][:count]
