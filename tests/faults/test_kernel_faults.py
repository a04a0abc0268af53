"""Whatever is wrong with a kernel's compiler, machine or input: one clear line, never a crash or another engine."""

from __future__ import annotations

import os
import subprocess
import sys
from errno import ENOMEM
from pathlib import Path

import numpy as np
import pytest
from kernel_fuzz import fuzz

from deadreckon.contracts import Ask, Key
from deadreckon.errors import BadOption, BadWeights, OutOfMemory, UnknownName
from deadreckon.models import engines, load_model
from deadreckon.models.config import GPTConfig
from deadreckon.models.kernel import build as builds
from deadreckon.models.kernel import library as libraries
from deadreckon.models.kernel.build import BUILDS, CannotBuild, compiler, missing, shared_object
from deadreckon.models.kernel.library import Library, Network, load
from deadreckon.models.kernel.works import Layout, Works
from deadreckon.models.tokens import Tokenizer

HERE = Path(__file__).parent
PLAIN = BUILDS[-1]
CONFIG = GPTConfig(5, 16, 1, 32, 16)


def has_compiler() -> bool:
    try:
        return bool(compiler())
    except CannotBuild:
        return False


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler here: the kernel is not built")


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in CONFIG.shapes().items()}


@needs_compiler
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_random_calls_are_answered_or_refused(build: builds.Build) -> None:
    if missing(build):
        pytest.skip(f"this CPU has no {missing(build)}")
    answered, refused = fuzz(load(build), 2500, seed=7)
    assert answered > 1000
    assert refused > 300


@needs_compiler
def test_the_sanitizers_find_nothing(tmp_path: Path) -> None:
    """Address and undefined behaviour, over random calls of the widest build and of the plainest."""
    found = [
        subprocess.run([*compiler(), f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True)
        for name in ("asan", "ubsan")
    ]
    paths = [Path(one.stdout.strip()) for one in found]
    if not all(path.is_absolute() for path in paths):
        pytest.skip("the compiler brings no sanitizers")
    own = {
        "LD_PRELOAD": " ".join(map(str, paths)),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps what it pleases
        "DEADRECKON_SANITIZED": "1",
        "DEADRECKON_CACHE": str(tmp_path),
    }
    widest = next(build.name for build in BUILDS if not missing(build))
    line = [sys.executable, str(HERE / "kernel_fuzz.py"), "400", "3", widest, PLAIN.name]
    done = subprocess.run(line, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(widest)


@needs_compiler
def test_weights_of_another_shape_or_not_finite_are_refused() -> None:
    for spoil in (np.nan, np.inf):
        bad = tensors()
        bad["head.weight"][1, 2] = spoil
        with pytest.raises(BadWeights, match=r"head\.weight is not \(5, 32\) finite"):
            Network(load(PLAIN), CONFIG, bad)
    with pytest.raises(BadWeights, match=r"attn\.out"):
        Network(load(PLAIN), CONFIG, tensors() | {"blocks.0.attn.out.weight": np.zeros((31, 32), np.float32)})
    with pytest.raises(BadOption, match="sizes"):
        Network(
            load(PLAIN),
            GPTConfig(5, 16, 1, 48, 48),
            {n: np.zeros(s, np.float32) for n, s in GPTConfig(5, 16, 1, 48, 48).shapes().items()},
        )


@needs_compiler
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
@pytest.mark.parametrize("name", ["attn.qkv", "attn.out", "mlp.up", "mlp.down", "head"])
def test_numbers_that_overflow_are_bad_weights(name: str, build: builds.Build) -> None:
    if missing(build):
        pytest.skip(f"this CPU has no {missing(build)}")
    full = "head.weight" if name == "head" else f"blocks.0.{name}.weight"
    signs = np.sign(np.random.default_rng(0).normal(size=tensors()[full].shape))
    network = Network(load(build), CONFIG, tensors() | {full: (3e38 * signs).astype(np.float32)})
    works = Works(network, Tokenizer("abcd"), Layout(rows=2))
    with pytest.raises(BadWeights, match="not finite"):
        engines.KernelModel(works, name="x", weights="").session().complete([Ask("ab", Key(0, 1, 0, 0), max_tokens=3)])


@needs_compiler
def test_memory_that_is_not_to_be_had_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(load(PLAIN), CONFIG, tensors())
    with pytest.raises(OutOfMemory, match=r"no memory for .* bytes\): run fewer rollouts"):
        Works(network, Tokenizer("abcd"), Layout(rows=1 << 50)).memory()

    def none_left(*_: object) -> None:
        raise OSError(ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(libraries, "mmap", none_left)
    with pytest.raises(OutOfMemory, match="a desk"):
        network.desk()


# --- the compiler ---------------------------------------------------------------------------------------


def test_without_a_compiler_auto_is_torch_and_a_kernel_by_name_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "no-such-compiler"))
    monkeypatch.setattr(engines, "load", Library)  # past what this process has loaded
    assert load_model("shipped:sums-clean,engine=auto").identity["engine"].startswith("torch")
    with pytest.raises(BadOption, match=r"engine=bf16: the kernel does not run here, .*: use engine=auto or torch"):
        load_model("shipped:sums-clean,engine=bf16")
    lines = engines.engine_lines()
    assert lines["fp32"].startswith("does not run here: no C compiler")
    assert lines["auto"] == "the fastest that runs here: torch"


@needs_compiler
def test_a_compiler_that_refuses_or_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEADRECKON_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CannotBuild, match=r"refused kernel\.c: .*no-such-flag"):
        shared_object(PLAIN, ("-no-such-flag",))
    assert not list((tmp_path / "cache").iterdir())
    broken = tmp_path / "broken"
    broken.write_text("no program")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(CannotBuild, match="does not run"):
        shared_object(PLAIN)


