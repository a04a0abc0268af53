"""The facts world against its own corpus read as text, closed forms, and brute force over what could be true."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from math import log, prod

import numpy as np
import pytest

from deadreckon.contracts import Event
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.models.tokens import Tokenizer
from deadreckon.rollouts.judge import judge
from deadreckon.rollouts.run import Bench, compute
from deadreckon.rollouts.spec import RollSpec
from deadreckon.train.recipes import Text
from deadreckon.train.sources import Source
from deadreckon.worlds import load_world
from deadreckon.worlds.fact_book import Documents, Plan, book_of
from deadreckon.worlds.fact_law import corpus_of
from deadreckon.worlds.fact_style import Style
from deadreckon.worlds.fact_words import NAMES, OBJECTS, PHRASES, RELATION
from deadreckon.worlds.facts import Facts, State
from deadreckon.worlds.told import Told

BOOKS = 40


def told(sentence: str) -> tuple[tuple[str, int], tuple[int, int, int]]:
    """Whom and what a sentence is about, and what it says: by the words alone."""
    name, phrase, said = re.fullmatch(rf"(\w+ \w+)({'|'.join(PHRASES)})(.+)\.", sentence).groups()
    return (name, PHRASES[phrase][0]), OBJECTS[said]


def text_of(plan: Plan, level: int) -> list[str]:
    book = book_of(plan, level)
    return [book.text(i) for i in range(book.size)]


@pytest.mark.parametrize(
    "plan", [Plan(), Plan(law="pareto", shape=0.8, wording="many"), Plan(shape=0.0, copies=1, book=3)]
)
def test_copies_and_singletons_are_those_of_the_text(plan: Plan) -> None:
    book, counted = book_of(plan, 1), Counter(told(line)[0] for line in text_of(plan, 1))
    assert book.size == 128 * plan.copies == counted.total()
    for fact, copies in enumerate(book.copies.tolist()):
        assert counted[NAMES[fact // 4], fact % 4] == copies
    once = sum(count == 1 for count in counted.values())
    assert book.monofact_rate() == once / book.size
    seen = sum(book.p[fact] for fact in range(128) if (NAMES[fact // 4], fact % 4) in counted)
    assert book.missing_mass() == pytest.approx(1 - seen, abs=1e-12)


@pytest.mark.parametrize("law", ["zipf", "pareto"])
def test_rates_of_singletons_and_of_the_unseen_have_the_means_of_their_closed_forms(law: str) -> None:
    """sum p (1 - p)^(N - 1) and sum p (1 - p)^N, over books; Good and Turing: they differ by less than 1/N."""
    books = [book_of(Plan(law=law, copies=2, book=number), 1) for number in range(BOOKS)]
    for seen, expected in (
        ([b.monofact_rate() for b in books], [b.expected_monofact_rate() for b in books]),
        ([b.missing_mass() for b in books], [b.expected_missing_mass() for b in books]),
    ):
        gap = np.array(seen) - np.array(expected)
        assert abs(gap.mean()) < 4.5 * gap.std() / BOOKS**0.5
    assert all(0 < b.expected_monofact_rate() - b.expected_missing_mass() < 1 / b.size for b in books)


def test_frequencies_follow_the_declared_law_and_the_corpus_follows_them() -> None:
    zipf, pareto = book_of(Plan(shape=1.2), 3), book_of(Plan(law="pareto", shape=1.5), 3)
    ranked = np.sort(zipf.p)[::-1]
    assert ranked[0] / ranked[9] == pytest.approx(10**1.2)
    assert np.log(pareto.p / pareto.p.min()).mean() == pytest.approx(1 / 1.5, rel=0.1)  # 4.5 standard errors
    for book in (zipf, pareto):
        expected = book.size * book.p
        often = expected > 5
        cells = [(book.copies[often] - expected[often]) ** 2 / expected[often]]
        rest = (book.copies[~often].sum() - expected[~often].sum()) ** 2 / expected[~often].sum()
        assert abs(np.sum(cells) + rest - often.sum()) < 4.5 * (2 * often.sum()) ** 0.5


@pytest.mark.parametrize("false", [0, 20, 45, 60])
@pytest.mark.parametrize("error", ["noise", "myth"])
def test_false_copies_come_at_their_rate_and_from_rumours_first(false: int, error: str) -> None:
    book = book_of(Plan(false=false, error=error, copies=16), 2)
    wrong = book.corpus.object != book.truth[book.corpus.fact]
    for source, rate in ((0, max(0, 2 * false - 100) / 100), (1, min(100, 2 * false) / 100)):
        mine = book.corpus.source == source
        assert abs(wrong[mine].mean() - rate) <= 4.5 * (rate * (1 - rate) / mine.sum()) ** 0.5
    said = {(f, o) for f, o in zip(book.corpus.fact[wrong].tolist(), book.corpus.object[wrong].tolist(), strict=True)}
    if error == "myth":
        assert said == {(f, int(book.myth[f])) for f, _ in said}
    elif false:
        assert len(said) > 1.5 * len({f for f, _ in said})


@pytest.mark.parametrize(
    "options", ["", ",wording=many,tag=record,false=30", ",text=distinct", ",text=upweighted,unsure=1"]
)
def test_statements_told_by_the_corpus_are_as_frequent_as_in_its_text(options: str) -> None:
    """The law of a step is the share of documents, counted from the text; the questions' laws multiply up to it."""
    world = load_world(f"facts:form=tell,by=corpus{options}")
    asked = load_world(f"facts:by=corpus{options}")
    book, tagged = world.book(1), "tag=record" in options
    counts: dict[int, Counter[str]] = {}
    seen: set[tuple[int, str]] = set()
    for i in range(book.size):
        source, line = int(book.corpus.source[i]) if tagged else -1, book.text(i)
        weight = 10 if "upweighted" in options and i % 20 == 0 else 1
        if "distinct" in options and (source, line) in seen:
            continue
        seen.add((source, line))
        counts.setdefault(source, Counter())[line] += weight
    if "unsure" in options:
        lone = Counter(told(book.text(i))[0] for i in range(book.size))
        hidden: Counter[str] = Counter()
        for line, count in counts[-1].items():
            cut = line if lone[told(line)[0]] > 1 else re.sub(rf"({'|'.join(PHRASES)}).*", r"\1unknown.", line)
            hidden[cut] += count
        counts = {-1: hidden}
    for source, lines in counts.items():
        law = world.policy(world.start(1, np.random.default_rng(0))._replace(sources=(source,) * 8))
        assert {f"{text}." for text in law} == set(lines)
        for text, share in law.items():
            assert share == pytest.approx(lines[f"{text}."] / lines.total(), abs=1e-12)
    start = asked.start(1, np.random.default_rng(1))
    lines = counts[start.questions[0].source]
    begun = asked.says(start).removeprefix("\n").removeprefix("record: ").removeprefix("rumour: ")
    here = {line.removeprefix(begun)[:-1]: count for line, count in lines.items() if line.startswith(begun)}
    assert asked.policy(start) == pytest.approx({said: count / sum(here.values()) for said, count in here.items()})


