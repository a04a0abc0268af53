"""The compiled kernel as Python sees it: its structures as arrays, its entries as functions, its codes as errors."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from deadreckon.errors import BadOption, BadText, BadWeights, OutOfMemory
from deadreckon.models.config import EPS, ROPE_BASE, GPTConfig
from deadreckon.models.kernel.build import Build, CannotBuild, shared_object

F32 = NDArray[np.float32]
Array = NDArray[Any]  # structures and words

MOST_CHUNK = 48
LIMIT, STOPPED, UNSURE = range(3)  # why a job ended

_P = ctypes.c_void_p
_INTS = ("vocab", "context", "layers", "width", "head", "slots", "kinds", "chunk", "steps", "unused")
_POINTERS = (
    "weights",
    "units",
    "embed",
    "gain",
    "cosine",
    "sine",
    "cache",
    "symbols",
    "ends",
    "stops",
    "trail",
    "trail_ends",
)


class CModel(ctypes.Structure):
    """The kernel's `model`: sizes, weights, and the memory of one session."""

    _fields_ = [*((name, ctypes.c_int32) for name in _INTS), *((name, _P) for name in _POINTERS)]


_DOUBLES = ("temperature", "logp", "entropy")
JOB = np.dtype(
    [
        *((name, np.uint64) for name in ("seed", "item", "step", "rollout")),
        *((name, np.float64) for name in _DOUBLES),
        *((name, np.uint32) for name in ("ask", "sample")),
        *(
            (name, np.int32)
            for name in ("slot", "read", "length", "token", "most", "kind", "why", "ahead", "kept", "unused")
        ),
    ]
)


def new_jobs(n: int) -> Array:
    """n jobs that keep no trail."""
    jobs = np.zeros(n, JOB)
    jobs["kept"] = -1
    return jobs


QUESTION = np.dtype(
    [
        *((name, np.int32) for name in ("slot", "first", "count", "unused", "length", "begun")),
        ("temperature", np.float64),
    ]
)
FAULTS: dict[int, tuple[type[BadOption | BadText | BadWeights], str]] = {
    1: (BadOption, "sizes outside what the kernel takes: use the engine torch"),
    2: (BadOption, "a slot that the session does not have"),
    3: (BadOption, "a length outside the context"),
    4: (BadText, "a symbol outside the alphabet: these are another model's"),
    5: (BadOption, "a temperature below 0 or not finite, or stops that were not given"),
    6: (BadWeights, "logits that are not finite: train or fetch the weights again"),
}


