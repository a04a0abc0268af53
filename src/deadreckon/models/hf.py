"""Any causal language model of transformers: a folder on this machine, or a name of the hub.

    hf:PATH_OR_NAME[,dtype=float32,device=cpu,rows=16,context=2048,revision=...]

Weights are read from safetensors alone and code that comes with a checkpoint is never run. A checkpoint with a chat
template reads both shapes of prompt, one without it reads texts. What the bytes of a run depend on is recorded: the
weights' hash (of a hub name: its commit), dtype, device, rows, libraries.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

import deadreckon.models.quiet  # noqa: F401  before transformers is loaded
from deadreckon.contracts import Ask, ChatReader, Scorer, TextReader, Transparent
from deadreckon.errors import BadOption, BadWeights
from deadreckon.models.decode import cpu_class, one_thread
from deadreckon.models.hf_cache import SlotEngine, WholeTexts
from deadreckon.models.hf_session import HFSession
from deadreckon.models.hf_words import Words
from deadreckon.specs import between, one_of, parse_spec, read_options

ROWS = 16
DTYPES = ("auto", "float32", "bfloat16", "float16")
NO_LIMIT = 1 << 20  # tokens; a checkpoint that names no longest text is held to this
TRIED = 24  # tokens of the texts that slots are tried on
CLOSE, CLOSE_HALF = 1e-3, 0.5  # most the logits may differ there, in float32 and in half precision
ATTENTION = {"full_attention", "sliding_attention"}  # layers whose memory is keys and values of each token


@dataclass(frozen=True, slots=True)
class Options:
    """What may follow the place in a spec."""

    dtype: str = "auto"  # auto = as stored
    device: str = "cpu"
    rows: int = ROWS  # rollouts in one session: the constant row count of a launch
    context: int = 0  # most tokens of prompt and answer; 0 = as many as the checkpoint knows
    revision: str = "main"


class HFModel(Scorer, Transparent, TextReader):
    """A causal language model and its tokenizer."""

    def __init__(self, network: Any, tokenizer: Any, *, name: str, identity: Mapping[str, str], options: Options):
        """`identity`: where the weights come from; what was chosen and the libraries are added to it."""
        self.network, self.name, self.seed, self.capacity = network.eval(), name, None, options.rows
        config = network.config.get_text_config()
        self.layers, self.hidden = int(config.num_hidden_layers), int(config.hidden_size)
        self.context = options.context or longest_text(config)
        self.words = Words(tokenizer, ends_of(network, tokenizer))
        self.slots = keeps_keys(network)
        self.reuse = True
        on_cpu = network.device.type == "cpu"
        self.identity: Mapping[str, str] = {
            **identity,
            "engine": f"transformers-{'slots' if self.slots else 'whole-texts'}-r{options.rows}",
            "attention": str(config._attn_implementation),
            "dtype": str(network.dtype).removeprefix("torch."),
            "device": cpu_class() if on_cpu else torch.cuda.get_device_name(network.device),
            "context": str(self.context),
            "transformers": transformers.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "threads": "1",
        }

    def length(self, ask: Ask) -> int:
        """Tokens of the prompt, or of the messages within the template."""
        return len(self.words.ids(ask))

    def session(self) -> HFSession:
        """Begin work on at most `capacity` rollouts."""
        rows, context = self.capacity, int(self.context)
        engine = SlotEngine(self.network, rows, context) if self.slots else WholeTexts(self.network)
        return HFSession(engine, self.words, rows, context, reuse=self.reuse)


class HFChatModel(HFModel, ChatReader):
    """A checkpoint with a chat template."""


def ends_of(network: Any, tokenizer: Any) -> list[int]:
    """The ids that end an answer: of the generation settings and the tokenizer."""
    listed = getattr(network.generation_config, "eos_token_id", None)
    ids = listed if isinstance(listed, list) else [listed]
    return [int(i) for i in [*ids, tokenizer.eos_token_id] if i is not None]


def longest_text(config: Any) -> int:
    """Tokens the checkpoint was made for; a sliding window counts as the longest, so that it never slides."""
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window")]
    return min((int(limit) for limit in limits if limit), default=NO_LIMIT)


def keeps_keys(network: Any) -> bool:
    """Whether all that the network remembers of a text is keys and values of each of its tokens, and slots hold them.

    The second is tried out: two short texts, one of them read in two launches, against one plain pass.
    """
    kinds = set(getattr(network.config.get_text_config(), "layer_types", None) or ())
    if network._is_stateful or not kinds <= ATTENTION:
        return False
    ids = np.arange(2 * TRIED).reshape(2, TRIED) % network.config.get_text_config().vocab_size
    engine, first, second = SlotEngine(network, 2, 2 * TRIED), np.array([0, 0]), np.array([TRIED // 2, 0])
    with one_thread(), torch.inference_mode():
        try:
            engine.launch(ids[:, : TRIED // 2], first, engine.end(0, TRIED // 2), keep=1)
            rest = np.stack([ids[0, TRIED // 2 :], ids[1, : TRIED // 2]])
            found = engine.launch(rest, second, engine.end(TRIED, 0), keep=1).logits[0, -1]
        except (ValueError, TypeError, RuntimeError):  # a network that takes no mask or positions of ours
            return False
        known = network(input_ids=torch.as_tensor(ids[:1], device=network.device), use_cache=False).logits[0, -1]
    near = CLOSE if network.dtype == torch.float32 else CLOSE_HALF
    return bool(np.abs(found - known.float().cpu().numpy()).max() < near)


def load_hf(rest: str) -> HFModel:
    """The checkpoint `PATH_OR_NAME[,key=value,...]`. BadOption, BadWeights."""
    place, comma, more = rest.partition(",")
    options = _options(parse_spec(f"hf:{more}")[1] if comma else {})
    local = Path(place).is_dir()
    identity = _hashed(Path(place)) if local else {}
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    shared = {"revision": options.revision, "trust_remote_code": False, "local_files_only": local}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer = AutoTokenizer.from_pretrained(place, **shared)
            network, info = AutoModelForCausalLM.from_pretrained(
                place, dtype=options.dtype, use_safetensors=True, output_loading_info=True, **shared
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        line = " ".join(str(error).split())[:200]
        raise BadWeights(
            f"hf:{place} cannot be loaded ({line}): give a folder with config, tokenizer, safetensors"
        ) from None
    odd = [*info["missing_keys"], *info["mismatched_keys"]]
    if odd:
        raise BadWeights(f"hf:{place} lacks weights of its network, {odd[0]} first: fetch it again")
    if not local:
        identity = {"weights": str(network.config._commit_hash), "revision": options.revision}
    kind = HFChatModel if tokenizer.chat_template else HFModel
    return kind(network.to(options.device), tokenizer, name=f"hf:{rest}", identity=identity, options=options)


def _options(given: Mapping[str, str]) -> Options:
    kinds: dict[str, Callable[[str], Any]] = {
        "dtype": one_of(*DTYPES),
        "device": str,
        "rows": between(1, 4096),
        "context": between(2, NO_LIMIT),
        "revision": str,
    }
    options = Options(**read_options("hf", given, kinds))
    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError):
        raise BadOption(f"hf device={options.device!r} is not on this machine: use cpu or cuda") from None
    return options


def _hashed(folder: Path) -> dict[str, str]:
    """A folder's name for its bytes: of weights, settings and tokenizer. BadWeights where it holds no safetensors."""
    files = sorted(
        path for pattern in ("*.safetensors", "*.json", "*.jinja", "*.model") for path in folder.glob(pattern)
    )
    if not any(path.suffix == ".safetensors" for path in files):
        raise BadWeights(f"{folder} holds no .safetensors file: pickled weights are not read, convert them first")
    whole = sha256()
    for path in files:
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(1 << 22):
                digest.update(block)
        whole.update(f"{path.name} {digest.hexdigest()}\n".encode())
    return {"weights": whole.hexdigest()}
