"""The looked-up sums against a reader of their text, and the three accuracies against their definitions."""

from __future__ import annotations

import re

import numpy as np
import pytest

import deadreckon
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.instruments import INSTRUMENTS, read, self_conditioning
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec
from deadreckon.worlds import load_world
from deadreckon.worlds.dictionary import LARGEST, SIZES, WORDS
from deadreckon.worlds.retrieval_sums import RetrievalSums


def numbers_of(opening: str) -> dict[str, int]:
    """The dictionary, read from the text."""
    return {word: int(value) for word, value in re.findall(r"([a-z]{5}) ?([+-]?[0-9]+)", opening.split(":")[0])}


@pytest.mark.parametrize("options", ["keys=1", "keys=3", "keys=8,numbers=padded", "keys=2,past=6,wrong=50"])
def test_right_totals_are_those_a_reader_of_the_text_adds_up(options: str) -> None:
    world = load_world(f"retrieval_sums:{options}")
    for level in world.levels:
        for seed in range(5):
            state = world.start(level, np.random.default_rng([level, seed]))
            opening = world.opening(state)
            book, total, turns = numbers_of(opening), 0, 0
            assert len(book) == SIZES[level].keys
            for line in opening.splitlines()[1:]:
                total += sum(book[word] for word in line.partition("=")[0].split(" "))
                turns += 1
            while not world.done(state):
                total += sum(book[word] for word in world.says(state).removesuffix("=").split(" "))
                (right,) = world.policy(state)
                assert int(world.write(right)) == right == total
                state = world.step(state, right)
                turns += 1
            assert (turns, world.true(state)) == (SIZES[level].turns, True)


def test_words_numbers_and_keys_are_uniform() -> None:
    """Chi-square at level 1: 99.9% points of 18 degrees for 19 numbers, of 7 for 8 keys, of 15 for 16 words."""
    world = RetrievalSums()
    tasks = [world.start(1, np.random.default_rng([5, seed])).task for seed in range(1000)]
    for counts, point in (
        (np.bincount([value + 9 for task in tasks for value in task.values]), 42.3),
        (np.bincount([key for task in tasks for turn in task.plan for key in turn]), 24.3),
    ):
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < point
    words = np.bincount([WORDS.index(word) for task in tasks for word in task.words])
    assert len(words) == 16
    assert ((words - 500) ** 2 / 250).sum() < 37.7 * 16 / 15


@pytest.mark.parametrize("wrong", [0, 30, 100])
def test_a_history_is_wrong_at_its_rate_and_ends_on_the_truth(wrong: int) -> None:
    world = RetrievalSums(past=21, wrong=wrong)
    slips = []
    for seed in range(100):
        state = world.start(2, np.random.default_rng(seed))
        opening = world.opening(state)
        book, total = numbers_of(opening), 0
        for line in opening.splitlines()[1:]:
            word, _, written = line.partition("=")
            total += book[word]
            slips.append(int(written) != total)
        assert not slips[-1]
        assert (state.i, state.total) == (21, total)
    rate = np.mean(np.array(slips).reshape(100, 21)[:, :-1])
    assert abs(rate - wrong / 100) <= 4.5 * (0.3 * 0.7 / 2000) ** 0.5 * (0 < wrong < 100)


def test_step_turn_and_task_accuracy_are_three_readings() -> None:
    """By their definitions, from totals and keys in the table's text, and by the instruments."""
    spec = RollSpec("retrieval_sums:keys=2", 1, "noisy-oracle:slip=0.1,recover=0.2", items=150, horizon=16)
    table = compute(Bench.load(spec), range(150), batch=150)
    world, arm = load_world(spec.world), read(table)
    updated, true = [], []
    for row in table.iter_rows(named=True):
        state = world.restore(row["state"])
        adds = sum(numbers_of(world.opening(state))[word] for word in world.says(state).removesuffix("=").split(" "))
        updated.append(int(row["action"]) == state.total + adds)
        true.append(int(row["action"]) == state.task.totals[state.i + 1])
    step, turn = np.array(updated).reshape(150, 16), np.array(true).reshape(150, 16)
    mended = (table["event"] == "mend").to_numpy().reshape(150, 16)
    assert INSTRUMENTS["step_error"](arm).value == pytest.approx(1 - (step | mended).mean())
    occupancy = INSTRUMENTS["occupancy"](arm).curve
    survival = INSTRUMENTS["survival"](arm).curve
    assert occupancy.value[-16:] == pytest.approx(turn.mean(axis=0))
    assert survival.value[-16:] == pytest.approx(np.logical_and.accumulate(turn, axis=1).mean(axis=0))


