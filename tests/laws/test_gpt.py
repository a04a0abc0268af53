"""Laws of the network and of the tokenizer."""

from __future__ import annotations

import math

import pytest
import torch
from networks import CONFIG, grown, ids

from deadreckon.errors import BadOption, BadText
from deadreckon.models.gpt import GPT, GPTConfig, norm, rope_table, rotate
from deadreckon.models.tokens import BEGIN, Tokenizer, filler_text
from deadreckon.worlds import load_world, world_names


@torch.no_grad()
def test_a_later_symbol_changes_no_earlier_logit():
    network, tokens = grown(), ids()
    before = network(tokens)
    changed = tokens.clone()
    changed[:, 12] = tokens[:, 12] % (CONFIG.vocab - 1) + 1
    after = network(changed)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:, 1:], after[:, 12:, 1:])


@torch.no_grad()
def test_the_begin_symbol_is_never_emitted():
    logits = grown()(ids())
    assert (logits[..., BEGIN] == -math.inf).all()
    assert torch.isfinite(logits[..., 1:]).all()


def test_first_weights_are_a_function_of_the_seed():
    one, same, other = (GPT(CONFIG, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["embed.weight"], other["embed.weight"])


def test_parameters_are_counted_by_the_formula():
    assert sum(w.numel() for w in GPT(CONFIG).parameters()) == CONFIG.parameters


@torch.no_grad()
def test_rotary_scores_depend_on_the_distance_alone():
    cos, sin = rope_table(CONFIG)
    source = torch.Generator().manual_seed(2)
    q, k = torch.randn(2, CONFIG.head, generator=source).unbind()

    def score(i: int, j: int) -> float:
        return float(rotate(q, cos[i], sin[i]) @ rotate(k, cos[j], sin[j]))

    assert score(9, 4) == pytest.approx(score(20, 15), abs=1e-4)
    assert abs(score(9, 4) - score(9, 5)) > 1e-3


@torch.no_grad()
def test_attention_is_the_textbook_formula():
    network, x = grown(), torch.randn(1, 7, CONFIG.width, generator=torch.Generator().manual_seed(3))
    layer = network.blocks[0].attn
    found = layer(x, network.cos[:7], network.sin[:7])
    q, k, v = layer.qkv(x)[0].split(CONFIG.width, dim=-1)
    heads = []
    for h in range(CONFIG.heads):
        part = slice(h * CONFIG.head, (h + 1) * CONFIG.head)
        qh, kh = (rotate(norm(m[:, part]), network.cos[:7], network.sin[:7]) for m in (q, k))
        rows = []
        for t in range(7):
            weight = torch.softmax(layer.gain[h] * (kh[: t + 1] @ qh[t]) / math.sqrt(CONFIG.head), 0)
            rows.append(weight @ v[: t + 1, part])
        heads.append(torch.stack(rows))
    assert torch.allclose(found[0], layer.out(torch.cat(heads, dim=-1)), atol=1e-5)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(BadOption, match="width 100 is not a multiple"):
        GPTConfig(vocab=5, context=8, layers=1, width=100)
    with pytest.raises(BadOption, match="size below 1"):
        GPTConfig(vocab=5, context=0, layers=1, width=64)
    with pytest.raises(BadOption, match="25 symbols given, the context is 24"):
        GPT(CONFIG)(torch.ones(1, 25, dtype=torch.int64))


def test_the_longest_symbol_is_taken():
    tokens = Tokenizer(["d", "d3 ", "3", " ", "."])
    assert tokens.encode("d3 d3.") == [2, 1, 3, 5]
    assert tokens.decode([BEGIN, 2, 1, 3, 5]) == "d3 d3."


def test_text_outside_the_alphabet_is_named():
    tokens = Tokenizer(["a", "b\n"])
    with pytest.raises(BadText, match=r"begins 'ba' \(at character 2\)"):
        tokens.encode("aaba")
    with pytest.raises(BadText, match=r"outside 0\.\.2"):
        tokens.decode([3])
    with pytest.raises(BadOption, match="repeated symbol"):
        Tokenizer(["a", "a"])


def test_the_identity_tells_alphabets_and_their_order_apart():
    assert Tokenizer("ab").identity == Tokenizer(["a", "b"]).identity
    assert len({Tokenizer(alphabet).identity for alphabet in ("ab", "ba", "abc", ["ab"])}) == 4


@pytest.mark.parametrize("name", world_names())
def test_filler_has_the_symbols_of_a_belief(name: str):
    world = load_world(name)
    assert len(Tokenizer(world.alphabet).encode(filler_text(world))) == world.belief_width
