"""The gradients written out are autograd's, and the function is the network's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import grown, ids

from deadreckon.errors import BadOption
from deadreckon.models.gpt import GPT, GPTConfig, rope_table
from deadreckon.train import gradients


def slopes(network: GPT, logits: torch.Tensor, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradient of every weight, of the mean loss of each symbol given those before it."""
    network.zero_grad(set_to_none=True)
    F.cross_entropy(logits, tokens[:, 1:].flatten()).backward()
    return {name: w.grad.clone() for name, w in network.named_parameters() if w.grad is not None}


def both(dtype: torch.dtype) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Logits and slopes, of the network and as written out."""
    network, tokens = grown(), ids()
    plain = network(tokens[:, :-1]).flatten(0, 1)
    swift = gradients.logits(network, gradients.hidden(network, tokens[:, :-1], dtype))
    return [plain.detach(), swift.detach()], [slopes(network, plain, tokens), slopes(network, swift, tokens)]


def test_in_float32_logits_and_gradients_are_those_of_autograd():
    (plain, swift), (by_autograd, by_hand) = both(torch.float32)
    assert torch.allclose(plain, swift, atol=1e-5)
    assert by_autograd.keys() == by_hand.keys()
    for name, slope in by_autograd.items():
        assert slope.abs().max() > 1e-4, f"{name}: nothing is compared"
        assert torch.allclose(slope, by_hand[name], atol=1e-6, rtol=1e-4), name


def test_in_bfloat16_gradients_point_the_same_way():
    (plain, swift), (by_autograd, by_hand) = both(torch.bfloat16)
    assert (plain[:, 1:] - swift[:, 1:]).abs().max() < 0.05 * plain[:, 1:].std()
    for name, slope in by_autograd.items():
        assert by_hand[name].dtype == torch.float32
        assert F.cosine_similarity(slope.flatten(), by_hand[name].flatten(), 0) > 0.999, name


def test_each_piece_passes_the_numeric_check():
    source = torch.Generator().manual_seed(4)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=source, requires_grad=True)

    cos, sin = (part[:3].double() for part in rope_table(GPTConfig(5, 3, 1, 8, 4)))
    turns = torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)
    gain = torch.tensor([0.7, 1.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: gradients.Norm.apply(x, torch.float64), (draw(4, 8),))
    assert torch.autograd.gradcheck(gradients.MLP.apply, (draw(4, 8), draw(32, 8), draw(8, 32)))
    assert torch.autograd.gradcheck(gradients.Linear.apply, (draw(4, 8), draw(5, 8)))
    assert torch.autograd.gradcheck(lambda x, by: gradients.Attend.apply(x, by, *turns), (draw(6, 24), gain))


def test_a_text_above_the_context_is_refused():
    with pytest.raises(BadOption, match="25 symbols given, the context is 24"):
        gradients.hidden(grown(), ids(1, 25), torch.float32)
