"""Causal models against brute force over their noise, against y0 and pyAgrum, and against their own twins."""

from __future__ import annotations

import json
import math
from collections import Counter
from fractions import Fraction
from itertools import chain, combinations, pairwise, product
from pathlib import Path

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds import load_world, rooted
from deadreckon.worlds.causal import Causal, State
from deadreckon.worlds.effects import Effects, Question
from deadreckon.worlds.experiments import Experiments, trials_of
from deadreckon.worlds.identify import effect, identified, table_of
from deadreckon.worlds.scm import LETTERS, Graph, Scm, chance, coins_of, given, graph, law, read_scm, scm_text
from deadreckon.worlds.systems import SIZES, System, bank, draw_scm, names_of, system_of

FROZEN = json.loads((Path(__file__).parent / "oracles/causal.json").read_text())


def scms(size: int, count: int) -> list[Scm]:
    rng = np.random.default_rng(size)
    drawn = [draw_scm(size, rng) for _ in range(count)]
    return [scm._replace(gauge=int(rng.integers(-1, size))) for scm in drawn]


def run_noise(scm: Scm, do: tuple[int, int] | None) -> Counter[tuple[int, ...]]:
    """Rows of every setting of the exogenous noise (four values a variable, a bit a coin), each as likely."""
    counts: Counter[tuple[int, ...]] = Counter()
    for noise in product(range(4), repeat=scm.size):
        for coins in product((0, 1), repeat=len(scm.coins)):
            drives: dict[int, int] = {}
            shown: dict[int, int] = {}

            def value(v: int, noise=noise, coins=coins, drives=drives, shown=shown) -> int:  # type: ignore[no-untyped-def]
                if v not in drives:
                    bits = [value(p) for p in scm.parents[v]] + [coins[k] for k in coins_of(scm.coins, v)]
                    made = int(noise[v] < scm.tables[v][int("0" + "".join(map(str, bits)), 2)])
                    setting = do[1] if do is not None and do[0] == v else made
                    drives[v], shown[v] = (made, setting) if v == scm.gauge else (setting, setting)
                return drives[v]

            for v in range(scm.size):
                value(v)
            counts[tuple(shown[v] for v in range(scm.size))] += 1
    return counts


@pytest.mark.parametrize(("size", "count"), [(2, 20), (3, 12), (4, 2)])
def test_laws_are_those_of_every_setting_of_the_noise(size: int, count: int) -> None:
    for scm in scms(size, count):
        for do in (None, *((v, bit) for v in range(size) for bit in (0, 1))):
            counts = run_noise(scm, do)
            assert law(scm, do) == {row: Fraction(n, counts.total()) for row, n in counts.items()}
        assert read_scm(scm_text(scm)) == scm


def test_laws_are_those_of_another_library() -> None:
    for text, asked in FROZEN["laws"].items():
        scm = read_scm(text)
        assert scm is not None
        for question, chances in asked.items():
            how, node, value = question[:3].strip(), LETTERS.index(question[-2]), int(question[-1])
            found = given(scm, node, value) if how == "see" else law(scm, (node, value))
            rows = product((0, 1), repeat=scm.size)
            assert [float(found.get(row, 0)) for row in rows] == pytest.approx(chances, abs=1e-11)


def told_graph(text: str, size: int) -> Graph:
    edges = [] if text == "." else text.split(" ")
    ends = [(LETTERS.index(e[0]), LETTERS.index(e[2]), e[1]) for e in edges]
    arrows = frozenset((a, b) for a, b, kind in ends if kind == ">")
    return Graph(size, arrows, frozenset((a, b) for a, b, kind in ends if kind == "-"))


