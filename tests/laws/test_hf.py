"""Laws of checkpoints read through transformers. Run where transformers is installed (the extra `hf`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra hf")

import torch
from checkpoints import CONFIGS, checkpoint

from deadreckon.contracts import Ask, ChatReader, Key, Message, Reply
from deadreckon.errors import BadOption, BadWeights
from deadreckon.models import load_model
from deadreckon.models.hf import HFModel, load_hf
from deadreckon.models.hf_session import HFSession
from deadreckon.rollouts.run import Bench, compute, roll
from deadreckon.rollouts.spec import RollSpec

PROMPTS = ("a", "The long prompt of a slot that is read in pieces, " * 9, "b+1:")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for kind in CONFIGS:
        checkpoint(folder, kind)
    checkpoint(folder / "base", "llama", chat=False)
    return folder


def test_what_slots_cannot_hold_is_read_anew(folder: Path) -> None:
    engines = {kind: load_hf(str(folder / kind)).identity["engine"] for kind in CONFIGS}
    assert {kind for kind, engine in engines.items() if "slots" in engine} >= {"llama", "gemma2", "gpt2"}
    assert "whole-texts" in engines["mamba"]


def asks(prompts: Sequence[str], *, step: int = 0, n: int = 1, temperature: float = 1.0, size: int = 6) -> list[Ask]:
    return [Ask(prompt, Key(1, 10 + i, 0, step), n, size, temperature, ("\n",)) for i, prompt in enumerate(prompts)]


def logp_of(model: HFModel, before: Sequence[int], new: Sequence[int], temperature: float) -> float:
    """Log-probability of new ids after others: one plain pass of the network over the whole text."""
    with torch.inference_mode():
        logits = model.network(input_ids=torch.tensor([[*before, *new]]), use_cache=False).logits[0].double()
    laws = torch.log_softmax(logits / temperature, -1).numpy()
    return float(sum(laws[len(before) - 1 + i, token] for i, token in enumerate(new)))


@pytest.mark.parametrize("kind", CONFIGS)
def test_answers_have_the_probability_that_one_plain_pass_over_the_text_gives(folder: Path, kind: str) -> None:
    model = load_hf(f"{folder / kind},rows=3")
    session, texts = model.session(), list(PROMPTS)
    for step in range(2):  # ragged prompts that grow, so that slots are read on and cut back
        given = asks(texts, step=step, temperature=0.7)
        replies = session.complete(given)
        for ask, reply in zip(given, replies, strict=True):
            drawn = sampled(session, ask, reply)
            assert reply.logps[0] == pytest.approx(logp_of(model, model.words.ids(ask), drawn, 0.7), abs=1e-4)
        texts = [text + reply.texts[0] + " and " for text, reply in zip(texts, replies, strict=True)]


def sampled(session: HFSession, ask: Ask, reply: Reply) -> list[int]:
    """The ids of the answer that the slot holds, its end included."""
    slot = session.slots[session.names[ask.key.item, ask.key.rollout]]
    drawn = slot.ids[slot.prompt :]
    return drawn if len(drawn) == reply.tokens else [*drawn, *session.words.ends]


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mamba"])
def test_scores_are_those_of_one_plain_pass(folder: Path, kind: str) -> None:
    model = load_hf(f"{folder / kind},rows=4")
    texts = [["x\n", "longer text\n", "y"], ["z\n"], ["x\n", "w" * 90]]
    messages = (Message("user", "hello"),)
    plain = asks(PROMPTS, temperature=0.5)
    chat = [Ask("", ask.key, 1, 6, 0.5, (), messages=messages) for ask in plain]
    for given in (plain, chat):
        for ask, some, found in zip(given, texts, model.session().score(given, texts), strict=True):
            for text, value in zip(some, found, strict=True):
                ids = model.words.ids(ask)
                new = model.words.tokenizer(text, add_special_tokens=False)["input_ids"] + [1] * (given is chat)
                assert value == pytest.approx(logp_of(model, ids, new, 0.5), abs=2e-4)


def test_greedy_takes_the_most_likely_token(folder: Path) -> None:
    model = load_hf(f"{folder / 'llama'},rows=4")
    session, given = model.session(), asks(PROMPTS, temperature=0.0, size=3)
    for ask, reply in zip(given, session.complete(given), strict=True):
        assert reply.logps[0] == 0.0
        ids, drawn = model.words.ids(ask), sampled(session, ask, reply)
        with torch.inference_mode():
            logits = model.network(input_ids=torch.tensor([ids + drawn]), use_cache=False).logits[0, len(ids) - 1 : -1]
        assert drawn == logits.argmax(-1).tolist()


@pytest.mark.parametrize("scaffold", ["monologue", "vote:k=3"])
def test_a_run_has_the_same_bytes_at_any_batch(folder: Path, scaffold: str) -> None:
    spec = RollSpec(
        "sums", 1, f"hf:{folder / 'llama'},rows=4", scaffold, 5, 1, 4, on_error="skip", prompt="chat:shots=1"
    )
    bench = Bench.load(spec)
    tables = [compute(bench, range(3), batch) for batch in (1, 3)]
    assert tables[0].equals(tables[1])
    other = Bench.load(RollSpec(**{**spec.json(), "seed": 1}))
    assert not tables[0]["action"].equals(compute(other, range(3), 3)["action"])


def test_what_is_remembered_changes_no_answer(folder: Path) -> None:
    name = f"hf:{folder / 'llama'},rows=2"
    bench = Bench.load(RollSpec("markov", 1, name, "plain", 2, 1, 8, on_error="skip", prompt="chat:shots=0,tokens=4"))
    assert isinstance(bench.model, HFModel)
    kept = compute(bench, range(2), 2)
    bench.model.reuse = False
    again = compute(bench, range(2), 2)
    assert kept.select("event", "action", "tokens").equals(again.select("event", "action", "tokens"))
    for column in ("logp", "entropy", "right_mass"):
        np.testing.assert_allclose(kept[column], again[column], atol=1e-4)


def test_hidden_states_are_those_of_one_plain_pass(folder: Path) -> None:
    for kind in ("llama", "gpt2", "mamba"):
        model = load_hf(f"{folder / kind},rows=4,context=600")
        session, given = model.session(), asks([*PROMPTS, "long " * 200])
        session.complete(given)
        found = session.activations(given)
        assert found.shape == (4, model.layers + 1, model.hidden)
        assert np.isnan(found[3]).all()
        for ask, states in zip(given[:3], found, strict=False):
            with torch.inference_mode():
                out = model.network(
                    input_ids=torch.tensor([model.words.ids(ask)]), use_cache=False, output_hidden_states=True
                )
            expected = torch.stack(out.hidden_states)[:, 0, -1].numpy()
            np.testing.assert_allclose(states, expected, atol=1e-4)


def test_the_template_is_applied_once(folder: Path) -> None:
    model = load_hf(str(folder / "llama"))
    assert isinstance(model, ChatReader)
    ask = Ask("", Key(0, 0, 0, 0), messages=(Message("user", "a"), Message("assistant", "b"), Message("user", "c")))
    ids = model.words.ids(ask)
    assert model.words.tokenizer.decode(ids) == "<s><user>a</s><assistant>b</s><user>c</s><assistant>"
    assert ids.count(0) == 1
    assert model.length(ask) == len(ids)
    assert model.words.ids(Ask("ab", Key(0, 0, 0, 0)))[0] == 0


def test_what_exceeds_the_context_is_a_fault_of_ours_and_not_of_its_mates(folder: Path) -> None:
    model = load_hf(f"{folder / 'llama'},rows=4,context=64")
    given = asks(["short", "x" * 60, "y" * 57])
    replies = model.session().complete(given)
    assert [reply.fault for reply in replies] == ["", "context", ""]
    spec = RollSpec("othello", 1, f"hf:{folder / 'llama'},rows=4,context=64", items=2, horizon=30, on_error="skip")
    assert set(roll(spec)["fault_code"].drop_nulls()) == {"context"}


@pytest.mark.parametrize("world", ["sums", "maps", "othello", "markov"])
def test_every_world_runs_with_every_prompt(folder: Path, world: str) -> None:
    for prompt in ("text:shots=0", "chat:shots=0,tokens=4", "transcript"):
        table = roll(RollSpec(world, 1, f"hf:{folder / 'llama'},rows=2", items=2, horizon=1, prompt=prompt))
        assert table.height == 2
        assert table["logp"].null_count() == 0
        assert table["right_mass"].is_between(0.0, 1.0).all()


def test_a_checkpoint_without_a_template_reads_texts_alone(folder: Path) -> None:
    name = f"hf:{folder / 'base' / 'llama'}"
    assert not isinstance(load_model(name), ChatReader)
    with pytest.raises(BadOption, match="use prompt=text"):
        roll(RollSpec("sums", 1, name, items=1, prompt="chat"))


def test_dtype_and_weights_are_part_of_a_runs_identity(folder: Path) -> None:
    one, half = load_hf(str(folder / "llama")), load_hf(f"{folder / 'llama'},dtype=bfloat16")
    other = load_hf(str(folder / "gpt2"))
    assert (one.identity["dtype"], half.identity["dtype"]) == ("float32", "bfloat16")
    assert one.identity["weights"] == half.identity["weights"] != other.identity["weights"]
    assert half.session().complete(asks(["a"]))[0].texts


def test_only_safetensors_are_read_and_no_code(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="cannot be loaded"):
        load_hf(str(tmp_path / "nowhere" / "deeper" / "x"))
    path = checkpoint(tmp_path, "llama")
    config = json.loads((path / "config.json").read_text())
    (path / "code.py").write_text("raise SystemExit('code of a checkpoint was run')")
    odd = {**config, "model_type": "odd", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}
    (path / "config.json").write_text(json.dumps(odd))
    with pytest.raises(BadWeights, match="cannot be loaded"):
        load_hf(str(path))
    (path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(BadWeights, match="lacks weights"):
        load_hf(str(path))
    (path / "config.json").write_text(json.dumps(config))
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BadWeights, match="cannot be loaded"):
        load_hf(str(path))
    torch.save({}, path / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(BadWeights, match=r"no \.safetensors"):
        load_hf(str(path))


@pytest.mark.parametrize("options", ["dtype=int3", "rows=0", "device=moon", "colour=red", "context=1"])
def test_options_are_checked(folder: Path, options: str) -> None:
    with pytest.raises(BadOption):
        load_hf(f"{folder / 'llama'},{options}")


def test_workers_each_load_the_checkpoint_and_change_no_byte(folder: Path, tmp_path: Path) -> None:
    spec = RollSpec("sums", 1, f"hf:{folder / 'llama'},rows=2", items=6, horizon=3, prompt="chat:shots=0,tokens=4")
    files = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        roll(spec, out, workers=workers)
        files.append({path.name: path.read_bytes() for path in (out / "steps").iterdir()})
    assert len(files[0]) == 3
    assert files[0] == files[1]
