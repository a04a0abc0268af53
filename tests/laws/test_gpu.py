"""The launches of a GPU: the network's own logits, and bits that depend on a row's own symbols alone.

On the device "cpu" they run unrecorded; on "cuda" as CUDA graphs, where torch sees a GPU.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_decode import SHAPES, ask, make_model, play, prompts

from deadreckon.errors import BadOption
from deadreckon.models import load_model
from deadreckon.models.engines import engine_lines, gpu
from deadreckon.models.gpu import GPUModel, GraphEngine, present
from deadreckon.models.tokens import BEGIN
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.seeds import hash64

CUDA = pytest.mark.skipif(not present(), reason="torch sees no GPU here")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]


def model(device: str, shape: str = "64 wide", rows: int = 64) -> GPUModel:
    return GPUModel(make_model(SHAPES[shape], rows), rows=rows, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_the_networks_own(shape: str, device: str) -> None:
    one = model(device, shape)
    session = one.session()
    texts = prompts(40)
    session.complete([ask(i, text) for i, text in enumerate(texts)])
    for i, text in enumerate(texts):
        ids = torch.tensor([[BEGIN, *one.tokens.encode(text)]])
        with torch.inference_mode():
            wanted = one.network(ids)[0, -1].numpy()
        found = session.prompt_logits[session.slots[hash64("item", i), i % 3]]
        assert found[BEGIN] == -np.inf
        np.testing.assert_allclose(found[1:], wanted[1:], atol=1e-4, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
def test_bits_do_not_depend_on_batch_order_or_slot(device: str) -> None:
    one = model(device)
    whole = play(one.session(), list(range(64)))
    assert len({bits for steps in whole.values() for bits, _ in steps}) > 200
    for who in (list(range(63, -1, -1)), [5], [9, 50, 3, 20, 41, 5, 0]):
        assert play(one.session(), who) == {i: whole[i] for i in who}


@pytest.mark.parametrize("device", DEVICES)
def test_what_it_writes_is_what_the_reference_writes(device: str) -> None:
    ours, reference = (play(one.session(), list(range(64))) for one in (model(device), make_model()))
    texts = [[[reply.texts for _, reply in steps] for steps in found.values()] for found in (ours, reference)]
    alike = sum(a == b for a, b in zip(*texts, strict=True))
    assert alike >= 60, f"{64 - alike} of 64 rollouts differ: more than draws at the edge of two symbols"


def test_a_recording_warms_up_where_nobody_reads() -> None:
    """A launch's first run writes to the cache before any row has been placed."""
    engine = GraphEngine(make_model().network, 4, "cpu")
    engine._launch(4).run()
    for layer in engine.layers:
        assert not layer.keys[:, :, : engine.span - 1].any()
        assert layer.keys[:, :, engine.span - 1].any()


@pytest.mark.skipif(present(), reason="there is a GPU here")
def test_without_a_gpu_the_engine_is_refused_in_words() -> None:
    assert not gpu()
    assert engine_lines()["cuda"] == "does not run here: torch sees no GPU"
    with pytest.raises(BadOption, match="engine=cuda: torch sees no GPU here: use engine=auto"):
        load_model("shipped:sums-clean,engine=cuda")
    assert "graph" not in load_model("shipped:sums-clean,engine=auto").identity["engine"]


@CUDA
def test_a_run_on_the_gpu_agrees_with_the_reference(tmp_path: Path) -> None:
    tables = [
        roll(RollSpec("sums", 1, f"shipped:sums-clean,engine={engine}", items=500, horizon=24), tmp_path / engine)
        for engine in ("cuda", "torch")
    ]
    wrong = [table.filter(table["event"] != "right").height / table.height for table in tables]
    assert abs(wrong[0] - wrong[1]) < 0.005