@pytest.mark.parametrize("size", [3, 4])
def test_what_follows_is_what_another_library_says_follows(size: int) -> None:
    """y0 on every graph of three variables, and on 200 of four."""
    verdicts: Counter[str] = Counter()
    for text, digits in FROZEN["follows"][str(size)].items():
        others = [[v for v in range(size) if v != x] for x in range(size)]
        subsets = (chain.from_iterable(combinations(ys, k) for k in range(1, size)) for ys in others)
        asked = [(x, ys) for x, some in enumerate(subsets) for ys in some]
        for (x, ys), digit in zip(asked, digits, strict=True):
            assert digit == "?" or identified(told_graph(text, size), x, frozenset(ys)) == (digit == "1"), (text, x, ys)
        verdicts.update(digits)
    assert min(verdicts["0"], verdicts["1"]) > 100


@pytest.mark.parametrize(
    ("text", "size", "follows"),
    [
        ("A>B", 2, True),
        ("B>A", 2, True),
        ("A>B A-B", 2, False),  # the bow
        ("A-B", 2, True),
        ("C>A C>B A>B", 3, True),  # back door
        ("A>C C>B A-B", 3, True),  # front door
        ("C>A A>B A-B", 3, False),  # instrument
        ("A>B A-C C-B", 3, True),  # M
        ("A>C C>B A-C", 3, False),
    ],
)
def test_cases_of_the_textbook(text: str, size: int, follows: bool) -> None:
    assert identified(told_graph(text, size), 0, frozenset({1})) is follows


def test_the_front_door_is_adjusted_for_as_in_the_book() -> None:
    """P(y | do(x)) = sum_m P(m | x) sum_x' P(y | x', m) P(x'), Pearl 1995; by hand, on a seen law of no model."""
    counts = np.array([9, 4, 1, 6, 2, 7, 5, 3])
    rows = list(product((0, 1), repeat=3))  # x, y, m
    seen = {row: Fraction(int(n), 37) for row, n in zip(rows, counts, strict=True)}

    def p(**fixed: int) -> Fraction:
        fits = [q for row, q in seen.items() if all(row["xym".index(k)] == v for k, v in fixed.items())]
        return sum(fits, Fraction(0))

    found = effect(told_graph("A>C C>B A-B", 3), table_of(seen, 3), 0, frozenset({1}))
    assert found is not None
    for x in (0, 1):
        by_hand = sum(
            p(x=x, m=m) / p(x=x) * sum(p(x=k, m=m, y=1) / p(x=k, m=m) * p(x=k) for k in (0, 1)) for m in (0, 1)
        )
        assert found[x, 1, 0] == by_hand


def do_from_seen(system: System) -> list[dict[tuple[int, ...], Fraction]] | None:
    """The law under do(hinge = 0) and 1, from the seen law and the graph that is told."""
    scm, size = system.scm, system.scm.size
    found = effect(system.told, table_of(law(scm), size), system.hinge, frozenset(range(size)) - {system.hinge})
    if found is None:
        return None
    rows = list(product((0, 1), repeat=size))
    return [{row: found[row] for row in rows if row[system.hinge] == bit} for bit in (0, 1)]


@pytest.mark.parametrize("level", SIZES)
def test_twins_are_seen_alike_and_done_unlike_and_follow_where_they_say_so(level: int) -> None:
    for place, pair in enumerate(bank(level)):
        one, other = (system.scm for system in pair)
        hinge = pair[0].hinge
        assert law(one) == law(other)
        assert law(one, (hinge, 1)) != law(other, (hinge, 1))
        for system in pair:
            own = graph(system.scm)
            assert own.arrows <= system.told.arrows
            assert own.arcs <= system.told.arcs
            done = do_from_seen(system)
            assert (done is not None) == system.follows == (place < 16)
            if done is not None:
                assert done == [law(system.scm, (hinge, bit)) for bit in (0, 1)]


