"""What the ledger world promises beyond the battery."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest

from deadreckon.errors import BadText, IllegalAction
from deadreckon.worlds.ledger import CODES, SIZES, Ledger, State
from deadreckon.worlds.sums import Sums

LEVELS = tuple(SIZES)


def written(world: Sums, state: State) -> tuple[str, str]:
    """Opening and the error-free answer."""
    opening, answer = world.opening(state), ""
    while not world.done(state):
        (action,) = world.policy(state)
        answer += world.says(state) + world.write(action) + world.end
        state = world.step(state, action)
    return opening, answer


def test_a_ledger_reads_as_written() -> None:
    entries = (47, -3, 88, *[1, -1] * 8, 5)
    opening, answer = written(Sums(k=2), State(Ledger(2, 500, entries), 0, 500))
    assert opening.startswith("a+47,b-03,=???,c+88,d+01,=???,e-01,")
    assert opening.endswith(",=???,s-01,t+05:500\n")
    assert answer.startswith("a547\nb544\n=544\nc632\nd633\n=633\ne632\n")
    assert answer.endswith("=633\ns632\nt637\n")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("k", [0, 1, 3, 8, 40])
def test_every_entry_stands_a_constant_number_of_symbols_before_its_line(level: int, k: int) -> None:
    world = Sums(k)
    opening, answer = written(world, world.start(level, np.random.default_rng(level)))
    text = opening + answer
    n = SIZES[level].entries
    apart = {text.rindex(label) - text.index(label) for label in world.alphabet[10 : 10 + n]}
    assert len(apart) == 1
    assert text.count("=") == 2 * (len(range(k, n, k)) if k else 0)


@pytest.mark.parametrize("level", LEVELS)
def test_true_totals_stay_in_range_and_entries_are_never_zero(level: int) -> None:
    size = SIZES[level]
    seen = set()
    for seed in range(200):
        ledger = Sums().start(level, np.random.default_rng(seed)).ledger
        assert all(0 <= total < size.modulus for total in accumulate(ledger.entries, initial=ledger.start))
        seen |= set(ledger.entries)
    largest = 10**size.entry_digits - 1
    assert 0 not in seen
    assert seen <= set(range(-largest, largest + 1))
    assert len(seen) > 1.5 * largest
    assert min(seen) < 0 < max(seen)


def test_a_slip_is_carried_on_from_until_it_is_mended_or_an_audit_tells() -> None:
    world = Sums(k=3)
    start = world.start(2, np.random.default_rng(5))
    totals = start.ledger.totals
    off = world.step(start, world.wrong(start)[0])
    assert not world.true(off)
    (carried,) = world.policy(off)
    assert int(carried) == (off.total + start.ledger.entries[1]) % 1000 != totals[2]
    mended = world.step(off, world.mend(off) or "")
    assert mended.total == totals[2]
    audited = world.step(world.step(off, carried), next(iter(world.policy(world.step(off, carried)))))
    assert not world.true(audited)
    assert world.fixes(audited)
    assert world.mend(audited) is None
    assert world.says(audited) == f"={totals[3]:03d}\nd"
    assert world.policy(audited) == {f"{totals[4]:03d}": 1.0}


@pytest.mark.parametrize("level", LEVELS)
def test_wrong_totals_differ_in_one_digit_and_spare_the_true_one(level: int) -> None:
    world, digits = Sums(), SIZES[level].total_digits
    state = world.start(level, np.random.default_rng(1))
    (right,) = world.policy(state)
    wrong = world.wrong(state)
    assert len(wrong) == len(set(wrong)) == 9 * digits
    assert all(sum(a != b for a, b in zip(right, text, strict=True)) == 1 for text in wrong)
    off = world.step(state, wrong[0])  # high digit + 1: the next right total is one digit from the true one
    assert len(world.wrong(off)) == 9 * digits - 1
    assert world.mend(off) not in world.wrong(off)


def test_nothing_follows_the_end() -> None:
    world = Sums(k=4)
    state = world.start(1, np.random.default_rng(0))
    end = State(state.ledger, state.ledger.size.entries, 3)
    assert world.done(end)
    assert not world.fixes(end)
    assert not world.allows(end, "03")
    assert world.mend(end) is None
    assert len(world.wrong(end)) == 0
    assert world.says(end) == ""
    rows = world.pack([end])
    assert (world.batch_wrong(rows) == -1).all()
    assert (world.batch_mend(rows) == -1).all()
    with pytest.raises(IllegalAction, match="0 entries are left"):
        world.step(end, "03")


def test_totals_of_all_levels_have_their_own_codes() -> None:
    assert sorted(CODES.values()) == list(range(100 + 1000 + 10000))
    assert CODES["00"] == 0
    assert CODES["000"] == 100
    assert CODES["0000"] == 1100


def test_totals_of_another_width_are_illegal_and_say_what_to_write() -> None:
    world = Sums()
    state = world.start(2, np.random.default_rng(0))
    with pytest.raises(IllegalAction, match="write 3 digits, 20 entries are left"):
        world.step(state, "47")


@pytest.mark.parametrize("text", ["", "05", "05+4-3 1 05", "05" + "+4-3" * 12 + " 25 05", "95" + "+9" * 24 + " 0 95"])
def test_notations_that_cannot_be_are_bad_text(text: str) -> None:
    with pytest.raises(BadText):
        Sums().restore(text)


def test_no_entry_is_likelier_than_another_where_the_range_leaves_all_of_them() -> None:
    """Chi-square of the first entry at level 1 over starts 9 .. 90: 18 values, 99.9% point of 17 degrees is 40.8."""
    ledgers = [Sums().start(1, np.random.default_rng([7, seed])).ledger for seed in range(3000)]
    free = [ledger.entries[0] for ledger in ledgers if 9 <= ledger.start <= 90]
    counts = np.unique(free, return_counts=True)[1]
    assert len(counts) == 18
    expected = len(free) / 18
    assert ((counts - expected) ** 2 / expected).sum() < 40.8
