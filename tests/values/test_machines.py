"""Machines against a reader of their own transcripts, programs against another interpreter, and quines."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds import load_world
from deadreckon.worlds.concatenative import SYMBOLS, Config, is_quine, run
from deadreckon.worlds.machines import Machines, State
from deadreckon.worlds.stacks import Stacks, history, line, read_config
from deadreckon.worlds.tapes import SIZES, fixed_rules
from deadreckon.worlds.tapes import Config as Tape


def transcript(world, state) -> str:  # type: ignore[no-untyped-def]
    """The whole text of an error-free run."""
    text = world.opening(state)
    while not world.done(state):
        (action,) = world.policy(state)
        text += world.says(state) + action + world.end
        state = world.step(state, action)
    assert world.true(state)
    return text


@pytest.mark.parametrize("noise", [0, 30])
@pytest.mark.parametrize("kind", ["mealy", "turing"])
def test_a_reader_of_table_and_tape_says_the_same(kind: str, noise: int) -> None:
    """The machine is run again from the text alone: table, tape, and the noise that the text tells."""
    world, raised = Machines(kind, head="tracked", noise=noise), 0
    for level, seed in product(world.levels, range(10)):
        lines = transcript(world, world.start(level, np.random.default_rng([level, seed]))).splitlines()
        table = dict(entry.split(":") for entry in lines[0].split(" "))
        tape, at, head = [int(symbol) for symbol in lines[1]], "A", 0
        for said in lines[2:]:
            if said.startswith("!"):
                tape[head] = (tape[head] + 1) % SIZES[level].symbols
                raised += 1
            does = table[f"{at}{tape[head]}"]
            assert said.removeprefix("!") == "=" + does
            if kind == "turing":
                tape[head] = int(does[0])
            head = (head + (-1 if does[1] == "L" else 1)) % len(tape)
            at = does[-1]
    assert (raised > 0) == (noise > 0)


def test_noise_comes_at_its_rate() -> None:
    world = Machines(noise=25)
    bits = [b for seed in range(200) for b in world.start(2, np.random.default_rng(seed)).program.noise]
    assert np.mean(bits) == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / len(bits)))


def test_the_table_is_shown_hidden_late_or_wrong() -> None:
    texts, programs = {}, {}
    for table in ("shown", "hidden", "late", "wrong"):
        world = Machines(table=table)
        states = [world.start(1, np.random.default_rng(seed)) for seed in range(8)]
        programs[table] = {state.program.rules for state in states}
        texts[table] = [transcript(world, state) for state in states]
    assert programs["hidden"] == programs["wrong"] == {fixed_rules("mealy", 1)}
    assert len(programs["shown"]) > 1
    assert len(programs["late"]) > 1
    assert not any("A0:" in text for text in texts["hidden"])
    assert all(text.splitlines()[5].startswith("A0:") and text.count("A0:") == 1 for text in texts["late"])
    told = {text.splitlines()[0] for text in texts["wrong"]}
    shown = Machines().opening(State(Machines("mealy", "hidden").start(1, np.random.default_rng(0)).program, 0, None))
    for table in told:  # one entry differs from the machine's own
        assert sum(a != b for a, b in zip(table.split(" "), shown.splitlines()[0].split(" "), strict=True)) == 1
    assert len(told) > 1


def test_two_mealy_machines_in_different_states_never_meet_by_right_steps() -> None:
    world = Machines()
    for seed in range(20):
        state = world.start(3, np.random.default_rng(seed))
        state = world.step(state, world.wrong(state)[0])
        while not world.done(state):
            assert not world.true(state)
            assert world.true(world.step(state, world.mend(state) or ""))
            state = world.step(state, next(iter(world.policy(state))))
        assert not world.true(state)


def test_a_turing_machine_is_mended_where_one_step_can() -> None:
    """Brute force over all steps, from machines one wrong step away."""
    world, mended = Machines("turing"), 0
    for seed in range(20):
        start = world.start(1, np.random.default_rng(seed))
        for wrong in world.wrong(start):
            off = world.step(start, wrong)
            if world.true(off):
                continue
            ways = [action for action in world.legal(off) if world.true(world.step(off, action))]
            right = next(iter(world.policy(off)))
            assert ([world.mend(off)] if right not in ways else [right]) == ways or (not ways and not world.mend(off))
            mended += bool(ways)
    assert mended > 20


# --- the concatenative language ---


def parsed(text: str) -> list[object]:
    """A text as a list of commands and, for brackets, lists."""
    stack: list[list[object]] = [[]]
    for symbol in text:
        if symbol == "(":
            stack.append([])
        elif symbol == ")":
            inner = stack.pop()
            stack[-1].append(inner)
        else:
            stack[-1].append(symbol)
    assert len(stack) == 1
    return stack[0]


def unparsed(tree: list[object]) -> str:
    return "".join(f"({unparsed(part)})" if isinstance(part, list) else str(part) for part in tree)


def interpret(program: str) -> str:
    """Another interpreter: on trees instead of texts, with a list of what is to do. KeyError, IndexError: stuck."""
    todo, stack, out = parsed(program), [], ""
    while todo:
        part = todo.pop(0)
        if isinstance(part, list):
            stack.append(part)
        elif part == ":":
            stack.append(stack[-1])
        elif part == "!":
            stack.pop()
        elif part == "~":
            stack[-1], stack[-2] = stack[-2], stack[-1]
        elif part == "*":
            top = stack.pop()
            stack.append(stack.pop() + top)
        elif part == "a":
            stack.append([stack.pop()])
        elif part == "S":
            out += unparsed(stack.pop())
        else:
            todo = {"^": stack}[str(part)].pop() + todo
    return out


@pytest.mark.parametrize("program", ["any", "quine"])
def test_programs_put_out_what_another_interpreter_says(program: str) -> None:
    world = Stacks(program)
    used: Counter[str] = Counter()
    for level, seed in product(world.levels, range(60)):
        source = world.start(level, np.random.default_rng([level, seed])).program
        ran = history(source)
        assert ran[-1].rest == ""
        assert len(ran) - 1 == {1: 8, 2: 12, 3: 20}[level]
        assert ran[-1].out == interpret(source)
        used.update(config.rest[0] for config in ran[:-1])
    assert program == "quine" or set(used) >= set("(:!~*aS^")


def test_quines_put_out_themselves_and_differ() -> None:
    assert is_quine("(:aSS):aSS")
    assert not is_quine("(:aSS):aS")
    assert not is_quine("(:^):^", most=100)  # runs for ever
    world = Stacks("quine")
    drawn = {world.start(3, np.random.default_rng(seed)).program for seed in range(100)}
    assert all(interpret(program) == program for program in drawn)
    assert len(drawn) > 50


def test_no_program_of_five_symbols_or_less_puts_out_itself() -> None:
    for n in range(1, 6):
        for symbols in product("():aS^*~", repeat=n):
            program = "".join(symbols)
            assert "S" not in program or not is_quine(program, 30)


def test_a_run_reads_as_written_and_stops_where_a_step_cannot_be_done() -> None:
    assert [line(config) for config in run("(x):*S", 9)[1:]] == [":*S|(x)|", "*S|(x)(x)|", "S|(xx)|", "||xx"]
    assert run("(x)*", 9)[-1] == Config("*", ("x",), "")
    assert run("x", 9) == (Config("x", (), ""),)
    assert max(config.size() for config in run("(xxxxxxxx)::::::::::::::::::::", 99)) <= 96
    for text in ("", "a|b", "(|x)|", "||(", "|x|", "q||", "|(x)|" + "x" * 200):
        assert read_config(text) is None
    assert set("():aS^*~!xyz") == set(SYMBOLS)


def test_options_and_notations_that_cannot_be_are_refused() -> None:
    for spec in ("kind=abacus", "kind=stack,table=late", "kind=turing,program=quine", "noise=80", "table=lost"):
        with pytest.raises(BadOption):
            load_world(f"machines:{spec}")
    world = Machines()
    state = world.start(1, np.random.default_rng(0))
    with pytest.raises(IllegalAction, match="8 are left"):
        world.step(state, "2A")
    with pytest.raises(BadText, match="starts in A"):
        world.restore(world.show(state._replace(config=Tape(1, 0, state.program.tape))))
    for text in ("", "(x)S 1 S|(x)|", "(x 0 ||"):
        with pytest.raises(BadText):
            Stacks().restore(text)