def test_names_tell_nothing_and_parts_and_kinds_divide_the_bank() -> None:
    for level in SIZES:
        learn, exam, every = (names_of(level, "any", part) for part in ("learn", "exam", "all"))
        assert {*learn} | {*exam} == {*every} == {*range(64)}
        assert not {*learn} & {*exam}
        assert {law(system_of(level, n).scm) == law(system_of(level, m).scm) for n in learn for m in exam} == {False}
        ident, unident = (names_of(level, kind, "all") for kind in ("identified", "unidentified"))
        assert len(ident) == len(unident) == 32
        gauges = [system_of(level, name).scm.gauge >= 0 for name in range(64)]
        assert sum(gauges) == 32
        assert 10 < sum(a == b for a, b in pairwise(gauges)) < 53


def test_taking_doing_for_seeing_costs_what_confusion_says() -> None:
    world = Causal(asks="do", kind="unidentified")
    for seed in range(20):
        state = world.start(2, np.random.default_rng(seed))
        truth, question = world.policy(state), state.questions[0]
        seen = Causal().policy(state._replace(questions=(question.replace("do", "see"),)))
        cost = world.confusion(state)
        assert cost["see"] == pytest.approx(sum(p * math.log(p / seen[row]) for row, p in truth.items()))
        assert cost["twin"] > 0
        gauge = world.system(state).scm.gauge >= 0
        assert (cost["base"] < 1e-12) == gauge
        asked = state._replace(questions=(question.replace("do", "see"),))
        assert world.confusion(asked)["see"] == world.confusion(asked)["twin"] == 0
        assert not world.follows(state)
        assert world.follows(asked)
        assert {*world.wrong(state)} | {*truth} == {*world.legal(state)}


def test_a_reader_who_was_not_trained_is_told_what_is_seen_and_not_what_doing_does() -> None:
    brief = Causal(part="exam").brief(2)
    lines = [line.split(": ") for line in brief.splitlines()[1:]]
    assert [int(name[1:]) for name, _ in lines] == list(names_of(2, "any", "exam"))
    for name, told in lines:
        counts = told.split(" ")
        total = sum(map(int, counts[1::2]))
        seen = {tuple(map(int, row)): Fraction(int(n), total) for row, n in zip(counts[::2], counts[1::2], strict=True)}
        assert seen == law(system_of(2, int(name[1:])).scm)
    assert sorted(Counter(told for _, told in lines).values()) == [2] * 8  # twins are told alike


def test_expert_rows_come_at_their_law() -> None:
    """Sampled rows of one question against its exact law, by chi-squared."""
    world, rng = Causal(), np.random.default_rng(0)
    state = State(2, 7, ("see A1",), 0)
    law_of_rows = world.policy(state)
    drawn = Counter(rng.choice(list(law_of_rows), size=4000, p=list(law_of_rows.values())).tolist())
    chi2 = sum((drawn[row] - 4000 * p) ** 2 / (4000 * p) for row, p in law_of_rows.items())
    assert chi2 < 16.3  # 0.999 of three degrees of freedom


# --- effects ---


def test_numbers_are_those_of_the_opening_and_the_model() -> None:
    """Seeing is computed again from the counts in the text; doing by running the model's noise."""
    world, asked = Effects(), Counter[str]()
    for level, seed in product((1, 2), range(40)):
        state = world.start(level, np.random.default_rng([level, seed]))
        counts = world.opening(state).splitlines()[-1].split(" ")
        rows = dict(zip(counts[::2], map(int, counts[1::2]), strict=True))
        while not world.done(state):
            how, x, value, y = state.questions[state.i]
            (right,) = world.policy(state)
            if how == "see":
                fits = {row: n for row, n in rows.items() if row[x] == str(value)}
                p = Fraction(sum(n for row, n in fits.items() if row[y] == "1"), sum(fits.values()))
            else:
                made = run_noise(state.scm, (x, value))
                p = Fraction(sum(n for row, n in made.items() if row[y]), made.total())
            assert right in (str(math.floor(100 * p + Fraction(1, 2))), "?")
            assert world.kind(state, right) == "right"
            asked[f"{how} {right == '?'}"] += 1
            state = world.step(state, right)
    assert asked["see True"] == 0
    assert min(asked["see False"], asked["do False"], asked["do True"]) > 40