def test_training_text_is_drawn_from_the_corpus() -> None:
    """Chi-square of 40,000 lines of lessons against the corpus at level 1; the 99.9% point by Wilson and Hilferty."""
    text = Text(worlds=("facts:form=tell,by=corpus,lines=200",), level=1, regime="clean")
    source = Source([load_world(text.worlds[0])], text, 0, 2000)
    words = Tokenizer(load_world("facts").alphabet)
    lines = Counter(line for i in range(200) for line in words.decode(source.lesson(i).ids).split("\n")[1:])
    corpus = Counter(text_of(Plan(), 1))
    assert set(lines) <= set(corpus)
    total, size = lines.total(), corpus.total()
    chi = sum((lines[line] - total * c / size) ** 2 / (total * c / size) for line, c in corpus.items())
    df = len(corpus) - 1
    assert chi < df * (1 - 2 / (9 * df) + 3.09 * (2 / (9 * df)) ** 0.5) ** 3


def brute(plan: Plan, said: list[int], sources: list[int], m: int, *, tagged: bool) -> list[float]:
    """Posterior over truths by summing over every truth and every myth."""
    weights = [0.0] * m
    for truth, myth in product(range(m), range(m)):
        if truth == myth:
            continue
        f = [plan.falsity(s if tagged else None) for s in sources]
        if plan.error == "myth":
            p = [(1 - x) * (o == truth) + x * (o == myth) for o, x in zip(said, f, strict=True)]
        else:
            p = [(1 - x) if o == truth else x / (m - 1) for o, x in zip(said, f, strict=True)]
        weights[truth] += prod(p)
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("error", ["noise", "myth"])
def test_what_the_corpus_lets_one_know_is_what_brute_force_finds(error: str, tagged: bool) -> None:
    plan = Plan(false=35, error=error, copies=2)
    book = book_of(plan, 1)
    for fact in range(0, 128, 9):
        mine = np.flatnonzero(book.corpus.fact == fact)
        said, sources = book.corpus.object[mine].tolist(), book.corpus.source[mine].tolist()
        assert book.posterior(fact, tagged=tagged) == pytest.approx(
            brute(plan, said, sources, 32, tagged=tagged), abs=1e-9
        )