def zeros(what: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Zeros that begin on a page; pages nobody touches cost nothing. OutOfMemory."""
    size = prod(shape) * np.dtype(dtype).itemsize
    try:
        return np.frombuffer(mmap(-1, max(size, 1)), np.uint8, size).view(dtype).reshape(shape)
    except (OSError, OverflowError, MemoryError):
        raise OutOfMemory(what, size) from None


def _opened(build: Build, extra: tuple[str, ...]) -> tuple[ctypes.CDLL, Path]:
    """The shared object, loaded; built anew where the one that was kept is damaged. CannotBuild."""
    path = shared_object(build, extra)
    try:
        return ctypes.CDLL(str(path)), path
    except OSError:
        path.unlink(missing_ok=True)
    path = shared_object(build, extra)
    try:
        return ctypes.CDLL(str(path)), path
    except OSError as error:
        raise CannotBuild(f"{path.name} does not load: {error}") from None


class Library:
    """One build of the kernel, loaded."""

    def __init__(self, build: Build, extra: tuple[str, ...] = ()):
        """Compiles it where needed, with `extra` flags. CannotBuild."""
        self.build = build
        self._c, self.path = _opened(build, extra)
        self._c.sizes.argtypes = [_P, _P]
        self._c.pack.argtypes = [_P, _P, _P, _P]
        self._c.complete.argtypes = [_P, _P, ctypes.c_int64, _P]
        self._c.score.argtypes = [_P, _P, ctypes.c_int64, _P, _P, _P, _P]
        told = self.sizes(CModel(2, 1, 1, 32, 16, 0, 0, 1, 0, 0))
        if told[4:] != (ctypes.sizeof(CModel), JOB.itemsize, QUESTION.itemsize):
            raise CannotBuild(f"{self.path.name} lays its structures out in another way ({told[4:]})")

    def sizes(self, model: CModel) -> tuple[int, ...]:
        """Words of weights, words of a slot's cache, bytes of a desk, padded vocab, bytes of the structures."""
        out = np.zeros(7, np.int64)
        check(self._c.sizes(ctypes.byref(model), out.ctypes.data))
        return tuple(out.tolist())

    def pack(self, model: CModel, tensors: list[F32], out: Array, units: F32) -> None:
        """The matrices as the kernel reads them."""
        pointers = (_P * len(tensors))(*(tensor.ctypes.data for tensor in tensors))
        check(self._c.pack(ctypes.byref(model), pointers, out.ctypes.data, units.ctypes.data))

    def complete(self, model: CModel, jobs: Array, desk: Array) -> None:
        """Run these jobs, in place; other threads may run meanwhile."""
        check(self._c.complete(ctypes.byref(model), jobs.ctypes.data, len(jobs), desk.ctypes.data))

    def score(self, model: CModel, questions: Array, texts: tuple[Array, Array, Array], desk: Array) -> None:
        """Fill the last of `texts` (symbols, where each text begins, log-probabilities)."""
        symbols, at, out = (array.ctypes.data for array in texts)
        check(
            self._c.score(
                ctypes.byref(model), questions.ctypes.data, len(questions), symbols, at, out, desk.ctypes.data
            )
        )


def check(code: int) -> None:
    """BadOption, BadText, BadWeights: what the kernel says it was given."""
    if code:
        error, words = FAULTS[code]
        raise error(f"the kernel was given {words}")


@lru_cache(maxsize=8)
def load(build: Build) -> Library:
    """The library of this build, once a process. CannotBuild."""
    return Library(build)


def fits(config: GPTConfig) -> bool:
    """Whether the kernel takes these sizes."""
    return (
        config.width % 32 == 0
        and config.head % 16 == 0
        and config.width <= 1024
        and config.context <= 8192
        and config.layers <= 1024
        and 2 <= config.vocab <= 65536
    )


def rope(config: GPTConfig) -> tuple[F32, F32]:
    """cos and sin of position * base^(-2i/head), i < head/2: each (context, head/2); as gpt.rope_table."""
    frequency = ROPE_BASE ** (-np.arange(0, config.head, 2, dtype=np.float64) / config.head)
    angle = np.arange(config.context, dtype=np.float64)[:, None] * frequency
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


class Network:
    """A network's weights as the kernel reads them."""

    def __init__(self, library: Library, config: GPTConfig, tensors: Mapping[str, F32]):
        """`tensors` by the names of `GPTConfig.shapes`, float32. BadOption: sizes; BadWeights: not finite."""
        self.library, self.config = library, config
        for name, shape in config.shapes().items():
            if tensors[name].shape != shape or not np.isfinite(tensors[name]).all():
                raise BadWeights(f"{name} is not {shape} finite numbers: train or fetch the weights again")
        embed = np.ascontiguousarray(tensors["embed.weight"], np.float32)
        mean = np.square(embed, dtype=np.float64).mean(axis=1, keepdims=True)
        gain = np.stack([tensors[f"blocks.{i}.attn.gain"] for i in range(config.layers)]).astype(np.float64)
        self._embed = (embed / np.sqrt(mean + EPS)).astype(np.float32)
        self._gain = (gain / np.sqrt(config.head)).astype(np.float32)
        self._cosine, self._sine = rope(config)
        words, self.slot_words, self.desk_bytes, self.padded_vocab, *_ = library.sizes(self.c_model())
        self._weights = zeros("the weights", (words,), np.uint32)
        matrices = ("attn.qkv", "attn.out", "mlp.up", "mlp.down")
        names = [f"blocks.{i}.{name}.weight" for i in range(config.layers) for name in matrices]
        packed = [np.ascontiguousarray(tensors[name], np.float32) for name in (*names, "head.weight")]
        self._units = zeros("the units", (2 * config.layers + 1,), np.float32)
        library.pack(self.c_model(), packed, self._weights, self._units)

    def c_model(self, **rest: int) -> CModel:
        """The kernel's own structure; `rest` fills what a session adds."""
        config = self.config
        sizes = {name: getattr(config, name) for name in _INTS[:5]}
        own = {name: getattr(self, f"_{name}", None) for name in _POINTERS[:6]}
        pointers = {name: array.ctypes.data for name, array in own.items() if array is not None}
        return CModel(**{**sizes, **pointers, "chunk": 1, **rest})

    def desk(self) -> Array:
        """What one call works in."""
        return zeros("a desk", (self.desk_bytes,), np.uint8)
