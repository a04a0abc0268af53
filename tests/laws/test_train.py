"""Laws of training: what is taught, what it costs at best, and that a run is a function of recipe and seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch

from deadreckon.errors import BadOption, BadWeights, MissingExtra, OtherIdentity, UnknownName
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.models.weights import load_gpt
from deadreckon.train import card
from deadreckon.train.card import exam_source
from deadreckon.train.exam import TESTS, error_now, examine, held_out
from deadreckon.train.fit import BRANCH, loss, new_learner, publish_graded, schedule, source_of, train
from deadreckon.train.muon import orthogonal
from deadreckon.train.recipes import Fit, Text, parse_recipe, recipe_names, recipe_text
from deadreckon.train.sources import Lesson, Source, draw, entropy, stumbling
from deadreckon.worlds import load_world
from deadreckon.worlds.grammar import Grammar
from deadreckon.worlds.ledger import State
from deadreckon.worlds.sums import Sums

torch.set_num_threads(1)


class Jumbled(Sums):
    """Sums where four results are right, one of which has no more in common with the others than its end."""

    def policy(self, state: State) -> Mapping[str, float]:
        (right,) = super().policy(state)
        others = (f"{int(right) + step:02d}"[-2:] for step in (1, 2, 37))
        return dict.fromkeys((right, *others), 0.25)


TINY = """
[text]
worlds = ["sums:k=0", "sums:k=8"]
level = 1
regime = "{regime}"
clean_share = {share}
mistakes = 0.3
[size]
layers = 1
width = 32
context = 116
[fit]
steps = 10
rows = 2
"""


@pytest.fixture(autouse=True)
def short_exams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "ITEMS", 3)


def source(world: str, level: int, regime: str, **rest: object) -> Source[object, object]:
    text = Text.model_validate({"worlds": (world,), "level": level, "regime": regime, **rest})
    return source_of(text, 600, 7)


def taught(source: Source[object, object], lesson: Lesson) -> str:
    return source.tokens.decode(i for i, yes in zip(lesson.ids, lesson.taught, strict=True) if yes)


def text(source: Source[object, object], lesson: Lesson) -> str:
    return source.tokens.decode(lesson.ids)


def write_recipe(folder: Path, regime: str = "clean", share: float = 0.0) -> str:
    path = folder / f"{regime}.toml"
    path.write_text(TINY.format(regime=regime, share=share))
    return str(path)


def test_a_text_is_a_function_of_seed_and_index():
    s = source("sums:k=4", 1, "repaired")
    assert s.lesson(5).ids == source("sums:k=4", 1, "repaired").lesson(5).ids
    assert s.lesson(5).ids != s.lesson(6).ids
    assert np.array_equal(s.batch(3, 2).ids, s.batch(3, 2).ids)


@pytest.mark.parametrize("name", ["sums:k=4", "maps", "othello"])
def test_clean_text_teaches_right_actions_and_nothing_else(name: str):
    s, world = source(name, 1, "clean"), load_world(name)
    lesson = s.lesson(0)
    spoken = taught(s, lesson)
    whole = text(s, lesson)
    state = world.start(1, np.random.default_rng(0))  # any state tells the opening's shape
    assert whole.endswith(spoken[-3:])
    assert len(whole) >= len(spoken) + len(world.opening(state)) - 2
    actions = [a for a in spoken.split(world.end) if a]
    assert len(actions) == len(lesson.turns)
    assert all(world.parse(a) is not None for a in actions)


def test_a_clean_ledger_adds_up():
    s = source("sums:k=0", 1, "clean")
    whole = text(s, s.lesson(2))
    opening, *lines = whole.splitlines()
    entries, start = opening.split(":")
    total = int(start)
    for line, entry in zip(lines, entries.split(","), strict=True):
        total += int(entry[1:])
        assert line == f"{entry[0]}{total:02d}"


def test_a_mistake_is_read_not_learned_and_then_mended():
    s = source("sums:k=0", 1, "repaired", mistakes=0.3)
    mistakes = 0
    for index in range(10):
        lesson = s.lesson(index)
        opening, *lines = text(s, lesson).splitlines()
        entries, start = opening.split(":")
        totals = np.cumsum([int(start), *(int(e[1:]) for e in entries.split(","))])[1:]
        right = [int(line[1:]) == total for line, total in zip(lines, totals, strict=True)]
        assert all(a or b for a, b in pairwise(right))  # never two in a row
        assert taught(s, lesson).split() == [f"{t:02d}" for t, ok in zip(totals, right, strict=True) if ok]
        mistakes += right.count(False)
    assert 10 < mistakes < 90  # of 240


def test_an_illegal_mistake_stays_in_the_text_and_leaves_the_board_as_it_was():
    s, world = source("othello", 1, "repaired", mistakes=0.3), load_world("othello")
    illegal = 0
    for index in range(5):
        lesson = s.lesson(index)
        plies = text(s, lesson).split()
        state = next(x for x in starts(world) if world.opening(x).split() == plies[:4])
        learned = []
        for action in map(world.parse, plies[4:]):
            if world.allows(state, action):
                state = world.step(state, action)
                learned.append(world.write(action))
            else:
                illegal += 1
        assert world.done(state)
        assert taught(s, lesson).split() == learned
    assert illegal > 15  # of about 200 plies


def starts(world):
    rng = np.random.default_rng(0)
    while True:
        yield world.start(1, rng)


def test_stated_text_holds_the_belief_before_every_action():
    s, world = source("sums:k=0", 1, "stated"), load_world("sums:k=0")
    lesson = s.lesson(1)
    opening, lines = text(s, lesson).splitlines()[0], taught(s, lesson).splitlines()
    state = world.restore(f"{opening[-2:]}{''.join(e[1:] for e in opening[:-3].split(','))} 0 {opening[-2:]}")
    for line in lines:
        assert line == f"{world.belief(state)}>{next(iter(world.policy(state)))}"
        state = world.step(state, line.split(">")[1])
    assert world.done(state)


def test_filler_is_as_long_as_a_belief_may_be_and_not_taught():
    s, plain = source("sums:k=0", 1, "filler"), source("sums:k=0", 1, "clean")
    long, short = s.lesson(3), plain.lesson(3)
    width = load_world("sums").belief_width
    assert len(long.ids) == len(short.ids) + width * len(short.turns)
    assert taught(s, long) == taught(plain, short)


def test_a_text_is_cut_at_a_whole_action_where_the_context_ends():
    s = Source([load_world("sums")], Text(worlds=("sums",), level=1, regime="clean"), 0, context=110)
    lesson = s.lesson(0)
    assert 100 < len(lesson.ids) <= 111
    assert text(s, lesson).endswith("\n")


def test_floor_is_the_entropy_of_the_law_that_was_sampled():
    """Mean of -log law(action) over many actions is the mean entropy, within sampling error."""
    s = source("maps", 1, "clean")
    world = load_world("maps")
    total = floor = square = actions = 0.0
    for index in range(300):
        lesson = s.lesson(index)
        floor += lesson.entropy
        position = world.restore(f"1 {text(s, lesson)[:7].replace('>', '>')} @{text(s, lesson)[:3]}".replace(":", ""))
        for turn in lesson.turns:
            action = world.parse(s.tokens.decode(lesson.ids[turn.act : turn.end]).strip())
            nats = -log(world.policy(position)[action])
            total, square, actions = total + nats, square + nats**2, actions + 1
            position = world.step(position, action)
    error = (square / actions - (total / actions) ** 2) ** 0.5 / actions**0.5
    assert abs(total - floor) / actions < 4 * error
    assert floor / actions > 0.03


def test_unmasked_mistakes_raise_the_floor_by_their_own_entropy():
    p, n = 0.3, 18  # a slip of sums level 1 is one of 18 totals, less the mend
    s = source("sums:k=0", 1, "repaired", mistakes=p, mask_mistakes=False)
    lesson = s.lesson(0)
    assert len(lesson.turns) == 24
    share = lesson.entropy / entropy({"right": 1 - p, **{str(i): p / n for i in range(n)}})
    assert round(share, 6) == round(share)  # a whole number of free steps; corrections are certain
    assert 12 <= share <= 24


def test_draws_follow_the_law():
    law = {"a": 0.2, "b": 0.0, "c": 0.8}
    drawn = [draw(law, (i + 0.5) / 1000) for i in range(1000)]
    assert (drawn.count("a"), drawn.count("b"), drawn.count("c")) == (200, 0, 800)


def test_loss_counts_taught_symbols_and_divides_by_actions():
    s = source("sums:k=0", 1, "clean", actions=3)
    batch = s.batch(0, 2)
    network = GPT(GPTConfig(s.tokens.size, 600, 1, 32))
    with torch.no_grad():
        network.head.weight.zero_()  # every symbol but the begin symbol is equally likely
        assert loss(network, batch).item() == pytest.approx(3 * log(s.tokens.size - 1), rel=1e-5)


def test_soft_targets_have_the_mean_of_sampled_ones():
    soft, hard = source("maps", 1, "clean", distilled=True), source("maps", 1, "clean")
    assert soft.lesson(4).ids == hard.lesson(4).ids
    batch = soft.batch(0, 4)
    assert batch.laws is not None
    assert np.allclose(batch.laws.sum(axis=1), 1)
    network = GPT(GPTConfig(soft.tokens.size, 600, 1, 32))
    with torch.no_grad():
        network.head.weight.zero_()
        assert loss(network, batch).item() == pytest.approx(log(soft.tokens.size - 1), rel=1e-5)
    with pytest.raises(BadOption, match="actions of one symbol"):
        source("sums", 1, "clean", distilled=True)


def test_soft_targets_of_a_stated_text_are_its_symbols_in_the_thought_and_laws_in_the_action():
    s = source("othello", 1, "stated", distilled=True, actions=3)
    batch, lesson = s.batch(0, 1), s.lesson(0)
    assert batch.laws is not None
    said = [i for i, yes in zip(lesson.ids, lesson.taught, strict=True) if yes]
    sure = batch.laws.max(axis=1) == 1
    assert [int(row.argmax()) for row in batch.laws[sure]] == [i for i, one in zip(said, sure, strict=True) if one]
    assert (~sure).sum() == 3  # the first moves leave a choice
    assert np.allclose(batch.laws.sum(axis=1), 1)


def test_muon_moves_along_an_orthogonal_matrix():
    g = torch.randn(3, 16, 64, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(g))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_rates_rise_then_fall_to_almost_nothing():
    fit = Fit(steps=100, rows=1, warmup=0.1)
    shares = [schedule(fit, step) for step in range(100)]
    assert shares[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert 0 < shares[-1] < 0.02


def test_a_stopped_run_ends_with_the_same_weights(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    whole = train(recipe, tmp_path / "whole", seed=2, save_every=100, quiet=True)
    plan = parse_recipe(recipe_text(recipe))
    batches, count = Source.batch, 0

    def stops(self, step, rows):
        nonlocal count
        count += 1
        if count % 4 == 0:
            raise KeyboardInterrupt
        return batches(self, step, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "batch", stops)
        for _ in range(8):
            try:
                path = train(recipe, tmp_path / "parts", seed=2, save_every=2, quiet=True)
                break
            except KeyboardInterrupt:
                continue
    assert count > plan.fit.steps
    assert path.read_bytes() == whole.read_bytes()


def test_a_run_ends_at_the_first_test_that_is_good_enough(tmp_path: Path):
    easy, hard = (tmp_path / f"{name}.toml" for name in ("easy", "hard"))
    text = TINY.format(regime="clean", share=0.0) + "test_every = 3\nstop_error = "
    easy.write_text(text + "0.999999")
    hard.write_text(text + "0.0001")
    path = train(str(easy), tmp_path / "easy", quiet=True)
    assert json.loads(path.with_suffix(".json").read_text())["steps"] == 3
    content = path.read_bytes()
    assert train(str(easy), tmp_path / "easy", quiet=True).read_bytes() == content  # ended: no step more
    whole = train(str(hard), tmp_path / "hard", quiet=True)
    assert json.loads(whole.with_suffix(".json").read_text())["steps"] == 10
    grades = publish_graded(str(hard), tmp_path / "hard")
    steps = [json.loads(grade.with_suffix(".json").read_text())["steps"] for grade in grades]
    assert steps == [1, 1, 1, 3]


def test_a_turn_is_wrong_where_its_belief_or_its_action_is():
    recipe = parse_recipe(TINY.format(regime="stated", share=0.0))
    exam = exam_source(recipe)
    texts = [held_out(exam, world, 3, TESTS) for world in (0, 1)]
    network = new_learner(recipe, exam.tokens.size, 0).network
    marks = [examine(network, lessons, "") for lessons in texts]
    right = [(1 - m.error) * (1 - m.belief_error) for m in marks]
    assert error_now(network, texts) == pytest.approx(1 - sum(right) / 2)
    assert texts[0][0].ids != held_out(exam, 0, 1)[0].ids


def test_a_trunk_saves_steps_and_changes_no_weight(tmp_path: Path):
    clean, mixed = write_recipe(tmp_path), write_recipe(tmp_path, "repaired", BRANCH)
    train(clean, tmp_path / "clean", quiet=True)
    alone = train(mixed, tmp_path / "alone", quiet=True)
    branched = train(mixed, tmp_path / "branched", trunk=tmp_path / "clean", quiet=True)
    assert alone.read_bytes() == branched.read_bytes()
    assert alone.read_bytes() != (tmp_path / "clean" / "clean-s0.safetensors").read_bytes()
    with pytest.raises(OtherIdentity, match="another recipe or seed"):
        train(mixed, tmp_path / "other", seed=1, trunk=tmp_path / "clean", quiet=True)


def test_published_weights_load_and_say_what_they_are(tmp_path: Path):
    recipe = write_recipe(tmp_path, "stated")
    path = train(recipe, tmp_path / "run", seed=3, quiet=True)
    model = load_gpt(path, "gpt:test")
    said = json.loads(path.with_suffix(".json").read_text())
    assert (model.seed, said["seed"], said["regime"], said["steps"]) == (3, 3, "stated", 10)
    assert [marks["world"] for marks in said["held_out"]] == ["sums-k0-v1", "sums-k8-v1"]
    assert said["held_out"][0]["actions"] == sum(said["held_out"][0]["n_by_step"])
    assert said["held_out"][0]["belief_error"] > 0.9
    assert [p.stem for p in publish_graded(recipe, tmp_path / "run", seed=3)][-1] == "stated-s3-030"


def test_a_run_folder_of_another_run_is_refused(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    train(recipe, tmp_path / "run", quiet=True)
    with pytest.raises(OtherIdentity, match="choose another folder"):
        train(recipe, tmp_path / "run", seed=1, quiet=True)
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(BadWeights, match="not a training checkpoint"):
        train(recipe, tmp_path / "run", quiet=True)


def test_the_exam_of_a_uniform_network_is_known():
    recipe = parse_recipe(TINY.format(regime="clean", share=0.0))
    exam = exam_source(recipe)
    network = new_learner(recipe, exam.tokens.size, 0).network
    with torch.no_grad():
        network.head.weight.zero_()
    marks = examine(network, held_out(exam, 0, 3), "sums")
    chance = exp(-3 * log(exam.tokens.size - 1))  # two digits and the end
    assert marks.n_by_step == (3,) * 4  # as many lines as the context holds
    assert marks.error == pytest.approx(1 - chance, abs=1e-6)
    assert marks.loss == pytest.approx(-log(chance), rel=1e-5)
    assert np.isnan(marks.belief_error)


def test_the_exam_of_a_choice_of_several_symbols_adds_up_every_right_action():
    """Each action scored alone, after the text up to its turn, one symbol at a time."""
    world = Jumbled(k=0)
    source = Source([world], Text(worlds=("sums:k=0",), level=1, regime="clean"), 0, 116, laws=True)
    network = new_learner(parse_recipe(TINY.format(regime="clean", share=0.0)), source.tokens.size, 3).network
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.3 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    lesson = source.write(world, np.random.default_rng(0))
    marks, chances = examine(network, [lesson], "sums"), []
    for turn in lesson.turns:
        right = 0.0
        for ids in turn.law or {}:
            p, read = 1.0, lesson.ids[: turn.act]
            for symbol in ids:
                p *= float(network(torch.tensor([read])).detach().softmax(-1)[0, -1, symbol])
                read = [*read, symbol]
            right += p
        chances.append(right)
    assert len(lesson.turns[0].law or {}) == 4
    assert [1 - error for error in marks.error_by_step] == pytest.approx(chances, rel=1e-4)
    assert max(chances) > 2 * min(chances)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_reads_whole_texts_or_says_so(name: str):
    recipe = parse_recipe(recipe_text(name))
    try:
        s = source_of(recipe.text, recipe.size.context, 0)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    thinks = recipe.text.regime in ("stated", "filler")
    turn = s.worlds[0].width + s.worlds[0].belief_width * thinks
    cut = [len(s.lesson(i).ids) > recipe.size.context - turn for i in range(8)]
    assert not any(cut) or "context" in recipe.limits  # the card says so where texts do not reach their end


def test_a_wrong_recipe_is_refused_with_the_field(tmp_path: Path):
    good = TINY.format(regime="clean", share=0.0)
    with pytest.raises(BadOption, match=r"recipe field fit\.step = 10"):
        parse_recipe(good + "step = 10")
    with pytest.raises(BadOption, match=r"recipe field text\.regime = 'dirty'"):
        parse_recipe(good.replace('"clean"', '"dirty"'))
    with pytest.raises(BadOption, match="not TOML"):
        parse_recipe("[text")
    with pytest.raises(UnknownName, match="did you mean 'sums-clean'"):
        recipe_text("sums-clear")
    with pytest.raises(BadOption, match="differ in alphabet"):
        Source([load_world("sums"), load_world("maps")], parse_recipe(good).text, 0, 100)


def test_mistakes_by_ability_take_the_place_of_that_share_of_its_right_actions():
    rates = {"brackets": 0.3, "agreement": 0.1, "entities": 0.0}
    s, world = source("grammar:length=300", 3, "repaired", mistakes=0.0, mistakes_by=rates), Grammar(length=300)
    seen: Counter[tuple[str, bool]] = Counter()
    for item in range(40):
        rng = np.random.default_rng(item)
        moves = list(stumbling(world, world.start(3, rng), rng, 300, s.text))
        for i, move in enumerate(moves):
            slip = move.action not in move.law
            seen[world.ability(move.state, move.action), slip] += world.true(move.state)
            if slip and i + 1 < len(moves):
                assert moves[i + 1].action == world.mend(moves[i + 1].state)
                assert not move.taught
    for ability in world.abilities:
        rate, slips, right = rates.get(ability, 0.0), seen[ability, True], seen[ability, False]
        assert right > 100
        assert abs(slips - rate * (slips + right)) <= 4.5 * (rate * (1 - rate) * (slips + right)) ** 0.5
    with pytest.raises(BadOption, match="sums-k0-v1 has no abilities"):
        source("sums:k=0", 1, "repaired", mistakes_by={"brackets": 0.1})
    with pytest.raises(BadOption, match="'spelling': grammar-whole-v1 has brackets, agreement, entities, order"):
        source("grammar", 1, "repaired", mistakes_by={"spelling": 0.1})


def test_the_floor_of_unmasked_mistakes_by_ability_is_the_entropy_of_what_is_written():
    """One closing bracket in a sentence of one: right with 1 - p, each of the two others with p / 2."""
    s = source("grammar", 1, "repaired", mistakes=0.0, mistakes_by={"brackets": 0.3}, mask_mistakes=False)
    world = Grammar()
    state = world.restore("1 0 (( -- _")
    (move,) = stumbling(world, state, np.random.default_rng(0), 1, s.text)
    law = dict(world.policy(state))
    closes = law.pop(")")
    written = [*law.values(), 0.7 * closes, 0.15 * closes, 0.15 * closes]
    assert move.entropy == pytest.approx(entropy(dict(enumerate(written))), abs=1e-12)
