"""Text in, text out. A model is named by its kind and what follows the colon::

    oracle
    noisy-oracle:slip=0.02,recover=0.1
    ngram:world=sums,level=2,order=3
    shipped:sums-clean        weights that come with the package (seed 0; shipped:sums-clean-s3 is seed 3)
    gpt:PATH                  weights made by training: a .safetensors file with its card, or their folder
    shipped:NAME,engine=bf16  on one engine (deadreckon list engines): auto, bf16, fp32, torch
    hf:PATH_OR_NAME           a checkpoint of transformers: a folder, or a name of the hub
    openai:MODEL,url=URL      behind an OpenAI-compatible server
    inspect:PROVIDER/MODEL    of any provider that Inspect AI knows

No torch is loaded before a model that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import deadreckon.models.threads  # noqa: F401  before any module of this package loads torch
from deadreckon.contracts import Model
from deadreckon.errors import BadOption, MissingExtra, UnknownName
from deadreckon.models.engines import load_shipped, load_trained
from deadreckon.models.oracle import NoisyOracle, Oracle
from deadreckon.specs import parse_spec

EXTRAS = {  # module: the extra that brings it
    "torch": "torch",
    "safetensors": "torch",
    "transformers": "hf",
    "httpx2": "api",
    "inspect_ai": "inspect",
}


def _oracle(rest: str) -> Model:
    return Oracle.from_options(_options("oracle", rest))


def _noisy_oracle(rest: str) -> Model:
    return NoisyOracle.from_options(_options("noisy-oracle", rest))


def _options(name: str, rest: str) -> dict[str, str]:
    return parse_spec(f"{name}:{rest}" if rest else name)[1]


def _from(module: str, function: str) -> Callable[[str], Model]:
    """A loader in a module that is imported at its first use, as it may need an extra."""

    def load(rest: str) -> Model:
        try:
            loader: Callable[[str], Model] = getattr(import_module(module), function)
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            raise MissingExtra(f"this model ({function.removeprefix('load_')})", EXTRAS[error.name]) from None
        return loader(rest)

    return load


ABOUT = {
    "oracle": "draws from the world's exact policy: never errs",
    "noisy-oracle": "an oracle with known rates per step: slip=0.02,recover=0.1,slip_wrong=0.02",
    "ngram": "counts after the last symbols of a world's expert text: world=sums,level=2,order=3",
    "shipped": "small GPTs that come with the package, listed below: NAME, or NAME-s3 for training seed 3",
    "openai": "a model behind an OpenAI-compatible server: MODEL,url=http://HOST:PORT/v1,endpoint=chat",
    "inspect": "a model of any provider of Inspect AI: PROVIDER/MODEL, as in inspect:anthropic/NAME",
    "gpt": "weights made by deadreckon train: the path of a .safetensors file, or of its folder",
    "hf": "a checkpoint of transformers, a folder or a name of the hub: hf:PATH[,dtype=bfloat16,device=cuda,rows=16]",
}

KINDS: dict[str, Callable[[str], Model]] = {
    "oracle": _oracle,
    "noisy-oracle": _noisy_oracle,
    "openai": _from("deadreckon.models.openai", "load_openai"),
    "inspect": _from("deadreckon.models.inspect", "load_inspect"),
    "ngram": _from("deadreckon.models.ngram", "load_ngram"),
    "shipped": load_shipped,
    "gpt": load_trained,
    "hf": _from("deadreckon.models.hf", "load_hf"),
}


def model_names() -> list[str]:
    """Kinds of model `load_model` knows, in order."""
    return sorted(KINDS)


def load_model(spec: str) -> Model:
    """The model of this spec. UnknownName, BadOption, BadWeights, MissingExtra."""
    name, colon, rest = spec.partition(":")
    if name not in KINDS:
        raise UnknownName("model", name, KINDS)
    if colon and not rest:
        raise BadOption(f"spec {spec!r} ends in a colon: drop it or write {name}:...")
    if not rest and name in ("shipped", "gpt", "hf", "ngram", "openai", "inspect"):
        raise BadOption(f"spec {spec!r} does not say which: write {name}:...")
    return KINDS[name](rest)