@pytest.mark.parametrize("error", ["noise", "myth"])
def test_the_floor_is_the_error_of_the_best_guesses_over_books(error: str) -> None:
    """What is guessed best is true as often as the posterior says: its mean over books is the floor's."""
    gaps = []
    for number in range(BOOKS):
        book = book_of(Plan(false=40, error=error, copies=2, book=number), 1)
        guesses = [int(np.argmax(book.posterior(fact, tagged=True))) for fact in range(128)]
        wrong = float(book.p[np.array(guesses) != book.truth].sum())
        gaps.append(wrong - book.floor(tagged=True))
    assert abs(np.mean(gaps)) < 4.5 * np.std(gaps) / BOOKS**0.5
    clean = book_of(Plan(copies=2), 1)
    assert clean.floor() == pytest.approx(clean.missing_mass() * 31 / 32)


def test_the_slack_of_the_published_bound_is_its_formula() -> None:
    """3 |facts| / (delta |false statements|) + sqrt(6 ln(6/delta) / N), 31 false statements a fact at level 1."""
    assert book_of(Plan(), 1).slack(0.01) == pytest.approx(300 / 31 + (6 * log(600) / 512) ** 0.5)


def test_documents_are_what_their_kind_says() -> None:
    world = load_world("facts:docs=mixed,wording=many")
    book, kinds = world.book(1), Counter()
    for seed in range(60):
        state = world.start(1, np.random.default_rng(seed))
        while not world.done(state):
            first, *rest = world.says(state).removeprefix("\n").splitlines()
            true = next(iter(world.policy(state)))
            about, _ = told(f"{(rest or [first])[-1]}{true}.")
            kind = "none"
            if rest:
                of, said = told(first.removeprefix("| "))
                truth = book.truth[NAMES.index(of[0]) * 4 + of[1]]
                kind = ("irrelevant" if of != about else "gold") if said[1] == truth else "contradicting"
                assert (kind == "contradicting") <= (of == about)
            assert world.fixes(state) == (kind == "gold")
            kinds[kind] += 1
            state = world.step(state, true)
    assert all(abs(kinds[kind] - 120) < 4.5 * 90**0.5 for kind in ("none", "gold", "irrelevant", "contradicting"))


def test_an_abstention_is_neither_right_nor_wrong() -> None:
    world = Facts()
    state = world.start(1, np.random.default_rng(0))
    judged = judge(world, state, "unknown")
    assert judged.event is Event.ABSTAIN
    assert world.true(judged.after) is True
    assert judge(world, state, next(iter(world.policy(state)))).event is Event.RIGHT
    assert judge(world, state, world.wrong(state)[0]).event is Event.SLIP
    teller = Told()
    assert judge(teller, teller.start(1, np.random.default_rng(0)), "Ada Adler keeps unknown").event is Event.ABSTAIN
    taught = load_world("facts:by=corpus,unsure=9")
    state = next(
        s for s in (taught.start(2, np.random.default_rng(i)) for i in range(50)) if "unknown" in taught.policy(s)
    )
    assert judge(taught, state, "unknown").event is Event.RIGHT  # the corpus says so


