"""Weights are hostile input: whatever is wrong with them, one clear line before a tensor is made."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from deadreckon.contracts import Ask, Key
from deadreckon.errors import BadOption, BadWeights, UnknownName
from deadreckon.models import cards, load_model, weights
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.models.tokens import Tokenizer

CONFIG = GPTConfig(vocab=5, context=32, layers=1, width=64)
ALPHABET = [*"ab+\n"]


def tensors() -> dict[str, torch.Tensor]:
    return {name: w.detach().half() for name, w in GPT(CONFIG, seed=3).named_parameters()}


def put(folder: Path, content: bytes, name: str = "tiny", **changes: object) -> Path:
    """Weights and a card that fits them, but for the changes."""
    card = {
        "size": {"vocab": 5, "context": 32, "layers": 1, "width": 64, "head": 32},
        "alphabet": ALPHABET,
        "alphabet_hash": Tokenizer(ALPHABET).identity,
        "seed": 3,
        "sha256": sha256(content).hexdigest(),
        "limits": "a test",
    }
    path = folder / f"{name}.safetensors"
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps(card | changes))
    return path


def edit_header(content: bytes, change: Callable[[dict[str, dict[str, object]]], None]) -> bytes:
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    change(header)
    new = json.dumps(header).encode()
    return len(new).to_bytes(8, "little") + new + content[8 + size :]


def test_good_weights_load_by_file_and_by_folder_and_answer(tmp_path: Path) -> None:
    path = put(tmp_path, save(tensors()))
    model = load_model(f"gpt:{path},engine=torch")
    assert (model.name, model.seed, model.capacity) == (f"gpt:{path},engine=torch", 3, 64)
    assert model.identity["weights"] == sha256(path.read_bytes()).hexdigest()
    assert model.identity["engine"] == "torch-fp32-exact-r64"
    ask = Ask("a+b", Key(0, 1, 0, 0), max_tokens=4, stop=())
    replies = model.session().complete([ask])
    assert len(replies[0].texts[0]) == 4
    assert load_model(f"gpt:{tmp_path},engine=torch").session().complete([ask]) == replies
    assert load_model(f"gpt:{tmp_path}").session().complete([ask])[0].texts == replies[0].texts


def test_half_precision_weights_are_read_exactly(tmp_path: Path) -> None:
    path = put(tmp_path, save(tensors()))
    loaded = weights.load_gpt(path, "x").network.state_dict()
    assert all(torch.equal(loaded[name], w.float()) for name, w in tensors().items())


def renamed(header: dict[str, dict[str, object]]) -> None:
    header["other.weight"] = header.pop("head.weight")


def reshaped(header: dict[str, dict[str, object]]) -> None:
    header["head.weight"]["shape"] = [64, 5]


def shifted(header: dict[str, dict[str, object]]) -> None:
    header["head.weight"]["data_offsets"] = [0, 640]


def retyped(header: dict[str, dict[str, object]]) -> None:
    header["head.weight"]["dtype"] = "I64"


def extended(header: dict[str, dict[str, object]]) -> None:
    header["head.weight"]["extra"] = 1


SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda c: b"", "has 0 bytes"),
    "cut in the header": (lambda c: c[:50], "has 50 bytes"),
    "cut in the data": (lambda c: c[:-1], "its header says"),
    "longer": (lambda c: c + b"\0", "its header says"),
    "huge header length": (lambda c: b"\xff" * 8 + c[8:], "cut short"),
    "header is not JSON": (lambda c: c[:8] + b"[" + c[9:], "cannot be read"),
    "header is a list": (lambda c: (2).to_bytes(8, "little") + b"[]" + c, "cannot be read"),
    "deep header": (lambda c: (100_000).to_bytes(8, "little") + b"[" * 100_000, "cannot be read"),
    "tensor renamed": (lambda c: edit_header(c, renamed), "another network"),
    "tensor reshaped": (lambda c: edit_header(c, reshaped), r"\[64, 5\].*another network"),
    "tensors overlap": (lambda c: edit_header(c, shifted), "lies at"),
    "integers": (lambda c: edit_header(c, retyped), "I64"),
    "unknown field": (lambda c: edit_header(c, extended), "cannot be read"),
    "a pickle": (lambda c: b"\x80\x02}q\x00." + b"0" * 200_000, "cut short"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_spoiled_weights_are_one_clear_line_even_with_a_matching_hash(tmp_path: Path, how: str) -> None:
    spoil, words = SPOILED[how]
    path = put(tmp_path, spoil(save(tensors())))
    with pytest.raises(BadWeights, match=words) as caught:
        load_model(f"gpt:{path}")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_one_flipped_bit_is_seen(tmp_path: Path) -> None:
    content = bytearray(save(tensors()))
    path = put(tmp_path, bytes(content))
    for at in (len(content) - 1, len(content) // 2):
        content[at] ^= 1
        path.write_bytes(bytes(content))
        with pytest.raises(BadWeights, match="SHA-256"):
            load_model(f"gpt:{path}")
        content[at] ^= 1


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    spoiled = tensors()
    spoiled["embed.weight"][0, 0] = float("nan")
    with pytest.raises(BadWeights, match=r"embed\.weight holds values that are not finite"):
        load_model(f"gpt:{put(tmp_path, save(spoiled))}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alphabet": [*"abc\n"]}, "alphabet has hash"),
        ({"alphabet": [*"ab+"], "alphabet_hash": Tokenizer([*"ab+"]).identity}, "alphabet"),
        ({"size": {"vocab": 5, "context": 32, "layers": 1, "width": 128, "head": 32}}, "its card says"),
        ({"size": {"vocab": 5, "context": 32, "layers": 2, "width": 64, "head": 32}}, "its card says"),
        ({"size": {"vocab": 5, "context": 0, "layers": 1, "width": 64, "head": 32}}, r"size\.context"),
        ({"size": {"vocab": 5, "context": 32, "layers": 1, "width": 32, "head": 32}}, "another network"),
        ({"size": {"vocab": 5, "context": 32, "layers": 1, "width": 1 << 40, "head": 32}}, r"size\.width"),
        ({"size": {"vocab": 5, "context": 32, "layers": 1, "width": 1 << 20, "head": 32}}, "its card says 13194"),
        ({"size": {"vocab": 5, "context": 1 << 20, "layers": 1, "width": 64, "head": 32}}, r"size\.context"),
        ({"size": {"vocab": 5, "context": 32, "layers": 1, "width": 64, "head": 48}}, "multiple of an even head"),
        ({"seed": "three"}, "seed"),
        ({"sha256": None}, "sha256"),
    ],
)
def test_foreign_or_broken_cards_are_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = put(tmp_path, save(tensors()), **changes)
    with pytest.raises(BadWeights, match=words):
        load_model(f"gpt:{path}")


def test_missing_files_say_what_to_give(tmp_path: Path) -> None:
    path = put(tmp_path, save(tensors()))
    with pytest.raises(BadWeights, match="no card"):
        load_model(f"gpt:{tmp_path / 'none.safetensors'}")
    put(tmp_path, save(tensors()), "second")
    with pytest.raises(BadWeights, match=r"holds 2 models with a card \(second, tiny\)"):
        load_model(f"gpt:{tmp_path}")
    path.unlink()
    with pytest.raises(BadWeights, match="no weights"):
        load_model(f"gpt:{path}")


def test_shipped_models_have_names_and_near_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "shipped_folder", lambda: tmp_path)
    for name in ("sums-clean-s0", "sums-clean-s3", "maps-stated"):
        put(tmp_path, save(tensors()), name)
    assert cards.shipped_names() == ["maps-stated", "sums-clean", "sums-clean-s3"]
    card = tmp_path / "sums-clean-s3.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"level": 2}))
    assert [cards.shipped_level(name) for name in ("sums-clean-s3", "sums-clean", "sums")] == [2, None, None]
    assert load_model("shipped:sums-clean").name == "shipped:sums-clean"
    assert load_model("shipped:sums-clean-s0").name == "shipped:sums-clean"
    assert load_model("shipped:maps-stated").name == "shipped:maps-stated"
    with pytest.raises(UnknownName, match="did you mean 'sums-clean'"):
        load_model("shipped:sums-clear")
    with pytest.raises(UnknownName, match="did you mean"):
        load_model("shipped:../sums-clean")


def test_model_names_have_near_names() -> None:
    with pytest.raises(UnknownName, match="did you mean 'noisy-oracle'"):
        load_model("noisy-orcle:slip=0.1")
    with pytest.raises(BadOption, match="ends in a colon"):
        load_model("shipped:")
    with pytest.raises(BadOption, match="does not say which"):
        load_model("shipped")


def test_no_torch_is_loaded_for_models_that_need_none() -> None:
    code = (
        "import sys; from deadreckon.models import load_model; load_model('oracle'); load_model('noisy-oracle');"
        "load_model('ngram:world=sums,transcripts=3'); assert 'torch' not in sys.modules;"
        "import os; assert os.environ['GOMP_SPINCOUNT'] == '1000'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={})


def test_without_torch_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from deadreckon.models import load_model\n"
        "from deadreckon.errors import MissingExtra\n"
        "try: load_model('shipped:sums-clean,engine=torch')\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip().endswith("pip install 'deadreckon[torch]'")
