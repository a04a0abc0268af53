"""A real server on loopback, `transformers serve`: what the contract finds, and verdicts that are those in process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MISSING = [name for name in ("transformers", "fastapi", "uvicorn", "openai") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"transformers serve is not installed here: {', '.join(MISSING)}")

if not MISSING:
    sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "benchmarks")]
    import served
    import tiny_llama
    import torch

    from deadreckon.models.visit import visit
else:
    served = tiny_llama = torch = visit = None  # type: ignore[assignment]

STEPS, RATE, TURNS = 150, 1.5e-3, 4  # of training: enough to write actions, right ones now and then


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's network, trained on the beginnings of a few conversations."""
    folder = tmp_path_factory.mktemp("tiny")
    texts = {spec: tiny_llama.Texts(spec) for spec in tiny_llama.WORLDS}
    tokenizer = tiny_llama.make_tokenizer(texts)
    network = tiny_llama.make_network(len(tokenizer)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.95))
    for step in range(STEPS):
        spec = list(texts)[step % len(texts)]
        ids, labels = zip(*(tiny_llama.example(tokenizer, begun(texts[spec], spec, 2 * step + i)) for i in range(2)),
                          strict=True)  # fmt: skip
        longest = max(map(len, ids))
        out = network(
            input_ids=torch.tensor([some + [tiny_llama.END] * (longest - len(some)) for some in ids]),
            labels=torch.tensor([some + [-100] * (longest - len(some)) for some in labels]),
        )
        optimizer.zero_grad()
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def begun(texts: Any, spec: str, place: int) -> Any:
    """The first turns of a conversation."""
    rng = tiny_llama.rng_of(spec, 1000 + place)
    while not (given := texts.conversation(rng)).messages:
        pass
    return tiny_llama.Given(given.messages[: 2 * TURNS], "", "")


@pytest.fixture(scope="module")
def url(checkpoint: Path) -> Iterator[str]:
    with served.server(checkpoint) as found:
        yield found


def test_doctor_finds_what_this_server_does_not_do(checkpoint: Path, url: str) -> None:
    found: dict[str, Any] = {c.endpoint: c for c in visit(url, str(checkpoint), "")}
    assert set(found) == {"chat", "completions"}
    for contract in found.values():
        assert set(contract.failed(list(contract.checks))) >= {"seed", "n", "logprobs"}
        assert contract.passed("model", "errors", "max_tokens", "usage", "draws differ", "temperature", "greedy")
        unusable = {v.instrument for v in contract.verdicts() if not v.usable}
        assert unusable >= {"logp, calibration", "KL, right mass", "replay"}
    assert {v.instrument for v in found["chat"].verdicts() if v.usable} >= {"greedy rollouts", "votes", "cost"}


def test_greedy_verdicts_are_those_in_process(checkpoint: Path, url: str) -> None:
    events = set()
    for world in served.WORLDS:
        pair = served.compared(checkpoint, f"openai:{checkpoint},url={url}", world, items=3, steps=6)
        assert pair.alike, world
        events |= {(world, event) for event in pair.here["event"]}
    assert {world for world, _ in events} == {"sums", "maps", "othello"}
    assert len({event for _, event in events} - {"unparsed"}) >= 2