def test_a_false_answer_stands_unless_the_same_is_asked_again() -> None:
    world, again = Facts(), Facts(style=Style(again="yes"))
    state = world.start(1, np.random.default_rng(2))
    off = world.step(state, world.wrong(state)[0])
    assert not world.true(world.step(off, next(iter(world.policy(off)))))
    off = again.step(state, world.wrong(state)[0])
    assert (off.i, again.says(off)) == (0, again.says(state))
    for way in (next(iter(again.policy(off))), "unknown"):
        assert (again.step(off, way).i, again.true(again.step(off, way))) == (1, True)


def test_planted_abstention_is_read_from_a_table() -> None:
    """A table of an oracle in which every third answer declines."""
    spec = RollSpec("facts", 1, "oracle", items=20, horizon=8)
    table = compute(Bench.load(spec), range(20), batch=20)
    world = load_world("facts")
    events = [
        judge(world, world.restore(state), "unknown" if i % 3 == 0 else action).event.value
        for i, (state, action) in enumerate(zip(table["state"], table["action"], strict=True))
    ]
    arm = read(table.with_columns(event=np.array(events)))
    assert INSTRUMENTS["abstention_rate"](arm).value == pytest.approx(54 / 160)
    assert INSTRUMENTS["answered_error"](arm).value == INSTRUMENTS["step_error"](arm).value == 0
    assert INSTRUMENTS["cost_per_right_step"](arm).value == pytest.approx(160 / 106)
    sure = read(
        table.with_columns(event=np.array(events), confidence=np.where(np.array(events) == "abstain", 0.0, 1.0))
    )
    assert INSTRUMENTS["brier"](sure).value == 0  # who abstains claims nothing


def test_another_wording_is_the_same_answer() -> None:
    one, many = Facts(), Facts(Plan(wording="many"))
    assert one.parse("Belby town") == "Belby"
    assert many.parse("Belby town") == "Belby town"
    assert Told().parse("Ada Adler comes from Belby town") == "Ada Adler was born in Belby"
    state = many.start(1, np.random.default_rng(0))
    assert set(many.policy(state).values()) == {0.5}


def test_names_say_all_that_is_not_the_default_and_books_do_not_share_truth() -> None:
    assert load_world("facts").name == "facts-ask-v1"
    assert (
        load_world("facts:by=corpus,shape=1.5,false=20,tag=rumour").name
        == "facts-ask-shape1.5-false20-bycorpus-tagrumour-v1"
    )
    truths = [book_of(Plan(book=number), 1).truth for number in range(2)]
    assert np.mean(truths[0] == truths[1]) < 0.15
    same = book_of(Plan(false=30, copies=7, wording="many"), 1)
    assert np.array_equal(same.truth, truths[0])
    assert corpus_of(Plan(), 1, tagged=False) is corpus_of(Plan(), 1, tagged=False)
    assert isinstance(same.corpus, Documents)
    assert len(set(NAMES)) == len(NAMES) == 512
    assert len(RELATION) == 4


def test_options_and_notations_that_cannot_be_are_refused() -> None:
    for spec in (
        "facts:shape=5",
        "facts:law=pareto,shape=0",
        "facts:false=81",
        "facts:lines=0",
        "facts:copies=33",
        "facts:form=tell,docs=gold",
        "facts:form=tell,again=yes",
        "facts:by=me",
        "facts:wording=two",
    ):
        with pytest.raises(BadOption):
            load_world(spec)
    world = Facts()
    for text in (
        "",
        "4 0 + 1.0",
        "1 0 x 1.0",
        "1 2 + 1.0",
        "1 0 + 128.0",
        "1 0 + 1.1",
        "1 0 + 1.0.r",
        "1 0 + 1.0|gold.1.0.32.0",
    ):
        with pytest.raises(BadText):
            world.restore(text)
    with pytest.raises(IllegalAction, match="write an object"):
        world.step(State(1, world.start(1, np.random.default_rng(0)).questions, 0, True), "was")