def test_no_number_follows_where_the_twin_of_the_same_opening_has_another() -> None:
    told, hidden, refused = Effects(), Effects(graphs="hidden"), 0
    for level, seed in product(SIZES, range(60)):
        state = told.start(level, np.random.default_rng([level, seed]))
        twin = state._replace(scm=state.scm._replace(gauge=state.hinge if state.scm.gauge < 0 else -1))
        assert (told.opening(twin) == told.opening(state)) or state.told == "own"
        assert hidden.opening(twin) == hidden.opening(state)
        while not told.done(state):
            how, x, value, y = state.questions[state.i]
            differs = chance(law(state.scm, (x, value)), y) != chance(law(twin.scm, (x, value)), y)
            if how == "do" and differs and state.told == "both":
                assert told.right(state) == "?"
                refused += 1
            assert (hidden.right(state) == "?") == (how == "do")
            state = told.step(state, told.right(state))
    assert refused > 50


def test_answers_say_what_they_took_for_what() -> None:
    """A cause of both (C) of A and B: P(B | A=1) = 5/8 seen, 1/2 done; A does nothing."""
    world = Effects()
    scm = Scm(((2,), (2,), ()), (), ((1, 3), (1, 3), (2,)), -1)
    state = world.restore(f"{scm_text(scm)} A own see A1 B,do A1 B 0")
    assert (world.right(state), world.kind(state, "50"), world.kind(state, "?")) == ("63", "do", "refused")
    state = world.step(state, "63")
    assert world.right(state) == "50"
    assert [world.kind(state, answer) for answer in ("50", "63", "?", "7")] == ["right", "see", "refused", "other"]
    bow = world.restore(f"{scm_text(Scm(((), (0,)), ((0, 1),), ((1, 3), (1, 2, 2, 3)), -1))} A own do A1 B 0")
    assert [world.kind(bow, answer) for answer in ("?", "69", "7")] == ["right", "claimed see", "claimed"]
    assert Question("do", 0, 1, 1) == bow.questions[0]


# --- experiments ---


def tree_of(level: int, seed: int) -> rooted.Tree:
    return rooted.draw_tree(rooted.SIZES[level], "all", np.random.default_rng([level, seed]))


def rows_of(tree: rooted.Tree, node: int, value: int, root: int) -> Counter[tuple[int, ...]]:
    """Rows under do(node = value) of every noise; node -1: as they are seen."""
    noises = product(range(8), repeat=tree.size)
    return Counter(rooted.outcome(tree._replace(root=root), node, value, noise) for noise in noises)


@pytest.mark.parametrize(("level", "seed"), [(1, 0), (1, 1), (2, 0)])
def test_roots_are_seen_alike_and_the_rest_is_what_every_noise_makes_of_it(level: int, seed: int) -> None:
    tree = tree_of(level, seed)
    seen = [rows_of(tree, -1, 0, root) for root in range(tree.size)]
    assert all(rows == seen[0] for rows in seen)
    promised = rooted.promise(tree, (1,) * tree.size)
    told = rooted.informations(tree, (1,) * tree.size)
    hoped = {}
    for node, value in product((v for v in range(tree.size) if v != tree.goal), (0, 1)):
        made = [rows_of(tree, node, value, root) for root in range(tree.size)]
        total = 8**tree.size
        for row in made[0] | made[-1]:
            weights = [rooted.weight(tree, rooted.Trial(node, value, row), root) for root in range(tree.size)]
            counts = [rows[row] for rows in made]
            assert len({Fraction(n, w) for n, w in zip(counts, weights, strict=True)}) == 1
        goals = [sum(n for row, n in rows.items() if row[tree.goal]) for rows in made]
        assert [Fraction(*rooted.chance(tree, node, value, root)) for root in range(tree.size)] == [
            Fraction(n, total) for n in goals
        ]
        name = f"{rooted.LETTERS[node]}{value}"
        hoped[name] = sum(goals)
        mean = sum(made, Counter[tuple[int, ...]]())
        nats = sum(
            n / total / tree.size * math.log(n * tree.size / mean[row]) for rows in made for row, n in rows.items()
        )
        assert told[name] == pytest.approx(nats)
    assert len({Fraction(promised[name], hoped[name]) for name in hoped}) == 1