def test_one_error_is_put_into_the_history_by_an_intervention() -> None:
    """heal and inject: the same items, the true history and one with its last turn wrong; a planted effect is read."""
    model = "noisy-oracle:slip=0.05,slip_wrong=0.4"
    arms = []
    for inject in (5, None):
        spec = RollSpec("retrieval_sums", 1, model, items=300, horizon=12, heal=6, inject=inject)
        table = deadreckon.roll(spec)
        forced = table.filter(table["t"] < 6)
        assert set(forced["forced"]) <= {"healed", "injected"}
        assert (forced["event"] == "slip").sum() == (300 if inject else 0)
        arms.append(read(table))
    effect = self_conditioning(*arms, 5)
    on = 0.95 ** np.arange(5)  # a healed history slips too, and nothing mends
    planted = 0.4 - np.mean(on * 0.05 + (1 - on) * 0.4)
    assert abs(effect.value - planted) < 4.5 / 3.92 * (effect.high - effect.low)


def test_errors_are_told_apart() -> None:
    world = RetrievalSums(keys=2)
    state = world.restore(
        "amber+1,apple+9,arrow-4,beach+9,berry+1,bison+0,blaze+7,bloom-9 " + ",".join(["amber.arrow"] * 16) + " - 0 0"
    )
    assert world.policy(state) == {-3: 1.0}
    told = {total: world.kind(state, total) for total in (-3, 5, 10, -11, -4, 2, -2, 4, 20)}
    right = {-3}
    looked = {a - 4 for a in (9, 0, 7, -9, -4)} | {1 + b for b in (1, 9, 0, 7, -9)}  # amber's or arrow's by another's
    assert told == {t: "right" if t in right else "retrieval" if t in looked else "addition" for t in told}
    off = world.step(state, 5)
    assert (world.mend(off), world.kind(off, -6)) == (-6, "mend")
    assert not world.true(world.step(off, next(iter(world.policy(off)))))
    assert world.true(world.step(off, -6))


def test_a_fixed_dictionary_is_the_same_for_all_items_of_a_level() -> None:
    for dictionary, different in (("drawn", 5), ("fixed", 1)):
        world = RetrievalSums(dictionary=dictionary)
        openings = {world.opening(world.start(2, np.random.default_rng(seed))) for seed in range(5)}
        assert len(openings) == different
    drawn = RetrievalSums().show(RetrievalSums().start(2, np.random.default_rng(0)))
    with pytest.raises(BadText, match="own dictionary"):
        RetrievalSums(dictionary="fixed").restore(drawn)


def test_totals_wrap_where_no_history_comes() -> None:
    world = RetrievalSums()
    state = world.start(1, np.random.default_rng(0))
    far = world.step(state, LARGEST * (1 if state.task.adds[1] > 0 else -1))
    (right,) = world.policy(far)
    assert abs(right) <= LARGEST
    assert (right - far.total - far.task.adds[far.i]) % (2 * LARGEST + 1) == 0


def test_options_numbers_and_notations_that_cannot_be_are_refused() -> None:
    for spec in ("keys=0", "keys=9", "numbers=roman", "dictionary=none", "past=100", "wrong=10", "past=5,wrong=101"):
        with pytest.raises(BadOption):
            load_world(f"retrieval_sums:{spec}")
    world = RetrievalSums()
    assert [world.parse(text) for text in ("50", "+0050", "-3", "5.0", "", "1234567")] == [50, 50, -3, None, None, None]
    assert RetrievalSums(numbers="padded").write(-7) == "-0007"
    good = world.show(world.start(1, np.random.default_rng(0)))
    assert world.show(world.restore(good)) == good
    book, plan, *_ = good.split(" ")
    for text in (
        "",
        f"{book} {plan} - 0 5",
        f"{book} {plan} - 17 5",
        f"{book} {plan} 3 1 3",
        f"{book},zebra+1 {plan} - 0 0",
        f"{book} {plan},{plan} - 0 0",
        f"{book[:-1]}99 {plan} - 0 0",
    ):
        with pytest.raises(BadText):
            world.restore(text)
    with pytest.raises(IllegalAction, match="up to 6 digits"):
        world.step(world.restore(good), 10**6)