def test_a_processor_without_the_instructions_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "cpu_words", lambda: frozenset({"avx2", "fma"}))
    with pytest.raises(CannotBuild, match="this CPU has no avx512_bf16"):
        shared_object(BUILDS[0])
    if has_compiler():
        monkeypatch.setattr(engines, "load", Library)
        assert engines.kernel("fp32").build.name == "fp32-avx2"


@needs_compiler
def test_two_processes_build_at_once_and_a_damaged_build_is_built_again(tmp_path: Path) -> None:
    code = (
        "from deadreckon.models.kernel.build import BUILDS; from deadreckon.models.kernel.library import load;"
        "print(load(BUILDS[-1]).path)"
    )
    env = os.environ | {"DEADRECKON_CACHE": str(tmp_path)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    said = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert [str(path) for path in tmp_path.iterdir()] == list(said)
    Path(said.pop()).write_bytes(b"\x7fELF, cut short")
    again = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert Path(again.stdout.strip()).stat().st_size > 10_000


# --- names ----------------------------------------------------------------------------------------------


@needs_compiler
def test_option_and_variable_choose_the_engine_and_the_option_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEADRECKON_ENGINE", "fp32")
    model = load_model("shipped:sums-clean")
    assert (model.name, model.identity["dtype"]) == ("shipped:sums-clean", "float32")
    assert model.identity["engine"].startswith("kernel-fp32-")
    model = load_model("shipped:sums-clean-s3,engine=torch")
    assert (model.name, model.identity["engine"]) == ("shipped:sums-clean-s3,engine=torch", "torch-fp32-exact-r64")
    assert load_model(model.name).identity == model.identity
    monkeypatch.setenv("DEADRECKON_ENGINE", "fp64")
    with pytest.raises(UnknownName, match="unknown engine 'fp64'"):
        load_model("shipped:sums-clean")


def test_sizes_the_kernel_does_not_take_run_on_torch_or_are_refused_by_name() -> None:
    odd = GPTConfig(5, 16, 1, 24, 24)
    assert engines.choose("auto", odd) is None
    with pytest.raises(BadOption, match="widths in multiples of 32"):
        engines.choose("fp32", odd)