def test_the_root_is_found_and_used_and_cannot_be_without_experiments() -> None:
    """Mean true chance of the goal: with experiments near the best there is, without them far from it."""
    found = {}
    for tries in (None, 0):
        world, shares = Experiments(tries=tries), []
        for seed in range(300):
            state = world.start(3, np.random.default_rng(seed))
            while not world.done(state):
                state = world.step(state, next(iter(world.policy(state))))
            assert world.true(state)
            shares.append(world.success(state))
        found[tries] = [float(np.mean([float(share[k]) for share in shares])) for k in (0, 1)]
    (learned, best), (blind, same) = found[None], found[0]
    assert best == same
    assert best - learned < 0.05
    assert learned - blind > 0.08


def test_an_experiment_that_tells_less_is_a_slip_and_stays_one() -> None:
    world, slips = Experiments(), 0
    for seed in range(30):
        state = world.start(3, np.random.default_rng(seed))
        gain = world.gain(state)
        best = max(gain.values())
        assert {*world.policy(state)} == {action for action, nats in gain.items() if nats > best - 1e-9}
        assert all(gain[action] < best for action in world.wrong(state))
        if world.wrong(state):
            state = world.step(state, world.wrong(state)[0])
            while not world.done(state):
                assert not world.true(state)
                state = world.step(state, next(iter(world.policy(state))))
            slips += 1
    assert slips > 20


def test_rows_come_of_noise_alone_and_held_out_links_stay_out() -> None:
    for part in ("learn", "exam"):
        world = Experiments(part)
        for seed in range(60):
            tree = world.start(2, np.random.default_rng(seed)).tree
            driver = rooted.towards(tree.links, tree.root)[tree.goal]
            assert (driver >= 0 and (driver + 2 * tree.goal) % 4 == 0) == (part == "exam")
    world = Experiments()
    state = world.start(2, np.random.default_rng(1))
    one, other = (world.step(state, action) for action in world.legal(state)[:2])
    assert trials_of(one)[0].row != trials_of(other)[0].row
    assert trials_of(world.step(one, world.legal(one)[0]))[0] == trials_of(one)[0]
    with pytest.raises(BadText, match="not at its end"):
        world.success(state)


def test_options_and_notations_that_cannot_be_are_refused() -> None:
    bad = ("asks=why", "task=guess", "length=0", "task=effect,part=exam", "task=experiment,tries=99", "kind=odd", "x=1")
    for spec in bad:
        with pytest.raises(BadOption):
            load_world(f"causal:{spec}")
    for spec, text in (
        ("row", "1 s07 do A1,do B1 0"),  # one of them is not the hinge
        ("row", "1 s64 see A1 0"),
        ("row", "1 s07 see A1 2"),
        ("effect", "A,B=13;B,A=13 A own see A1 B 0"),  # a circle
        ("effect", "A=2;B,A=13 A own see A1 A 0"),
        ("effect", "A=4;B,A=13 A own see A1 B 0"),
        ("experiment", "AC7,AC1 C A - -"),  # no tree
        ("experiment", "AC7,BC1 C A 777 C1"),  # the goal cannot be set
    ):
        with pytest.raises(BadText):
            load_world(f"causal:task={spec}").restore(text)
    world = Causal()
    with pytest.raises(IllegalAction, match="12 are left"):
        world.step(world.start(1, np.random.default_rng(0)), "111")
