"""Laws of prompts: what a general model is shown, how its answers are read, and what happens when it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from math import inf
from typing import Any

import polars as pl
import pytest

from deadreckon.contracts import Ask, ChatReader, Key, Reply, TextReader, Turn, View, nan
from deadreckon.errors import BadOption, UnknownName
from deadreckon.models import load_model
from deadreckon.rollouts.parsing import lenient
from deadreckon.rollouts.prompting import ACT, BLOCK, GO, Prompter, check_reader, load_prompting
from deadreckon.rollouts.run import Bench, compute, roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.transcript import Story, play, sizes_of, view_of
from deadreckon.scaffolds import load_scaffold
from deadreckon.worlds import load_world

CHESS = ("chess:notation=san,tell=fen,every=2,opponent=random",) if find_spec("chess") else ()  # the extra chess
WORLDS = ("sums:k=3", "maps", "maps:style=walk", "othello", "markov:kind=ergodic,order=2", *CHESS)
SCAFFOLDS = ("plain", "monologue", "filler", "vote:k=3")


@dataclass
class Puppet(TextReader, ChatReader):
    """A reader that tracks the world by itself and is always right; `say` is how it puts an action."""

    bench: Bench | None = None
    say: Callable[[str], str] = str
    context: float = inf
    asked: list[Ask] = field(default_factory=list)
    states: dict[tuple[int, int], Any] = field(default_factory=dict)
    name, identity, seed, capacity = "puppet", {}, None, 64

    def length(self, ask: Ask) -> int:
        return len(ask.prompt) + sum(len(message.text) for message in ask.messages)

    def session(self) -> Puppet:
        return self

    def complete(self, asks: Sequence[Ask]) -> list[Reply]:
        self.asked += asks
        return [Reply((self._answer(ask),) * ask.n, (nan,) * ask.n, (nan,) * ask.n, 1) for ask in asks]

    def _answer(self, ask: Ask) -> str:
        assert self.bench is not None
        world, key = self.bench.world, (ask.key.item, ask.key.rollout)
        if key not in self.states:
            items = {self.bench.item_hash(i): i for i in range(self.bench.spec.items)}
            self.states[key] = self.bench.start(items[key[0]])
        state = self.states[key]
        if ask.purpose == "think":
            return world.belief(state).strip()
        action = next(iter(world.policy(state)))
        self.states[key] = world.step(state, action)
        return self.say(world.write(action))


def run_puppet(spec: RollSpec, **options: Any) -> tuple[pl.DataFrame, Puppet]:
    world, puppet, prompting = load_world(spec.world), Puppet(**options), load_prompting(spec.prompt)
    prompter = Prompter(world, spec.level, load_scaffold(spec.scaffold), prompting, spec.seed)
    puppet.bench = Bench(spec, world, puppet, prompter)
    return compute(puppet.bench, range(spec.items), 64), puppet


def transcript_of(table: pl.DataFrame, world: Any, steps: int) -> str:
    """The first steps of the first item, as a model trained on transcripts would see them."""
    rows = table.filter(pl.col("item") == 0).rows(named=True)[: steps + 1]
    text = world.opening(world.restore(rows[0]["state"]))
    for row in rows[:steps]:
        text += world.says(world.restore(row["state"])) + row["thought"] + row["action"] + world.end
    return text + world.says(world.restore(rows[steps]["state"]))


# --- what is shown --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaffold", SCAFFOLDS)
@pytest.mark.parametrize("world", WORLDS)
def test_a_text_ends_in_the_transcript_with_an_action_a_line(world: str, scaffold: str) -> None:
    spec = RollSpec(world, 1, "puppet", scaffold, items=2, horizon=5, prompt="text:shots=1")
    table, puppet = run_puppet(spec)
    assert set(table["event"]) == {"right"}
    known = load_world(world)
    for ask in (a for a in puppet.asked if a.key.item == puppet.bench.item_hash(0) and not a.key.ask):
        whole = transcript_of(table, known, ask.key.step)
        shown = ask.prompt.rpartition("Transcript:\n")[2]
        assert shown.replace("\n", known.end) == whole
        assert known.rules() in ask.prompt


@pytest.mark.parametrize("scaffold", SCAFFOLDS)
@pytest.mark.parametrize("world", WORLDS)
def test_a_conversation_alternates_and_holds_what_was_said_and_done(world: str, scaffold: str) -> None:
    spec = RollSpec(world, 1, "puppet", scaffold, items=1, horizon=5, prompt="chat:shots=1")
    table, puppet = run_puppet(spec)
    known = load_world(world)
    assert set(table["event"]) == {"right"}
    last = puppet.asked[-1].messages
    assert [m.role for m in last] == ["user", "assistant"] * (len(last) // 2) + ["user"]
    begin = max(i for i, m in enumerate(last) if "Transcript:" in m.text)
    answers = [m.text for m in last[begin:] if m.role == "assistant"]
    rows = table.rows(named=True)
    expected: list[str] = []
    for row in rows:
        bare = row["thought"].removesuffix(known.belief_end).strip()
        expected += [bare] * bool(row["thought"]) + [row["action"]]
    assert answers == expected[:-1]
    said = [m.text for m in last[begin:] if m.role == "user" and m.text != ACT][1:]
    states = [known.restore(row["state"]) for row in rows][1:]
    assert said == [known.says(state).strip() or GO for state in states]
    opening = known.opening(known.restore(rows[0]["state"])) + known.says(known.restore(rows[0]["state"]))
    assert last[begin].text == "Transcript:\n" + opening.replace(known.end, "\n").strip("\n")


@pytest.mark.parametrize("world", ["sums", "maps", "othello"])
def test_worked_examples_are_right_and_no_items_own(world: str) -> None:
    spec = RollSpec(world, 1, "puppet", items=400, horizon=1, prompt="text:shots=3")
    known = load_world(world)
    prompter = Prompter(known, 1, load_scaffold("plain"), load_prompting(spec.prompt), spec.seed)
    bench = Bench(spec, known, Puppet(), prompter)
    openings = {known.opening(bench.start(item)) for item in range(spec.items)}
    pool = {example.opening for example in prompter.examples}
    assert len(pool) == 4
    for opening in openings:
        shown = prompter.others(opening)[:3]
        assert len(shown) == 3
        assert opening not in {example.opening for example in shown}
    if world == "maps":
        assert pool & openings, "no item meets an example: the law is not tested"


@pytest.mark.parametrize("world", WORLDS)
def test_worked_examples_hold_right_actions_and_are_chosen_by_the_runs_seed(world: str) -> None:
    known = load_world(world)
    one, same, other = (
        Prompter(known, 1, load_scaffold("plain"), load_prompting("text:shots=3"), seed) for seed in (0, 0, 1)
    )
    assert one.examples == same.examples != other.examples
    for example in one.examples:
        assert all(known.parse(step.action) is not None for step in example.steps)


def test_a_map_is_told_in_full() -> None:
    world = load_world("maps")
    state = world.restore("1 b05>e01 @b05")
    listed = dict(pair.split()[:2] for pair in world.brief(1).partition(": ")[2].rstrip(".").split(", "))
    assert len(listed) == 36
    for name, ways in listed.items():
        place = world.restore(f"1 b05>e01 @{name}")
        assert list(ways) == list(world.legal(place))
    assert world.legal(state)


def test_a_scaffold_that_rewrites_the_transcript_is_refused() -> None:
    def rewriter(view: View) -> Any:
        reply = yield Ask(f"Q: {view.text}", view.key)
        return Turn(reply.texts[0])

    world = load_world("sums")
    story = Story("a+1:10\n")
    prompter = Prompter(world, 1, rewriter, load_prompting("text:shots=0"), 0)
    ask = next(rewriter(view_of(story, Key(0, 0, 0, 0), sizes_of(world))))
    with pytest.raises(BadOption, match="rewrites"):
        prompter.ask(ask, story, Puppet())


# --- how answers are read -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "answer", "begun", "action"),
    [
        ("sums", " 47\n", "b", "47"),
        ("sums", "b47", "b", "47"),
        ("sums", "The next total is: **47**.", "b", "47"),
        ("sums", "47\nBecause 50 - 3 = 47.", "b", "47"),
        ("sums", "50 - 3 makes 47", "b", None),
        ("sums", "50 - 3 makes\n47", "b", "47"),
        ("sums", "<think>50? 46?</think>\n\n47", "b", "47"),
        ("sums", "I make it 47 then", "b", "47"),
        ("sums", "47 or 48", "b", None),
        ("sums", "", "b", None),
        ("sums", "forty-seven", "b", None),
        ("maps", '"N"', "", "N"),
        ("maps", "Answer: N.", "", "N"),
        ("maps", "Go N now", "", None),
        ("othello", "I play d3", "", "d3"),
        ("othello", "d3 because c4 is bad", "", None),
        ("othello", "D3", "", None),
        ("markov", "There is a problem", "", None),
    ],
)
def test_the_lenient_form_names_one_action_or_none(world: str, answer: str, begun: str, action: str | None) -> None:
    assert lenient(load_world(world), answer, begun) == action


def test_a_lenient_answer_enters_the_transcript_as_the_world_writes_it() -> None:
    spec = RollSpec("sums", 1, "puppet", items=2, horizon=6, prompt="chat:shots=0")
    strict, _ = run_puppet(spec)
    table, puppet = run_puppet(spec, say=lambda text: f"The total is: {text}.")
    assert set(strict["parse"]) == {"strict"}
    assert strict["answer"].null_count() == strict.height
    assert set(table["parse"]) == {"lenient"}
    assert table["answer"].to_list() == [f"The total is: {text}." for text in table["action"]]
    assert table.drop("parse", "answer").equals(strict.drop("parse", "answer"))
    assert [m.text for m in puppet.asked[-1].messages if m.role == "assistant"][-1] in strict["action"].to_list()


def test_votes_are_counted_on_actions_not_on_their_wording() -> None:
    wording = iter(range(1000))
    spec = RollSpec("sums", 1, "puppet", "vote:k=3", items=2, horizon=4, prompt="chat:shots=0")
    table, _ = run_puppet(spec, say=lambda text: f"{text} {'.' * (next(wording) % 3)}")
    assert set(table["event"]) == {"right"}
    assert set(table["confidence"]) == {1.0}


@pytest.mark.parametrize("prompt", ["text:shots=0", "chat:shots=0"])
def test_an_answer_that_names_no_action_is_unparsed_and_never_illegal(prompt: str) -> None:
    for world in WORLDS:
        spec = RollSpec(world, 1, "puppet", items=2, horizon=3, prompt=prompt)
        table, _ = run_puppet(spec, say=lambda _: "no idea")
        assert table["event"].to_list() == ["unparsed"] * 2
        assert table["action"].to_list() == ["no idea"] * 2
        assert table["stop"].to_list() == ["broken"] * 2


# --- what does not fit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["text", "chat"])
def test_what_does_not_fit_is_cut_before_it_is_sent(shape: str) -> None:
    spec = RollSpec("othello", 1, "puppet", items=2, horizon=20, prompt=f"{shape}:shots=0")
    _, free = run_puppet(spec)
    sizes = sorted(free.length(ask) + ask.max_tokens for ask in free.asked)
    table, tight = run_puppet(spec, context=sizes[len(sizes) // 2])
    ends = table.filter(pl.col("stop").is_not_null())
    assert set(ends["stop"]) == {"cut"}
    assert set(ends["fault_code"]) == {"context"}
    assert ends["event"].null_count() == 2
    assert 0 < len(tight.asked) < len(free.asked)
    assert all(tight.length(ask) + ask.max_tokens <= tight.context for ask in tight.asked)


@pytest.mark.parametrize("shape", ["text", "chat"])
def test_dropping_leaves_out_the_oldest_steps_and_says_how_many(shape: str) -> None:
    spec = RollSpec("markov", 1, "puppet", items=1, horizon=60, prompt=f"{shape}:shots=0,overflow=drop")
    whole, free = run_puppet(spec)
    table, tight = run_puppet(spec, context=free.length(free.asked[28]) + free.asked[28].max_tokens)
    assert table["action"].to_list() == whole["action"].to_list()
    assert table["stop"].to_list()[-1] == "horizon"
    assert tight.asked[:29] == free.asked[:29]
    assert all(tight.length(ask) + ask.max_tokens <= tight.context for ask in tight.asked)
    told = ["".join([ask.prompt, *(f"<{m.text}>" for m in ask.messages)]) for ask in tight.asked]
    assert f"[{BLOCK} steps left out]" in told[29]
    kept = told[29].partition("left out]")[2]
    assert kept.count("\n") - 1 == 29 - BLOCK if shape == "text" else kept.count("><") == 2 * (29 - BLOCK)
    for left_out in (BLOCK, 2 * BLOCK):
        same = [text.rstrip(">") for text in told if f"[{left_out} steps left out]" in text]
        assert len(same) > 1
        assert all(after.startswith(before[: -len(GO)]) for before, after in pairwise(same))


# --- who reads what -------------------------------------------------------------------------------------------


def test_a_model_that_does_not_read_prompts_is_refused_in_words() -> None:
    with pytest.raises(BadOption, match="prompt=chat: oracle does not read it: use prompt=transcript"):
        roll(RollSpec("sums", 1, "oracle", items=1, prompt="chat"))


def test_a_model_of_messages_alone_is_not_sent_a_bare_transcript():
    with pytest.raises(BadOption, match="a bare transcript tells it no rules: use prompt=chat"):
        check_reader(load_model("openai:x,url=http://127.0.0.1:9/v1"), load_prompting("transcript"))


@pytest.mark.parametrize("spec", ["chat:shots=-1", "text:overflow=maybe", "transcript:shots=1", "text:tokens=0"])
def test_options_of_a_prompt_are_checked(spec: str) -> None:
    with pytest.raises(BadOption):
        load_prompting(spec)
    with pytest.raises(UnknownName, match="prompt"):
        load_prompting("chatty")


def test_the_default_prompt_is_not_part_of_a_runs_name() -> None:
    spec = RollSpec("sums", 1, "oracle")
    assert "prompt" not in spec.json()
    assert RollSpec("sums", 1, "oracle", prompt="text").run() != spec.run()
    assert RollSpec("sums", 1, "oracle", prompt="text").json()["prompt"] == "text"


def test_an_example_is_what_the_scaffold_itself_would_leave() -> None:
    world, scaffold = load_world("sums"), load_scaffold("monologue")
    prompter = Prompter(world, 1, scaffold, load_prompting("text:shots=1"), 0)
    example = prompter.examples[0]
    first = example.steps[0]
    turn = play(scaffold, view_of(Story(example.opening), Key(0, 0, 0, 0), sizes_of(world)), first.thought[:-1], "42")
    assert turn.thought == first.thought
    assert first.thought.endswith(world.belief_end)
