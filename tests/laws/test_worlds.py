"""Every registered world keeps the laws of the contract; the battery sees a broken one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deadreckon.contracts import Codes, Rows, World
from deadreckon.errors import BadOption, BadText, MissingExtra, MissingProgram, UnknownName
from deadreckon.specs import between, format_spec, one_of, parse_spec, read_options
from deadreckon.worlds import load_world, world_names
from deadreckon.worlds.check import WorldLawBroken, check_world
from deadreckon.worlds.ledger import State
from deadreckon.worlds.sums import Sums

SPECS = [
    "arithmetic",
    "arithmetic:op=sub,chain=3",
    "arithmetic:op=mul",
    "arithmetic:op=div,part=exam",
    "arithmetic:form=direct,order=low,upto=1",
    "arithmetic:op=div,form=direct",
    "chess",
    "chess:notation=san,opponent=random,tell=filler,every=3,opening=7",
    "chess:variant=chess960,tell=fen,every=2",
    "chess:variant=chess960,notation=san",
    "chess:expert=stockfish,opponent=stockfish,nodes=100,notation=san",
    "facts",
    "facts:by=corpus,false=20,tag=rumour,wording=many",
    "facts:docs=mixed,again=yes,law=pareto,shape=1.2",
    "facts:docs=contradicting,error=myth,false=40,wording=many",
    "facts:form=tell,lines=2",
    "facts:form=tell,by=corpus,unsure=1,text=upweighted,tag=record,lines=2",
    "causal",
    "causal:asks=do,graph=told,kind=unidentified,part=exam,length=5",
    "causal:asks=see,kind=identified,part=learn",
    "causal:task=effect",
    "causal:task=effect,asks=do,graph=hidden",
    "causal:task=experiment",
    "causal:task=experiment,part=exam,tries=0",
    "flows",
    "flows:r=3.6,length=30",
    "flows:map=henon",
    "flows:map=lorenz",
    "grammar",
    "grammar:document=modular,length=20",
    "groups",
    "groups:every=3",
    "groups:letters=all,every=0",
    "groups:group=z120",
    "groups:group=z120,letters=all,every=4",
    "machines",
    "machines:head=tracked,noise=20,table=late",
    "machines:kind=turing",
    "machines:kind=turing,head=tracked,noise=20,table=wrong",
    "machines:kind=turing,table=hidden",
    "machines:kind=stack",
    "machines:kind=stack,program=quine",
    "maps",
    "maps:style=noisy",
    "maps:style=walk",
    "markov",
    "markov:order=3",
    "markov:kind=ergodic",
    "markov:kind=ergodic,order=2,back=0.3,length=20",
    "markov:kind=absorbing",
    "markov:kind=absorbing,order=2",
    "othello",
    "retrieval_sums",
    "retrieval_sums:keys=3,numbers=padded,dictionary=fixed",
    "retrieval_sums:keys=2,past=8,wrong=50",
    "proofs",
    "proofs:form=cite",
    "proofs:form=select",
    "proofs:form=direct",
    "proofs:kind=star",
    "proofs:kind=star,form=reversed,arm=6",
    "sums",
    "sums:k=1",
    "sums:k=8",
    "text",
    "text:part=exam,length=20",
]


def loaded(spec: str) -> World[Any, Any]:
    """The world; skipped, in words, where what it needs is not installed."""
    try:
        return load_world(spec)
    except (MissingExtra, MissingProgram) as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("spec", SPECS)
def test_world_keeps_the_laws(spec: str) -> None:
    if spec.startswith("chess"):  # thousands of actions are tried in a state
        check_world(loaded(spec), items=1, looked_at=5)
    else:
        check_world(loaded(spec))


def test_every_registered_world_is_held_to_the_laws() -> None:
    assert {parse_spec(spec)[0] for spec in SPECS} == set(world_names())


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=40))
def test_no_text_makes_parse_or_restore_raise_another_error(spec: str, text: str) -> None:
    world = loaded(spec)
    action = world.parse(text)
    assert action is None or world.parse(world.write(action)) == action
    try:
        state = world.restore(text)
    except BadText:
        return
    assert world.restore(world.show(state)) == state


class DrawsOutsideRng(Sums):
    def start(self, level: int, rng: np.random.Generator) -> State:
        return super().start(level, np.random.default_rng())


class AcceptsAnyLevel(Sums):
    def start(self, level: int, rng: np.random.Generator) -> State:
        return super().start(min(max(level, 1), 3), rng)


class ForgetsTheTotal(Sums):
    def show(self, state: State) -> str:
        return super().show(State(state.ledger, state.i, 0))


class ReadsJunk(Sums):
    def parse(self, text: str) -> str | None:
        return super().parse(text) if text else "00"


class LosesMass(Sums):
    def policy(self, state: State) -> Mapping[str, float]:
        return dict.fromkeys(super().policy(state), 0.999)


class CallsRightWrong(Sums):
    def wrong(self, state: State) -> Sequence[str]:
        return (*super().wrong(state), *self.policy(state)) if not self.done(state) else ()


class MendsBadly(Sums):
    def mend(self, state: State) -> str | None:
        mend = super().mend(state)
        return mend and self.wrong(state)[0]


class MendsWhatIsTrue(Sums):
    def mend(self, state: State) -> str | None:
        return None if self.done(state) else super().mend(state) or next(iter(self.policy(state)))


class StepsAnywhere(Sums):
    def step(self, state: State, action: str) -> State:
        return State(state.ledger, state.i + 1, int(action) % 10)


class MeasuresAhead(Sums):
    def distance(self, state: State) -> float:
        return super().distance(state) / 2


class SaysUnknownSymbols(Sums):
    def says(self, state: State) -> str:
        return "§" + super().says(state)


class BlursItsParts(Sums):
    alphabet = (*Sums.alphabet, "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9")


class WritesTooMuch(Sums):
    width = 4


class FixesInSilence(Sums):
    def says(self, state: State) -> str:
        return ""


class StepsOtherwiseOnArrays(Sums):
    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        after = super().batch_step(rows, codes)
        after[after[:, 1] % 7 == 0, 1] += 1
        return after


class PadsInFront(Sums):
    def batch_wrong(self, rows: Rows) -> Codes:
        return np.roll(super().batch_wrong(rows), 1, axis=1)


class OverwritesItsRows(Sums):
    def batch_step(self, rows: Rows, codes: Codes) -> Rows:
        after = super().batch_step(rows, codes)
        rows[:, 1] = 0
        return after


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (DrawsOutsideRng, "same rng"),
        (AcceptsAnyLevel, "BadOption"),
        (ForgetsTheTotal, "restore"),
        (ReadsJunk, "no action"),
        (LosesMass, "sums to 1"),
        (CallsRightWrong, "not in the policy"),
        (MendsBadly, "mend"),
        (MendsWhatIsTrue, "wrong states alone"),
        (StepsAnywhere, "keep a true state true"),
        (MeasuresAhead, "distance"),
        (SaysUnknownSymbols, "in the alphabet"),
        (BlursItsParts, "parts"),
        (WritesTooMuch, "symbols"),
        (FixesInSilence, "a fix is said"),
        (StepsOtherwiseOnArrays, "batch_step"),
        (PadsInFront, "batch_wrong"),
        (OverwritesItsRows, "changes its rows"),
    ],
)
def test_the_battery_sees_a_broken_world(broken: type[Sums], law: str) -> None:
    with pytest.raises(WorldLawBroken, match=law):
        check_world(broken(k=3), items=2)


def test_unknown_worlds_and_options_get_a_remedy() -> None:
    with pytest.raises(UnknownName, match="did you mean 'sums'"):
        load_world("sum")
    with pytest.raises(BadOption, match=r"sums has no option 'q': it has k"):
        load_world("sums:q=1")
    with pytest.raises(BadOption, match="0 to 40"):
        load_world("sums:k=41")
    for malformed in ("", ":k=1", "sums:", "sums:k", "sums:k=", "sums:k=1,k=2", " sums"):
        with pytest.raises(BadOption):
            load_world(malformed)


def test_packages_of_others_add_worlds_but_replace_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ledgers.py").write_text(
        "from deadreckon.worlds.sums import Sums\n\n\ndef make(options):\n    return Sums(int(options['every']))\n"
    )
    info = tmp_path / "ledgers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ledgers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[deadreckon.worlds]\nledger = ledgers:make\nsums = ledgers:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "ledger" in world_names()
    assert load_world("ledger:every=7").name == "sums-k7-v1"
    assert load_world("sums").name == "sums-k0-v1"


WORDS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1)


@given(name=WORDS, options=st.dictionaries(WORDS, st.integers() | st.floats(allow_nan=False), max_size=3))
def test_specs_read_back(name: str, options: dict[str, int | float]) -> None:
    read, texts = parse_spec(format_spec(name, options))
    assert read == name
    assert {key: type(options[key])(text) for key, text in texts.items()} == options


def test_options_are_read_by_kind() -> None:
    assert read_options("x", {"a": "3"}, {"a": between(1, 3), "b": int}) == {"a": 3}
    assert read_options("x", {"a": "go"}, {"a": one_of("go", "stay")}) == {"a": "go"}
    for kinds, text in ((int, "1.5"), (float, "much"), (one_of("go", "stay"), "run"), (between(1, 3), "4")):
        with pytest.raises(BadOption, match=f"x a='{text}': "):
            read_options("x", {"a": text}, {"a": kinds})
